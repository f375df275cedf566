package proxy_test

import (
	"encoding/base64"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/proxy/smtp"
)

var kioskLogin = "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00kiosk\x00secret")) + "\r\n"

// paced returns a server whose mailboxes have a pace, before an upstream that
// answers as told.
func paced(t *testing.T, pace smtp.Pace, answer func(line string) string) *bubble {
	t.Helper()
	b := newBubble(t, smtp.Protocol{Ledger: smtp.NewLedger(pace)}, tokens(oneToken))
	b.dials(func(conn net.Conn) { playSMTP(conn, answer) })
	return b
}

// message begins a message and returns how long it took until DATA was
// answered.
func (c *client) message(t *testing.T, answer string) time.Duration {
	t.Helper()
	c.lease(t, "250 ok")
	start := time.Now()
	c.say(t, "DATA\r\n")
	c.hear(t, answer)
	took := time.Since(start)
	if strings.HasPrefix(answer, "354") {
		c.say(t, ".\r\n")
		c.hear(t, "250 ok")
	}
	return took
}

// A mailbox's messages wait at DATA for their turn, whoever sends them, and
// hear a temporary refusal when that would take too long.
func TestSMTPMessagesWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := paced(t, smtp.Pace{MessagesPerMinute: 1}, allRight)
		first, second, third := b.logInSMTP(t), b.logInSMTP(t), b.logInSMTP(t)
		if waited := first.message(t, "354 "); waited != 0 {
			t.Errorf("the first message waited for %v", waited)
		}
		second.lease(t, "250 ok")
		start := time.Now()
		second.say(t, "DATA\r\n")
		synctest.Wait()
		if waited := third.message(t, "451 4.3.2 this mailbox sends too many messages"); waited != 0 {
			t.Errorf("one that would have to wait for two minutes heard so after %v", waited)
		}
		second.hear(t, "354 ")
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("the second message waited for %v", waited)
		}
		second.say(t, ".\r\n")
		second.hear(t, "250 ok")
		third.say(t, "RSET\r\n")
		third.hear(t, "250 ")
		if waited := third.message(t, "354 "); waited != time.Minute {
			t.Errorf("the third waited for %v when it was its turn", waited)
		}
		if got := strings.Count(b.log.String(), "80 % of the messages of a minute"); got != 1 {
			t.Errorf("%d warnings", got)
		}
	})
}

// A client that goes away while its message waits takes nothing from others.
func TestSMTPLeavesItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := paced(t, smtp.Pace{MessagesPerMinute: 1}, allRight)
		first, gone, patient := b.logInSMTP(t), b.logInSMTP(t), b.logInSMTP(t)
		first.message(t, "354 ")
		gone.lease(t, "250 ok")
		gone.say(t, "DATA\r\n")
		synctest.Wait()
		_ = gone.Close()
		synctest.Wait()
		if waited := patient.message(t, "354 "); waited != time.Minute {
			t.Errorf("the next one waited for %v", waited)
		}
	})
}

// Exchange's 432 and 421 to a message slow its mailbox down.
func TestSMTPSlowsDown(t *testing.T) {
	for _, verdict := range []string{"432 4.3.2 Concurrent connections limit exceeded.", "421 4.4.2 Message submission rate for this client has exceeded the configured limit"} {
		synctest.Test(t, func(t *testing.T) {
			refuse := true
			b := paced(t, smtp.Pace{}, func(line string) string {
				if line == "." && refuse {
					return verdict
				}
				return allRight(line)
			})
			c := b.logInSMTP(t)
			c.lease(t, "250 ok")
			c.say(t, "DATA\r\n")
			c.hear(t, "354 ")
			c.say(t, ".\r\n")
			c.hear(t, verdict)
			refuse = false
			if waited := c.message(t, "354 "); waited != 5*time.Second {
				t.Errorf("after %q the next message waited for %v", verdict, waited)
			}
			if waited := c.message(t, "354 "); waited != 0 {
				t.Errorf("after a delivery it waited for %v", waited)
			}
		})
	}
}

// The recipients of a day are counted when a message has gone; those of
// messages that come to nothing aren't.
func TestSMTPRecipientsOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := true
		b := paced(t, smtp.Pace{RecipientsPerDay: 3}, func(line string) string {
			if line == "." && refuse {
				return "554 5.6.0 no"
			}
			return allRight(line)
		})
		c := b.logInSMTP(t)
		for range 5 { // refused
			c.lease(t, "250 ok")
			c.say(t, "DATA\r\n")
			c.hear(t, "354 ")
			c.say(t, ".\r\n")
			c.hear(t, "554 ")
			c.lease(t, "250 ok") // given up
			c.say(t, "RSET\r\n")
			c.hear(t, "250 ")
		}
		refuse = false
		c.message(t, "354 ")
		c.message(t, "354 ")
		c.lease(t, "250 ok")
		c.say(t, "RCPT TO:<d@d.example>\r\n")
		c.hear(t, "452 4.5.3 The 3 recipients of a day are used up for this mailbox")
		other := b.logInSMTP(t)
		other.lease(t, "452 4.5.3 ")
		c.say(t, "DATA\r\n")
		c.hear(t, "354 ")
		c.say(t, ".\r\n")
		c.hear(t, "250 ok")
		time.Sleep(2 * time.Minute) // the client is still there a while later
		c.lease(t, "452 4.5.3 ")
		if got := strings.Count(b.log.String(), "80 % of the recipients of a day"); got != 1 {
			t.Errorf("%d warnings", got)
		}
	})
}

// A login's own pace holds its messages up before they take one of the
// mailbox's connections.
func TestSMTPPaceOfALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := paced(t, smtp.Pace{}, allRight)
		kiosk := b.connect(t)
		kiosk.hear(t, "220 ")
		kiosk.say(t, kioskLogin)
		kiosk.hear(t, "235 ")
		for range 4 {
			kiosk.message(t, "354 ")
		}
		start := time.Now()
		kiosk.message(t, "354 ")
		if waited := time.Since(start); waited != 15*time.Second {
			t.Errorf("the fifth message of a minute waited for %v", waited)
		}
		impatient := b.connect(t)
		impatient.hear(t, "220 ")
		impatient.say(t, kioskLogin)
		impatient.hear(t, "235 ")
		impatient.say(t, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
		impatient.hear(t, "250 ")
		synctest.Wait() // 15 seconds for this one
		kiosk.lease(t, "451 4.3.2 this login sends too many messages")
		impatient.hear(t, "250 ok")
		if waited := b.logInSMTP(t).message(t, "354 "); waited != 0 {
			t.Errorf("another login waited for %v", waited)
		}
	})
}

// While a message waits for its turn its connection is kept, and Exchange may
// close it: what was said is said again on a fresh one, and the client hears
// nothing of it.
func TestSMTPResumesOnAFreshConnection(t *testing.T) {
	tests := []struct{ name, command, reply string }{
		{"closed", "RSET", "421 4.4.2 Timeout"},
		{"login lapsed", "MAIL", "530 5.7.57 Client not authenticated to send mail."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				waiting := false
				b := newBubble(t, smtp.Protocol{Ledger: smtp.NewLedger(smtp.Pace{MessagesPerMinute: 1})}, tokens(oneToken))
				b.dials(func(conn net.Conn) {
					fresh := waiting
					playSMTP(conn, func(line string) string {
						if waiting && !fresh && strings.HasPrefix(line, test.command) {
							return test.reply
						}
						return allRight(line)
					})
				})
				first, second := b.logInSMTP(t), b.logInSMTP(t)
				first.message(t, "354 ")
				second.lease(t, "250 ok")
				waiting = true
				second.say(t, "DATA\r\n")
				second.hear(t, "354 ")
				second.say(t, ".\r\n")
				second.hear(t, "250 ok")
			})
		})
	}
}

// An Exchange that has enough of a mailbox before the message is heeded too.
func TestSMTPSlowsDownBeforeTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const enough = "421 4.4.2 Message submission rate for this client has exceeded the configured limit"
		refuse := true
		b := paced(t, smtp.Pace{}, func(line string) string {
			if refuse && strings.HasPrefix(line, "MAIL") {
				return enough
			}
			return allRight(line)
		})
		c := b.logInSMTP(t)
		c.lease(t, enough)
		c.say(t, "RSET\r\n")
		c.hear(t, "250 ")
		refuse = false
		if waited := c.message(t, "354 "); waited != 5*time.Second {
			t.Errorf("the next message waited for %v", waited)
		}
	})
}

// A client that hangs up takes no turn, though it has said more than DATA in
// advance.
func TestSMTPHangsUpAfterMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := paced(t, smtp.Pace{MessagesPerMinute: 1}, allRight)
		first, gone, patient := b.logInSMTP(t), b.logInSMTP(t), b.logInSMTP(t)
		first.message(t, "354 ")
		gone.lease(t, "250 ok")
		gone.say(t, "DATA\r\nNOOP\r\n")
		synctest.Wait()
		gone.say(t, "NOOP\r\n")
		synctest.Wait()
		_ = gone.Close()
		synctest.Wait()
		if waited := patient.message(t, "354 "); waited != time.Minute {
			t.Errorf("the next one waited for %v", waited)
		}
	})
}

// One that has said all of its message in advance may have closed its half of
// the connection alone: its message goes.
func TestSMTPSaysAllInAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		b := paced(t, smtp.Pace{MessagesPerMinute: 1}, func(line string) string {
			if line == "." {
				sent++
			}
			return allRight(line)
		})
		first, c := b.logInSMTP(t), b.logInSMTP(t)
		first.message(t, "354 ")
		c.lease(t, "250 ok")
		c.say(t, "DATA\r\n.\r\nQUIT\r\n")
		synctest.Wait()
		_ = c.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if sent != 2 {
			t.Errorf("%d messages have arrived", sent)
		}
	})
}

// A message that isn't sent to its end has had no turn.
func TestSMTPGivesItsTurnBack(t *testing.T) {
	ends := map[string]func(t *testing.T, c *client){
		"client dies":       func(t *testing.T, c *client) { _ = c.Close() },
		"ambiguous message": func(t *testing.T, c *client) { c.say(t, "\n.\n"); c.hear(t, "550 5.6.0 ") },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := paced(t, smtp.Pace{MessagesPerMinute: 1}, func(line string) string {
					if line == "hello" {
						return ""
					}
					return allRight(line)
				})
				c := b.logInSMTP(t)
				c.lease(t, "250 ok")
				c.say(t, "DATA\r\n")
				c.hear(t, "354 ")
				c.say(t, "hello\r\n")
				end(t, c)
				synctest.Wait()
				if waited := b.logInSMTP(t).message(t, "354 "); waited != 0 {
					t.Errorf("the next message waited for %v", waited)
				}
			})
		})
	}
}

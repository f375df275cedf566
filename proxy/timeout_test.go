package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/proxy"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
)

// wantEnd checks that the session is over after exactly the time given.
func wantEnd(t *testing.T, c *client, start time.Time, after time.Duration) {
	t.Helper()
	c.hearEnd(t)
	if took := time.Since(start); took != after {
		t.Errorf("the session ended after %v, want %v", took, after)
	}
}

// A client that says nothing is let go, and so is one that says things but
// doesn't log in, or that sends a line without end, however slowly.
func TestIdleBeforeLogin(t *testing.T) {
	for _, s := range speeches {
		tests := []struct {
			name  string
			says  string
			every time.Duration
			after time.Duration
		}{
			{"silent", "", time.Hour, 2 * time.Minute},
			{"half a line", "x", time.Hour, 2 * time.Minute},
			{"a byte every second", "x", time.Second, 2 * time.Minute},
			{"a command every minute", "NOOP\r\n", time.Minute, 5 * time.Minute},
		}
		for _, test := range tests {
			t.Run(s.Name()+", "+test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBubble(t, s, tokens(oneToken))
					start := time.Now()
					c := b.connect(t)
					var saying sync.WaitGroup
					defer saying.Wait()
					saying.Go(func() {
						for err := error(nil); err == nil && test.says != ""; time.Sleep(test.every) {
							_, err = io.WriteString(c, test.says)
						}
					})
					_, _ = io.Copy(io.Discard, c)
					if took := time.Since(start); took != test.after {
						t.Errorf("the session ended after %v, want %v", took, test.after)
					}
				})
			})
		}
	}
}

// A client that doesn't read is not waited for either.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, pop3.Protocol{}, tokens(oneToken))
		start := time.Now()
		c := b.connect(t)
		time.Sleep(21 * time.Second)
		if n, err := c.Write([]byte("QUIT\r\n")); err == nil {
			t.Errorf("%d bytes were taken after %v", n, time.Since(start))
		}
	})
}

func TestSilentHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, pop3.Protocol{}, tokens(oneToken))
		b.listener.TLS = proxy.TLSImplicit
		start := time.Now()
		wantEnd(t, b.connect(t), start, 20*time.Second)
	})
}

// A port for both waits half a second for a handshake, then greets in clear.
func TestAutoTLSGreetsAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, pop3.Protocol{}, tokens(oneToken))
		b.listener.TLS = proxy.TLSAuto
		start := time.Now()
		c := b.connect(t)
		c.hear(t, "+OK ")
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("greeted after %v", took)
		}
	})
}

// smtpLogin returns a client that has logged in; answer answers each line that
// its upstream hears then.
func smtpLogin(t *testing.T, b *bubble, answer func(line string) string) *client {
	t.Helper()
	b.dials(func(conn net.Conn) { playSMTP(conn, answer) })
	return b.logInSMTP(t)
}

// logInSMTP returns a client that has logged in.
func (b *bubble) logInSMTP(t *testing.T) *client {
	t.Helper()
	c := b.connect(t)
	c.hear(t, "220 ")
	c.say(t, speeches[2].login)
	c.hear(t, "235 ")
	return c
}

// playSMTP plays an upstream; answer answers each line that it hears after the
// login.
func playSMTP(conn net.Conn, answer func(line string) string) {
	playOnTLS(conn, speeches[2].upstream, func(_ io.Writer, line string) string { return answer(line) })
}

// playOnTLS is the same with other words up to the login, and with the
// connection to say more on.
func playOnTLS(conn net.Conn, replies []string, answer func(secure io.Writer, line string) string) {
	own, _ := certificate()
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{own}})
	in := bufio.NewReader(secure)
	reply := replies[0]
	for i := 1; ; i++ {
		if reply != "" {
			reply += "\r\n"
		}
		if _, err := io.WriteString(secure, reply); err != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if i < len(replies) {
			reply = replies[i]
		} else {
			reply = answer(secure, strings.TrimSuffix(line, "\r\n"))
		}
	}
}

// A client that is silent after its login is let go.
func TestSMTPIdleAfterLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		c := smtpLogin(t, b, func(string) string { return "" })
		for range 20 { // far more than a client may take to log in
			time.Sleep(4 * time.Minute)
			c.say(t, "NOOP\r\n")
			c.hear(t, "250 ")
		}
		start := time.Now()
		c.hear(t, "421 4.4.2 ")
		wantEnd(t, c, start, 5*time.Minute)
	})
}

// An upstream that falls silent in a transaction: only the verdict is worth
// waiting for (RFC 5321 section 4.5.3.2.6). The refusal is temporary, and the
// session goes on.
func TestSMTPSilentUpstream(t *testing.T) {
	tests := []struct {
		silentAt string // what the upstream doesn't answer
		after    time.Duration
	}{
		{"MAIL", 25 * time.Second},
		{"RCPT", 25 * time.Second},
		{"DATA", 25 * time.Second},
		{".", 10 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.silentAt, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
				c := smtpLogin(t, b, func(line string) string {
					switch {
					case strings.HasPrefix(line, test.silentAt), line == "hello":
						return ""
					case line == "DATA":
						return "354 go"
					}
					return "250 ok"
				})
				start := time.Now()
				sayMessage(t, c, test.silentAt)
				c.hear(t, "451 4.4.2 the mail server doesn't answer")
				if took := time.Since(start); took != test.after {
					t.Errorf("refused after %v, want %v", took, test.after)
				}
				c.say(t, "NOOP\r\n")
				c.hear(t, "250 ")
			})
		})
	}
}

// sayMessage sends a message as far as the reply that won't come.
func sayMessage(t *testing.T, c *client, silentAt string) {
	t.Helper()
	c.say(t, "MAIL FROM:<a@b.example>\r\n")
	c.hear(t, "250 ")
	c.say(t, "RCPT TO:<c@d.example>\r\n")
	if silentAt == "MAIL" || silentAt == "RCPT" {
		return
	}
	c.hear(t, "250 ")
	c.say(t, "DATA\r\n")
	if silentAt == "DATA" {
		return
	}
	c.hear(t, "354 ")
	c.say(t, "hello\r\n.\r\n")
}

// A client that falls silent in its message is let go, and the upstream hears
// no end of it.
func TestSMTPSilentClientInMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		var heard []string
		c := smtpLogin(t, b, func(line string) string {
			heard = append(heard, line)
			switch line {
			case "DATA":
				return "354 go"
			case "half a mess":
				return ""
			}
			return "250 ok"
		})
		sayMessage(t, c, "DATA")
		c.hear(t, "354 ")
		c.say(t, "half a mess\r\n")
		start := time.Now()
		c.hear(t, "421 4.4.2 No data for 5m0s (session ")
		wantEnd(t, c, start, 5*time.Minute)
		synctest.Wait()
		if last := heard[len(heard)-1]; last != "half a mess" {
			t.Errorf("the upstream heard %q", last)
		}
	})
}

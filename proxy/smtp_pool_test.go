package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/proxy/smtp"
)

// slots is how many connections to a mailbox there are.
const slots = 3

func allRight(line string) string {
	if line == "DATA" {
		return "354 go"
	}
	return "250 ok"
}

// lease has a client begin a transaction, up to the answer to its recipient.
func (c *client) lease(t *testing.T, answer string) {
	t.Helper()
	c.say(t, "MAIL FROM:<a@b.example>\r\n")
	c.hear(t, "250 ")
	c.say(t, "RCPT TO:<c@d.example>\r\n")
	c.hear(t, answer)
}

// takeAll returns clients that have all connections of the mailbox.
func takeAll(t *testing.T, b *bubble) []*client {
	t.Helper()
	var all []*client
	b.dials(func(conn net.Conn) { playSMTP(conn, allRight) })
	for range slots {
		c := b.logInSMTP(t)
		c.lease(t, "250 ok")
		all = append(all, c)
	}
	return all
}

// A client waits for a connection as long as devices do, and then hears that
// it is this message that has to wait: the session goes on.
func TestSMTPWaitsInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		for _, busy := range takeAll(t, b) {
			busy.say(t, "DATA\r\n")
			busy.hear(t, "354 ")
		}
		c := b.logInSMTP(t)
		start := time.Now()
		c.lease(t, "451 4.3.2 too many messages at once for this mailbox")
		if took := time.Since(start); took != 40*time.Second {
			t.Errorf("refused after %v", took)
		}
		if got := strings.Count(b.log.String(), "(login alice, client "); got != slots {
			t.Errorf("the log names %d of those who have the connections: %s", got, &b.log)
		}
		c.say(t, "DATA\r\n")
		c.hear(t, "451 4.3.2 ")
		c.say(t, "NOOP\r\n")
		c.hear(t, "250 ")
	})
}

// A client that waits and goes away leaves the queue at once, and so its place
// at the proxy.
func TestSMTPLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		busy := takeAll(t, b)
		start := time.Now()
		gone, patient := b.logInSMTP(t), b.logInSMTP(t)
		gone.say(t, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n") // more than it hears the answer to
		gone.hear(t, "250 ")
		synctest.Wait()
		patient.say(t, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
		patient.hear(t, "250 ")
		synctest.Wait()
		_ = gone.Close()
		synctest.Wait()
		busy[1].say(t, "RSET\r\n")
		busy[1].hear(t, "250 ")
		patient.hear(t, "250 ok")
		if took := time.Since(start); took != 0 {
			t.Errorf("served after %v", took)
		}
	})
}

// One that has said all it will say, and said so, may still listen.
func TestSMTPWaitsPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		busy := takeAll(t, b)
		c := b.logInSMTP(t)
		c.say(t, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nNOOP\r\n")
		c.hear(t, "250 2.1.0 ")
		synctest.Wait()
		c.say(t, "QUIT\r\n") // is heard while the client waits
		synctest.Wait()
		busy[2].say(t, "RSET\r\n")
		busy[2].hear(t, "250 ")
		c.hear(t, "250 ok")
		c.hear(t, "250 2.0.0 ")
		c.hear(t, "221 ")
		c.hearEnd(t)
	})
}

// An upstream that is slow in everything, and then silent, doesn't use up the
// client's patience twice.
func TestSMTPSlowAndThenSilentUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		c := smtpLogin(t, b, func(line string) string { return "421 not on this one" })
		dial := b.dialSlowly(20 * time.Second)
		start := time.Now()
		c.lease(t, "451 4.4.2 the mail server doesn't answer")
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("refused after %v", took)
		}
		dial.Wait()
	})
}

// dialSlowly makes the next connections come late to an upstream that is silent
// from the login on.
func (b *bubble) dialSlowly(delay time.Duration) *sync.WaitGroup {
	var playing sync.WaitGroup
	b.SetDial(func(context.Context, string, string) (net.Conn, error) {
		time.Sleep(delay)
		here, there := net.Pipe()
		playing.Go(func() {
			defer there.Close()
			playSMTP(there, func(string) string { return "" })
		})
		return here, nil
	})
	return &playing
}

// shortTokens hand out tokens that differ, and end after a while.
type shortTokens struct {
	issued int
	life   time.Duration
}

func (s *shortTokens) AccessToken(context.Context, string) (proxy.Token, error) {
	s.issued++
	return proxy.Token{Value: wire.NewSecret(fmt.Sprintf("token-%d", s.issued)), Expires: time.Now().Add(s.life)}, nil
}

func (s *shortTokens) Refused(context.Context, string, wire.Secret) error {
	return &proxy.Failure{Kind: proxy.TokenUnavailable}
}

// The token ends between two messages: the connection that has logged in with
// it ends before, and the next message has one with a new token.
func TestSMTPTokenEndsBetweenMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := &shortTokens{life: 10 * time.Minute}
		b := newBubble(t, smtp.Protocol{}, issuer)
		var mu sync.Mutex
		connections := 0
		b.dials(func(conn net.Conn) {
			mu.Lock()
			connections++
			mu.Unlock()
			end := time.Now().Add(issuer.life)
			playSMTP(conn, func(line string) string {
				if time.Now().After(end) {
					return "530 5.7.57 Client not authenticated to send mail."
				}
				return allRight(line)
			})
		})
		c := b.logInSMTP(t)
		for range 20 {
			c.lease(t, "250 ok")
			c.say(t, "DATA\r\n")
			c.hear(t, "354 ")
			c.say(t, ".\r\n")
			c.hear(t, "250 ok")
			time.Sleep(time.Minute)
		}
		mu.Lock()
		defer mu.Unlock()
		if connections != 3 || issuer.issued != 3 {
			t.Errorf("%d connections, %d tokens", connections, issuer.issued)
		}
	})
}

// An upstream that loses patience while the message is collected, and says so,
// hasn't heard of it: the transaction is repeated on a fresh connection.
func TestSMTPUpstreamClosesWhileTheMessageIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		first := make(chan io.Writer, 1)
		b.dials(func(conn net.Conn) {
			playOnTLS(conn, chunkingSpeech, func(secure io.Writer, line string) string {
				if line == "RCPT TO:<c@d.example>" {
					select {
					case first <- secure:
					default: // the second connection
					}
				}
				return allRight(line)
			})
		})
		c := b.logInSMTP(t)
		c.lease(t, "250 ok")
		c.say(t, "DATA\r\n")
		c.hear(t, "354 ")
		_, _ = io.WriteString(<-first, "451 4.7.0 Timeout waiting for client input\r\n")
		synctest.Wait()
		c.say(t, ".\r\n")
		c.hear(t, "250 ok")
	})
}

// chunkingSpeech is what an upstream says up to the login that offers CHUNKING.
var chunkingSpeech = []string{"220 ready", "250-exchange.example\r\n250-CHUNKING\r\n250 AUTH XOAUTH2", "334 ", "235 ok"}

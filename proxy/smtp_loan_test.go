package proxy_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/proxy/smtp"
)

// recordingExchange accepts everything, and keeps the messages, of one line
// each, as "recipients: line".
type recordingExchange struct {
	mu        sync.Mutex
	delivered []string
	conns     []io.Writer
}

func (e *recordingExchange) serve(conn net.Conn) {
	var recipients []string
	playOnTLS(conn, chunkingSpeech, func(secure io.Writer, line string) string {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !slices.Contains(e.conns, secure) {
			e.conns = append(e.conns, secure)
		}
		verb, argument, _ := strings.Cut(line, ":")
		switch {
		case line == "RSET" || verb == "MAIL FROM":
			recipients = nil
		case verb == "RCPT TO":
			recipients = append(recipients, argument)
		case strings.HasPrefix(line, "BDAT"):
			return ""
		case strings.HasPrefix(line, "hello"):
			e.delivered = append(e.delivered, strings.Join(recipients, " ")+": "+line)
		}
		return allRight(line)
	})
}

// lendingClients returns clients that have all connections of the mailbox, and
// what they have fallen silent after.
func lendingClients(t *testing.T, b *bubble, conversation []string, last string) []*client {
	t.Helper()
	var all []*client
	for range slots {
		c := b.logInSMTP(t)
		c.lease(t, "250 ok")
		if c.converse(t, conversation); last != "" {
			c.say(t, last)
		}
		all = append(all, c)
	}
	return all
}

// hearAfter checks how the next line begins and when it comes.
func (c *client) hearAfter(t *testing.T, after time.Duration, want string) {
	t.Helper()
	start := time.Now()
	c.hear(t, want)
	if took := time.Since(start); took != after {
		t.Errorf("%q comes after %v, want %v", want, took, after)
	}
}

// Clients that fall silent in the middle of a transaction lend their connection
// to one that waits. When they go on, so does their transaction.
func TestSMTPSilentClientsLend(t *testing.T) {
	tests := []struct {
		name string
		said []string // and heard
		last string
		then []string // said and heard
		want string   // what is delivered
	}{
		{"after a recipient", nil, "", []string{"RCPT TO:<e@d.example>\r\n", "250 ok", "DATA\r\n", "354 ", "hello\r\n.\r\n", "250 ok"}, "<c@d.example> <e@d.example>: hello"},
		{"in half a command", nil, "DA", []string{"TA\r\n", "354 ", "hello\r\n.\r\n", "250 ok"}, "<c@d.example>: hello"},
		{"in the message", []string{"DATA\r\n", "354 "}, "hel", []string{"lo\r\n.\r\n", "250 ok"}, "<c@d.example>: hello"},
		{"before a chunk", nil, "", []string{"BDAT 7 LAST\r\nhello\r\n", "250 ok"}, "<c@d.example>: hello"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
				var e recordingExchange
				b.dials(e.serve)
				silent := lendingClients(t, b, test.said, test.last)
				other := b.logInSMTP(t)
				other.say(t, "MAIL FROM:<x@b.example>\r\nRCPT TO:<y@d.example>\r\n")
				other.hear(t, "250 ")
				other.hearAfter(t, 5*time.Second, "250 ok")
				other.say(t, "DATA\r\n")
				other.hear(t, "354 ")
				for i := range slots - 1 { // two of them find theirs where it was
					silent[i+1].converse(t, test.then)
				}
				other.say(t, "hello, too\r\n.\r\n")
				other.hear(t, "250 ok")
				silent[0].converse(t, test.then)
				want := []string{test.want, test.want, "<y@d.example>: hello, too", test.want}
				if !slices.Equal(e.delivered, want) {
					t.Errorf("delivered: %q, want %q", e.delivered, want)
				}
				if len(e.conns) != slots {
					t.Errorf("%d connections", len(e.conns))
				}
			})
		})
	}
}

// converse says and hears in turn.
func (c *client) converse(t *testing.T, lines []string) {
	t.Helper()
	for i := 0; i < len(lines); i += 2 {
		c.say(t, lines[i])
		c.hear(t, lines[i+1])
	}
}

// A client that goes on while another has its connection waits for one.
func TestSMTPLenderWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		var e recordingExchange
		b.dials(e.serve)
		silent := lendingClients(t, b, nil, "")
		var others []*client
		for range slots {
			other := b.logInSMTP(t)
			other.lease(t, "250 ok")
			others = append(others, other)
		}
		silent[0].say(t, "DATA\r\n")
		silent[0].hearAfter(t, 5*time.Second, "354 ") // the others are silent now
		others[1].say(t, "DATA\r\n")
		others[1].hear(t, "354 ")
		silent[0].say(t, "hello\r\n.\r\n")
		silent[0].hear(t, "250 ok")
	})
}

// An upstream that loses patience with a silent client costs it nothing.
func TestSMTPUpstreamClosesWhileTheClientIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
		var e recordingExchange
		b.dials(e.serve)
		c := b.logInSMTP(t)
		c.lease(t, "250 ok")
		time.Sleep(time.Minute)
		_, _ = io.WriteString(e.conns[0], "421 4.4.2 Timeout\r\n")
		synctest.Wait()
		c.say(t, "DATA\r\n")
		c.hear(t, "354 ")
		c.say(t, "hello\r\n.\r\n")
		c.hear(t, "250 ok")
		if want := []string{"<c@d.example>: hello"}; !slices.Equal(e.delivered, want) {
			t.Errorf("delivered: %q, want %q", e.delivered, want)
		}
	})
}

// countEnds plays an upstream that counts the ends of messages.
func countEnds(conn net.Conn, ends *int) {
	last := false // chunk
	playOnTLS(conn, chunkingSpeech, func(_ io.Writer, line string) string {
		if strings.HasPrefix(line, "BDAT") {
			last = strings.HasSuffix(line, "LAST")
		}
		if line == "." || line == "hello" && last || line == "BDAT 0 LAST" {
			*ends++
			return "250 ok"
		}
		if strings.HasPrefix(line, "BDAT") || strings.HasPrefix(line, "x") {
			return ""
		}
		return allRight(line)
	})
}

// A client that is silent with half of its message gone upstream can't lend its
// connection. It loses it after three minutes, if anybody waits for one.
func TestSMTPSilentInTheMessage(t *testing.T) {
	large := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 1000)
	tests := []struct {
		name       string
		said       []string // and heard
		half, rest string
	}{
		{"DATA", []string{"DATA\r\n", "354 "}, large, ".\r\n"},
		{"a chunk", nil, "BDAT 7 LAST\r\nhel", "lo\r\n"},
		{"between chunks", []string{"BDAT 7\r\nhello\r\n", "250 ok"}, "", "BDAT 0 LAST\r\n"},
	}
	for _, test := range tests {
		for _, waits := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, waits: %v", test.name, waits), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBubble(t, smtp.Protocol{}, tokens(oneToken))
					ends := 0
					b.dials(func(conn net.Conn) { countEnds(conn, &ends) })
					silent := lendingClients(t, b, test.said, test.half)
					time.Sleep(3*time.Minute - 10*time.Second)
					if waits {
						other := b.logInSMTP(t)
						other.say(t, "MAIL FROM:<x@b.example>\r\nRCPT TO:<y@d.example>\r\n")
						other.hear(t, "250 ")
						other.hearAfter(t, 10*time.Second, "250 ok")
					} else {
						time.Sleep(time.Minute)
					}
					lost := 0
					for _, c := range silent {
						c.say(t, test.rest)
						line, _ := c.in.ReadString('\n')
						switch {
						case strings.HasPrefix(line, "451 4.3.2 the message came too slowly while others waited"):
							lost++
						case !strings.HasPrefix(line, "250 ok"):
							t.Errorf("heard %q", line)
						}
						c.say(t, "RSET\r\n")
						c.hear(t, "250 ")
					}
					if want := map[bool]int{true: 1, false: 0}[waits]; lost != want || ends != slots-lost {
						t.Errorf("%d messages lost, want %d; %d ends of messages arrived", lost, want, ends)
					}
				})
			})
		}
	}
}

package proxy_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"oauthproxy/proxy/smtp"
)

// strictExchange is an upstream that enforces the limits of a mailbox.
type strictExchange struct {
	messages *rate.Limiter

	mu         sync.Mutex
	open, most int
	refused    int
	delivered  map[string]int
}

// serve plays a connection: only what it refuses at the end of a message is
// known to it, as to Exchange.
func (e *strictExchange) serve(conn net.Conn) {
	e.mu.Lock()
	e.open++
	e.most = max(e.most, e.open)
	e.mu.Unlock()
	text := ""
	playSMTP(conn, func(line string) string {
		switch {
		case line == "DATA":
			text = ""
			return "354 go"
		case strings.HasPrefix(line, "message "):
			text = line
			return ""
		case line == ".":
			return e.verdict(text)
		}
		return "250 ok"
	})
	e.mu.Lock()
	e.open--
	e.mu.Unlock()
}

func (e *strictExchange) verdict(text string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.messages.Allow() || e.open > slots {
		e.refused++
		return "421 4.4.2 Message submission rate for this client has exceeded the configured limit"
	}
	e.delivered[text]++
	return "250 ok"
}

// Many devices at once have more to send than Exchange takes in a minute, and
// more connections than it allows: they wait, and no refusal gets to any of
// them; each message is delivered once. Those who wait for the minute to pass
// hold no connection that others need.
func TestSMTPManyClientsWithinExchangesLimits(t *testing.T) {
	for _, test := range []struct{ clients, messages int }{{20, 5}, {40, 2}, {75, 1}} {
		t.Run(fmt.Sprintf("%d clients", test.clients), func(t *testing.T) { sendAtOnce(t, test.clients, test.messages) })
	}
}

func sendAtOnce(t *testing.T, clients, messages int) {
	synctest.Test(t, func(t *testing.T) {
		const perMinute = 30
		e := &strictExchange{messages: rate.NewLimiter(rate.Every(time.Minute/perMinute), perMinute), delivered: make(map[string]int)}
		b := newBubble(t, smtp.Protocol{Ledger: smtp.NewLedger(smtp.Pace{MessagesPerMinute: perMinute})}, tokens(oneToken))
		b.dials(e.serve)
		start := time.Now()
		var sending sync.WaitGroup
		for n := range clients {
			c := b.logInSMTP(t)
			sending.Go(func() {
				for m := range messages {
					c.lease(t, "250 ok")
					c.say(t, "DATA\r\n")
					c.hear(t, "354 ")
					c.say(t, fmt.Sprintf("message %d of %d\r\n.\r\n", m, n))
					c.hear(t, "250 ok")
				}
			})
		}
		sending.Wait()
		if took, want := time.Since(start), time.Duration(clients*messages-perMinute)*time.Minute/perMinute; took.Round(time.Second) != want {
			t.Errorf("it takes %v, want %v", took, want)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.refused > 0 || e.most > slots {
			t.Errorf("%d refusals, %d connections at one time", e.refused, e.most)
		}
		if len(e.delivered) != clients*messages {
			t.Errorf("%d messages have been delivered", len(e.delivered))
		}
		for message, times := range e.delivered {
			if times != 1 {
				t.Errorf("%q has been delivered %d times", message, times)
			}
		}
	})
}

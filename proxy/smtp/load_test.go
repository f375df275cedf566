package smtp

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"oauthproxy/internal/script/stage"
)

// busyExchange is an upstream that enforces how many connections a mailbox may
// have, and closes connections when it likes.
type busyExchange struct {
	limit    int
	chunking bool
	// moody, when set, is how many commands a connection takes before it ends
	// without a word, in place of the reply to a RSET, RCPT or DATA.
	moody int

	mu        sync.Mutex
	open      int
	most      int // at one time, those refused included
	refused   int // logins
	delivered map[string]int
}

// arrive counts a login, and tells whether it is one too many.
func (e *busyExchange) arrive() (ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open++
	e.most = max(e.most, e.open)
	if e.open > e.limit {
		e.refused++
		return false
	}
	return true
}

func (e *busyExchange) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open--
}

func (e *busyExchange) deliver(message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delivered[message]++
}

func (e *busyExchange) serve(conn *tls.Conn) {
	in := bufio.NewReader(conn)
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
	say("220 ready")
	for n := 0; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case verb == "EHLO" && e.chunking:
			say("250-exchange.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH XOAUTH2")
		case verb == "EHLO":
			say("250-exchange.example\r\n250-PIPELINING\r\n250 AUTH XOAUTH2")
		case verb == "AUTH":
			say("334 ")
			_, _ = in.ReadString('\n')
			defer e.leave()
			if !e.arrive() {
				say("432 4.3.2 Concurrent connections limit exceeded.")
				return
			}
			say("235 ok")
		case verb == "BDAT":
			message, _, whole := readChunk(in, line)
			if !whole {
				return
			}
			e.deliver(message)
			say("250 accepted")
		case e.moody > 0 && n > e.moody && (verb == "RSET" || verb == "RCPT" || verb == "DATA"):
			return
		case verb == "QUIT":
			say("221 bye")
			return
		case verb == "DATA":
			say("354 go")
			first, _ := in.ReadString('\n')
			message, whole := readMessage(in, first)
			if !whole {
				return
			}
			e.deliver(string(unstuff([]byte(message))))
			say("250 accepted")
		default:
			say("250 ok")
		}
	}
}

// Many clients at once, each on a connection of its own, and Exchange takes as
// many connections as it does, or fewer, because others use the mailbox too,
// and lets them end when it likes: each message is delivered exactly once, and
// no client hears of it.
func TestManyClientsAtOnce(t *testing.T) {
	tests := []struct {
		name string
		busyExchange
	}{
		{"as documented", busyExchange{limit: maxConnections, chunking: true}},
		{"without CHUNKING", busyExchange{limit: maxConnections}},
		{"others use the mailbox", busyExchange{limit: 1, chunking: true}},
		{"connections end", busyExchange{limit: maxConnections, chunking: true, moody: 20}},
		{"connections end, without CHUNKING", busyExchange{limit: maxConnections, moody: 20}},
	}
	for i := range tests {
		test := &tests[i]
		t.Run(test.name, func(t *testing.T) {
			s := stage.New(t, Protocol{}, stage.Options{"log": "error"})
			test.delivered = make(map[string]int)
			s.PlayUpstream(test.serve)
			const clients, messages = 40, 5
			var sending sync.WaitGroup
			for c := range clients {
				sending.Go(func() { sendOneByOne(t, s, c, messages) })
			}
			sending.Wait()
			test.mu.Lock()
			defer test.mu.Unlock()
			if len(test.delivered) != clients*messages {
				t.Errorf("%d messages have been delivered", len(test.delivered))
			}
			for message, times := range test.delivered {
				if times != 1 {
					t.Errorf("%q has been delivered %d times", message, times)
				}
			}
			if test.most > maxConnections {
				t.Errorf("%d connections at one time", test.most)
			}
			if test.limit == maxConnections && test.refused > 0 {
				t.Errorf("%d logins were one too many", test.refused)
			}
		})
	}
}

// sendOneByOne is a client that waits for each reply.
func sendOneByOne(t *testing.T, s *stage.Stage, client, messages int) {
	conn := s.Dial(t)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * stage.Patience))
	in := bufio.NewReader(conn)
	said := []string{"", "EHLO copier\r\n", auth}
	want := []string{"220", "250", "235"}
	for n := range messages {
		text := fmt.Sprintf("client %d\r\n.message %d\r\n", client, n)
		said = append(said, "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n", "RCPT TO:<e@d.example>\r\n", "DATA\r\n", stuffed(text))
		want = append(want, "250", "250", "250", "354", "250")
	}
	for i, say := range said {
		if heard, ok := exchangeLine(conn, in, say, want[i]); !ok {
			t.Errorf("client %d hears %q to %q", client, heard, say)
			return
		}
	}
}

// exchangeLine says something and hears a whole reply.
func exchangeLine(conn io.Writer, in *bufio.Reader, say, code string) (heard string, ok bool) {
	if _, err := io.WriteString(conn, say); err != nil {
		return err.Error(), false
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, code) {
			return line, false
		}
		if line[3] == ' ' {
			return line, true
		}
	}
}

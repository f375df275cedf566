package smtp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"oauthproxy/internal/script/stage"
)

// stuffed returns a message as it goes behind DATA.
func stuffed(message string) string {
	return strings.ReplaceAll("\r\n"+message, "\r\n.", "\r\n..")[2:] + ".\r\n"
}

func TestUnstuff(t *testing.T) {
	for _, message := range []string{
		"", "a\r\n", ".\r\n", "..\r\n", ".a\r\n", "a\r\n.b\r\n..c\r\n\r\n.\r\n", "\r\n", "a.\r\n.", ".\r\n.\r\n.\r\n",
	} {
		if got := string(unstuff([]byte(stuffed(message)))); got != message {
			t.Errorf("unstuff(%q) = %q, want %q", stuffed(message), got, message)
		}
	}
	// A dot that nobody has doubled goes all the same (RFC 5321 section 4.5.2).
	if got := string(unstuff([]byte(".a\r\n.\r\n"))); got != "a\r\n" {
		t.Errorf("unstuff = %q", got)
	}
}

func TestHasCleanLines(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "a\r\nb\r\n": true, "\r\n\r\n": true, "\x00\xff\r\n": true,
		"a\nb\r\n": false, "a\rb\r\n": false, "a\r\r\n": false, "a\r\n\n": false, "\r": false, "\n": false, "\n\r": false,
	} {
		if got := hasCleanLines([]byte(text)); got != want {
			t.Errorf("hasCleanLines(%q) = %v", text, got)
		}
	}
}

// converse sends messages by DATA, one after the other, and checks that each is
// accepted.
func converse(t *testing.T, s *stage.Stage, messages ...string) {
	t.Helper()
	var said strings.Builder
	said.WriteString(auth)
	for _, message := range messages {
		said.WriteString("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + message)
	}
	heard := s.Converse(t, []byte(said.String()+"QUIT\r\n"))
	if got := strings.Count(heard, "250 accepted\r\n"); got != len(messages) || !strings.HasSuffix(heard, "221 2.0.0 Goodbye\r\n") {
		t.Fatalf("%d of %d messages are accepted: %.2000q", got, len(messages), heard)
	}
}

// Whatever the message, what is delivered is what DATA delivers: as one chunk
// without stuffing or, where it is too large or its lines end in other ways, by
// DATA as it came.
func TestDeliveredTheSame(t *testing.T) {
	s := stage.New(t, Protocol{}, stage.Options{"log": "error"})
	upstream := exchange{chunking: true}
	s.PlayUpstream(upstream.serve)
	pieces := []string{".", "..", "\r\n", "\r\n.", "\r\n..", "a", "\x00", "\xff\xfe", "\r\n\r\n", strings.Repeat("y", 1500)}
	random := rand.New(rand.NewPCG(3, 4))
	var messages, chunks, streams []string
	for i := range 300 {
		var b strings.Builder
		for range random.IntN(12) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		b.WriteString("\r\n")
		message := b.String()
		switch i % 30 {
		case 1: // as large as fits, and one more
			message = strings.Repeat("x", streamBuffer-len("\r\n.\r\n")) + "\r\n"
		case 2:
			message = strings.Repeat("x", streamBuffer-len("\r\n.\r\n")+1) + "\r\n"
		case 3:
			message = "bare\n" + message
		case 4:
			message = "bare\r." + message
		}
		messages = append(messages, stuffed(message))
		if i%30 == 2 || i%30 == 3 || i%30 == 4 {
			streams = append(streams, stuffed(message))
		} else {
			chunks = append(chunks, message)
		}
	}
	converse(t, s, messages...)
	compare(t, "by BDAT", upstream.delivered, chunks)
	compare(t, "by DATA", upstream.messages, streams)
}

func compare(t *testing.T, how string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d messages, want %d", how, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: message %d is %.200q, want %.200q", how, i, got[i], want[i])
		}
	}
}

// FuzzDelivered compares what an upstream that knows CHUNKING gets with what
// one that doesn't gets: it is the same, or both get nothing.
func FuzzDelivered(f *testing.F) {
	with, without := exchange{chunking: true}, exchange{}
	one := stage.New(f, Protocol{}, stage.Options{"log": "error"})
	other := stage.New(f, Protocol{}, stage.Options{"log": "error"})
	one.PlayUpstream(with.serve)
	other.PlayUpstream(without.serve)
	f.Add([]byte("a\r\n..b\r\n...\r\n"))
	f.Add([]byte("a\n..b\r\n\r\r\n"))
	f.Add([]byte("\r\n.\n\x00.\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.Clone(text)
		for i, c := range text {
			text[i] = "\r\n.x\x00\xff"[c%6]
		}
		said := []byte(auth + "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + string(text) + "\r\n.\r\n")
		one.Converse(t, said)
		other.Converse(t, said)
		got, want := with.take(), without.take()
		if len(got) != len(want) {
			t.Fatalf("%q: %d messages, want %d", text, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%q becomes %q, want %q", text, got[i], want[i])
			}
		}
	})
}

// take returns the messages without their stuffing, as they are delivered, and
// forgets them.
func (e *exchange) take() (all []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.messages {
		all = append(all, string(unstuff([]byte(m))))
	}
	all = append(all, e.delivered...)
	e.commands, e.messages, e.delivered = nil, nil, nil
	return all
}

// A message of 20 KB on a new client connection, its mailbox in use: Exchange
// is waited for twice, once for the recipient and once for the verdict. The
// client itself, which waits for each reply, would wait nine times: for the
// connection, the greeting, EHLO, STARTTLS, the handshake, EHLO, AUTH, and four
// more would be MAIL, RCPT, DATA and the message.
func TestRoundTrips(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	upstream := exchange{chunking: true}
	s.PlayUpstream(upstream.serve)
	message := strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 20<<10/78)
	converse(t, s, stuffed(message)) // the mailbox is in use
	upstream.mu.Lock()
	before := upstream.turns
	upstream.mu.Unlock()
	lockStep(t, s, message)
	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	// The upstream waits before each turn, and once more at the end.
	if turns := upstream.turns - before; turns > 2 {
		t.Errorf("Exchange is waited for %d times", turns)
	}
	if len(upstream.delivered) != 2 || upstream.delivered[1] != message {
		t.Errorf("%d messages delivered, or not as they were", len(upstream.delivered))
	}
}

// lockStep sends a message on a new connection, as a client that waits for each
// reply.
func lockStep(t testing.TB, s *stage.Stage, message string) {
	t.Helper()
	conn := s.Dial(t)
	if err := conn.SetDeadline(time.Now().Add(stage.Patience)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for _, step := range []struct{ say, hear string }{
		{"", "220"}, {"EHLO laptop\r\n", "250"}, {auth, "235"}, {"MAIL FROM:<a@b.example>\r\n", "250"},
		{"RCPT TO:<c@d.example>\r\n", "250"}, {"DATA\r\n", "354"}, {stuffed(message), "250"}, {"QUIT\r\n", "221"},
	} {
		if heard, ok := exchangeLine(conn, in, step.say, step.hear); !ok {
			t.Fatalf("to %.40q: heard %q, want %s", step.say, heard, step.hear)
		}
	}
	_ = conn.Close()
}

// A client that goes away right behind its message: it is delivered once, and
// the verdict is in the log.
func TestClientLeavesBehindItsMessage(t *testing.T) {
	for _, chunking := range []bool{true, false} {
		t.Run(fmt.Sprint("chunking ", chunking), func(t *testing.T) {
			s := stage.New(t, Protocol{}, nil)
			heard, left := make(chan struct{}), make(chan struct{})
			upstream := exchange{chunking: chunking, verdict: func() { close(heard); <-left }}
			s.PlayUpstream(upstream.serve)
			conn := s.Dial(t)
			_, _ = io.WriteString(conn, auth+"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\n")
			<-heard
			_ = conn.SetLinger(0)
			_ = conn.Close()
			close(left)
			s.Shutdown(false) // waits for the session
			if !strings.Contains(s.Log.String(), "message relayed") {
				t.Error("no verdict in the log")
			}
			if got := upstream.take(); len(got) != 1 || got[0] != "hello\r\n" {
				t.Errorf("delivered: %q", got)
			}
		})
	}
}

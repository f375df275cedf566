package evidence

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

func TestMessageIsAltered(t *testing.T) {
	for _, c := range []struct{ name, sent, arrives string }{
		{"a bare LF", "a\nb\r\n.\r\n", "a\r\nb\r\n.\r\n"},
		{"two CRs before LF", "a\r\r\nb\r\n.\r\n", "a\r\r\r\nb\r\n.\r\n"},
		{"a dot and a CR at the beginning of a line", "a\r\n.\rx\r\n.\r\n", "a\r\nx\r\n.\r\n"},
		{"a dot and a bare LF", "a\r\n.\nb\r\n.\r\n", "a\r\n\r\nb\r\n.\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUpstream(t, false)
			p := dial(t, newRelay(t, u))
			p.begin()
			p.ask("DATA")
			p.say(c.sent)
			if reply := p.hear(); reply[0] != '2' {
				t.Fatal(reply)
			}
			if _, got := u.heard(); got != c.arrives {
				t.Errorf("sent %q, arrived %q, used to be %q", c.sent, got, c.arrives)
			}
		})
	}
}

func TestLongLineIsRefused(t *testing.T) {
	p := dial(t, newRelay(t, newUpstream(t, false)))
	p.begin()
	p.ask("DATA")
	p.say(strings.Repeat("x", 5000) + "\r\n.\r\n")
	if reply := p.hear(); reply[0] != '5' {
		t.Errorf("a line of 5,000 characters: %s", reply)
	}
}

// The upstream refuses DATA, and the client is asked for the message all the
// same.
func TestMessageIsAskedForBeforeTheUpstreamIs(t *testing.T) {
	p := dial(t, newRelay(t, newUpstream(t, true)))
	p.begin()
	if reply := p.ask("DATA"); !strings.HasPrefix(reply, "354") {
		t.Errorf("DATA: %s", reply)
	}
}

// A quoted local part turns into parameters of RCPT.
func TestAddressTurnsIntoParameters(t *testing.T) {
	u := newUpstream(t, false)
	p := dial(t, newRelay(t, u))
	p.begin()
	p.ask(`RCPT TO:<"victim@evil> NOTIFY=NEVER ORCPT=rfc822;x"@d.example>`)
	want := "RCPT TO:<victim@evil> NOTIFY=NEVER ORCPT=rfc822;x@d.example>"
	if got, _ := u.heard(); got != want {
		t.Errorf("upstream heard %q, used to be %q", got, want)
	}
}

// Half a message is delivered when the client library is used any further
// after a copy that failed.
func TestHalfAMessageIsDelivered(t *testing.T) {
	u := newUpstream(t, false)
	c, err := smtp.Dial(u.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("a@b.example", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("c@d.example", nil); err != nil {
		t.Fatal(err)
	}
	data, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(data, "half a mess"); err != nil {
		t.Fatal(err)
	}
	_ = c.Quit() // as after an error, to end the connection properly
	if _, got := u.heard(); got != "half a mess\r\n.\r\n" {
		t.Errorf("upstream took %q", got)
	}
}

// hijacker tries to take the connection over once the client has logged in.
type hijacker struct {
	smtp.Session
	conn net.Conn
	got  chan []byte
}

func (h *hijacker) Logout() error                        { return nil }
func (h *hijacker) Mail(string, *smtp.MailOptions) error { return nil }
func (h *hijacker) AuthMechanisms() []string             { return []string{sasl.Plain} }

func (h *hijacker) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, _ string) error {
		rest, _ := io.ReadAll(h.conn)
		h.got <- rest
		return nil
	}), nil
}

// What a client has pipelined behind its login is in a buffer that nobody can
// reach: the connection can't be handed over.
func TestSMTPConnectionCannotBeTakenOver(t *testing.T) {
	got := make(chan []byte, 1)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &hijacker{conn: c.Conn(), got: got}, nil
	}))
	server.AllowInsecureAuth = true
	p := dial(t, serve(t, server))
	p.hear()
	p.ask("EHLO client")
	p.say("AUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b.example>\r\n")
	_ = p.Conn.(*net.TCPConn).CloseWrite()
	if rest := <-got; len(rest) != 0 {
		t.Errorf("the connection still held %q", rest)
	}
	_, _ = io.Copy(io.Discard, p.r) // until the server has read it all
}

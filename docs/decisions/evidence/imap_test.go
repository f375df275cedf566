package evidence

import (
	"io"
	"log"
	"net"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// imapHijacker tries to take the connection over once the client has logged
// in.
type imapHijacker struct {
	imapserver.Session
	conn net.Conn
	got  chan []byte
}

func (h *imapHijacker) Close() error                              { return nil }
func (h *imapHijacker) Poll(*imapserver.UpdateWriter, bool) error { return nil }

func (h *imapHijacker) Login(string, string) error {
	rest, _ := io.ReadAll(h.conn)
	h.got <- rest
	return nil
}

// What a client has pipelined behind its login is in a buffer that nobody can
// reach: the connection can't be handed over.
func TestIMAPConnectionCannotBeTakenOver(t *testing.T) {
	got := make(chan []byte, 1)
	p := dial(t, serveIMAP(t, func(c *imapserver.Conn) imapserver.Session {
		return &imapHijacker{conn: c.NetConn(), got: got}
	}))
	p.hear()
	p.say("a1 LOGIN user password\r\na2 CAPABILITY\r\n")
	_ = p.Conn.(*net.TCPConn).CloseWrite()
	if rest := <-got; len(rest) != 0 {
		t.Errorf("the connection still held %q", rest)
	}
	_, _ = io.Copy(io.Discard, p.r) // until the server has read it all
}

// Thunderbird and others say ID before they log in (RFC 2971 allows it).
func TestIDBeforeLoginEndsTheConnection(t *testing.T) {
	p := dial(t, serveIMAP(t, func(*imapserver.Conn) imapserver.Session { return &imapHijacker{} }))
	p.hear()
	p.say("a1 ID (\"name\" \"Thunderbird\")\r\n")
	answer, err := io.ReadAll(p.r)
	if err != nil {
		t.Fatalf("the connection was not ended: %v", err)
	}
	t.Logf("ID was answered %q, and the connection ended", answer)
}

func serveIMAP(t *testing.T, session func(*imapserver.Conn) imapserver.Session) string {
	server := imapserver.New(&imapserver.Options{
		NewSession: func(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return session(c), nil, nil
		},
		Caps:         imap.CapSet{imap.CapIMAP4rev1: {}},
		InsecureAuth: true,
		Logger:       log.New(io.Discard, "", 0),
	})
	ln := listen(t)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return ln.Addr().String()
}

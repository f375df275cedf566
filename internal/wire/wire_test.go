package wire

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what should happen at once.
const patience = 20 * time.Second

// connect returns both ends of a TCP connection on loopback.
func connect(t testing.TB) (c *Conn, peer *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialed, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	peer = accepted.(*net.TCPConn)
	c = New(dialed)
	c.ReadTimeout, c.WriteTimeout = patience, patience
	t.Cleanup(func() {
		c.Abort()
		_ = peer.Close()
	})
	return c, peer
}

func send(t testing.TB, to net.Conn, text string) {
	t.Helper()
	if _, err := to.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// wantLine reads a line.
func wantLine(t testing.TB, c *Conn, want string) {
	t.Helper()
	got, err := c.ReadLine(100)
	if err != nil || string(got) != want {
		t.Fatalf("ReadLine = %q, %v; want %q", got, err, want)
	}
}

// wantHeard reads what the peer hears.
func wantHeard(t testing.TB, peer net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if err := peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(got); {
		m, err := peer.Read(got[n:])
		n += m
		if err != nil {
			t.Fatalf("heard %q and then: %v; want %q", got[:n], err, want)
		}
	}
	if string(got) != want {
		t.Fatalf("heard %q, want %q", got, want)
	}
}

// chunked is a connection from which a text is read in pieces of given sizes,
// over and over, and then ends.
type chunked struct {
	net.Conn // nil: for what isn't called
	text     []byte
	sizes    []byte
	reads    int
}

func (c *chunked) SetReadDeadline(time.Time) error { return nil }

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, net.ErrClosed
	}
	size := len(c.text)
	if len(c.sizes) > 0 {
		size = min(size, int(c.sizes[c.reads%len(c.sizes)])+1)
		c.reads++
	}
	n := copy(p, c.text[:size])
	c.text = c.text[n:]
	return n, nil
}

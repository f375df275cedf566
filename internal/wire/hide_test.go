package wire

import (
	"net"
	"strings"
	"testing"
)

// A peer that repeats what it has been told doesn't get it into a log.
func TestHide(t *testing.T) {
	const secret = "dXNlcj1hbGljZUBjb250b3NvLmV4YW1wbGUBYXV0aD1CZWFyZXIgRXdC"
	tests := []struct{ said, want string }{
		{"535 5.7.3 Authentication unsuccessful", "535 5.7.3 Authentication unsuccessful"},
		{"500 unknown command: " + secret, "500 unknown command: ***"},
		{"500 unknown command: " + secret + " it was", "500 unknown command: ***"},
		{"535 " + secret[5:40], "535 ***"},
		{secret[3:], "***"},
	}
	for _, test := range tests {
		c, peer := connect(t)
		c.PrintSecret(NewSecret(secret))
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		send(t, peer, test.said+"\r\n250 ok\r\n")
		wantLine(t, c, test.want)
		wantLine(t, c, "250 ok")
	}
}

func TestUnhide(t *testing.T) {
	const secret = "EwBwA8l6Yt0qVd7-xN2uGh5kSr9jM3cP"
	c, peer := connect(t)
	c.Hide(NewSecret(secret))
	send(t, peer, secret+"\r\n"+secret+"\r\n")
	wantLine(t, c, "***")
	c.Unhide()
	wantLine(t, c, secret)
}

// Discard passes over what it is asked to, in the buffer that is there.
func TestDiscard(t *testing.T) {
	c := New(&chunked{text: []byte("head\r\n" + strings.Repeat("x", 1<<20) + "tail\r\n"), sizes: []byte{255, 3}})
	wantLine(t, c, "head")
	if err := c.Discard(0); err != nil {
		t.Error(err)
	}
	if err := c.Discard(1 << 20); err != nil {
		t.Error(err)
	}
	if len(c.buf) > firstBuffer {
		t.Errorf("the buffer has grown to %d bytes", len(c.buf))
	}
	wantLine(t, c, "tail")
	if err := c.Discard(1); err != net.ErrClosed {
		t.Errorf("at the end: %v", err)
	}
}

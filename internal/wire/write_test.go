package wire

import (
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// counted counts the writes of a connection.
type counted struct {
	net.Conn
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// Replies to pipelined commands go out in one write, when the next read has to
// wait.
func TestRepliesAreCollected(t *testing.T) {
	plain, peer := connect(t)
	under := &counted{Conn: plain.NetConn()}
	c := New(under)
	c.ReadTimeout = patience
	send(t, peer, "a\r\nb\r\nc\r\n")
	for _, want := range []string{"a", "b", "c"} {
		wantLine(t, c, want)
		c.Printf("250 %s", want)
	}
	if under.writes != 0 {
		t.Errorf("%d writes before the next read", under.writes)
	}
	_ = peer.CloseWrite()
	if _, err := c.ReadLine(10); err == nil {
		t.Error("read what wasn't sent")
	}
	wantHeard(t, peer, "250 a\r\n250 b\r\n250 c\r\n")
	if under.writes != 1 {
		t.Errorf("%d writes", under.writes)
	}
	if _, err := c.Write([]byte("stream")); err != nil {
		t.Error(err)
	}
	wantHeard(t, peer, "stream")
}

// A client that pipelines commands with long replies and reads none of them
// doesn't make us keep them all.
func TestCollectedRepliesAreBounded(t *testing.T) {
	c := New(&sink{chunked{text: []byte(strings.Repeat("EHLO\n", 3000))}})
	reply := strings.Repeat("x", 300)
	most := 0
	for {
		if _, err := c.ReadLine(10); err != nil {
			break
		}
		c.Printf("%s", reply)
		most = max(most, len(c.out))
	}
	if most > maxCollected+len(reply)+2 {
		t.Errorf("%d bytes were collected", most)
	}
}

// sink is a chunked connection that takes whatever is written.
type sink struct{ chunked }

func (s *sink) SetWriteDeadline(time.Time) error { return nil }
func (s *sink) Write(p []byte) (int, error)      { return len(p), nil }

func TestTrace(t *testing.T) {
	c, peer := connect(t)
	var traced []string
	c.Trace = func(direction, line string) { traced = append(traced, direction+line) }
	c.Printf("AUTH %s", "XOAUTH2")
	c.PrintSecret(NewSecret("dG9rZW4="))
	c.TraceHeard("250 ok")
	if _, err := c.Write([]byte("a message")); err != nil {
		t.Fatal(err)
	}
	wantHeard(t, peer, "AUTH XOAUTH2\r\ndG9rZW4=\r\na message")
	if want := []string{">AUTH XOAUTH2", ">***", "<250 ok"}; !slices.Equal(traced, want) {
		t.Errorf("traced %q, want %q", traced, want)
	}
	if out := c.out[:cap(c.out)]; strings.Contains(string(out), "dG9rZW4=") {
		t.Error("the secret is still in the buffer")
	}
}

func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		defer here.Close()
		c := New(here)
		c.WriteTimeout = 20 * time.Second
		c.Printf("250 ok")
		start := time.Now()
		// The peer doesn't read: the next read fails when its reply can't
		// be sent.
		if _, err := c.ReadLine(10); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// patience is for what should happen at once.
const patience = 30 * time.Second

// relayed is a session that relays: its client and its upstream.
type relayed struct {
	*bubble
	client   net.Conn
	upstream net.Conn
}

// halfCloser can end what it says and go on listening.
type halfCloser interface{ CloseWrite() error }

// startRelay begins a session between two connections; either side has said
// something by then that the relay has to begin with.
func startRelay(t testing.TB, client, clientEnd, upstream, upstreamEnd net.Conn, secure bool) *relayed {
	t.Helper()
	r := &relayed{client: client, upstream: upstream}
	r.bubble = newBubble(t, bare{upstream: upstreamEnd, secure: secure}, nil)
	r.Accept(clientEnd, &r.listener)
	if secure {
		own, _ := certificate()
		r.upstream = tls.Server(upstream, &tls.Config{Certificates: []tls.Certificate{own}})
	}
	said := make(chan error, 2)
	say := func(to net.Conn, text string) {
		_, err := io.WriteString(to, text)
		said <- err
	}
	go say(r.client, "alice secret\r\nearly from client,")
	go say(r.upstream, "hello\r\nearly from upstream,")
	hear(t, r.client, "ready\r\nin\r\nearly from upstream,")
	hear(t, r.upstream, "early from client,")
	for range cap(said) {
		if err := <-said; err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// overTCP is a relay between real connections.
func overTCP(t testing.TB, secure bool) *relayed {
	t.Helper()
	client, clientEnd := tcpPair(t)
	upstream, upstreamEnd := tcpPair(t)
	for _, c := range []net.Conn{client, upstream} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	return startRelay(t, client, clientEnd, upstream, upstreamEnd, secure)
}

// overPipes is a relay in a bubble.
func overPipes(t *testing.T) *relayed {
	t.Helper()
	client, clientEnd := net.Pipe()
	upstream, upstreamEnd := net.Pipe()
	t.Cleanup(func() {
		_ = client.Close()
		_ = upstream.Close()
	})
	return startRelay(t, client, clientEnd, upstream, upstreamEnd, false)
}

func hear(t testing.TB, from net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Fatalf("heard %q, %v; want %q", got[:n], err, want)
	}
}

func say(t testing.TB, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatalf("saying %q: %v", text, err)
	}
}

func hearEnd(t testing.TB, from net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
		t.Fatalf("heard %q, %v; want the end", rest, err)
	}
}

func bothWays(t *testing.T, test func(t *testing.T, r *relayed)) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) { test(t, overTCP(t, secure)) })
	}
}

// Either side may end what it says; the other goes on, and nothing is lost.
func TestRelayHalfClose(t *testing.T) {
	bothWays(t, func(t *testing.T, r *relayed) {
		say(t, r.client, "a5 LOGOUT\r\n")
		_ = r.client.(halfCloser).CloseWrite()
		hear(t, r.upstream, "a5 LOGOUT\r\n")
		hearEnd(t, r.upstream)
		say(t, r.upstream, "* BYE\r\n")
		say(t, r.upstream, "a5 OK\r\n")
		_ = r.upstream.Close()
		hear(t, r.client, "* BYE\r\na5 OK\r\n")
		hearEnd(t, r.client)
	})
	bothWays(t, func(t *testing.T, r *relayed) {
		say(t, r.upstream, "* BYE\r\n")
		_ = r.upstream.(halfCloser).CloseWrite()
		hear(t, r.client, "* BYE\r\n")
		hearEnd(t, r.client)
		say(t, r.client, "a6 NOOP\r\n")
		_ = r.client.Close()
		hear(t, r.upstream, "a6 NOOP\r\n")
		hearEnd(t, r.upstream)
	})
}

// noise returns bytes that are not the same anywhere.
func noise(n int) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(b)
	return b
}

// A client that reads slowly gets all that the upstream has said before it
// closed: more than all the buffers between them hold.
func TestRelaySlowReader(t *testing.T) {
	bothWays(t, func(t *testing.T, r *relayed) {
		want := noise(16 << 20)
		sent := make(chan error, 1)
		go func() {
			_, err := r.upstream.Write(want)
			_ = r.upstream.Close()
			sent <- err
		}()
		got := make([]byte, len(want))
		for n := 0; n < len(got); {
			m, err := r.client.Read(got[n:min(n+1000, len(got))])
			if n += m; err != nil {
				t.Fatalf("after %d of %d bytes: %v", n, len(got), err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Error("the bytes are not the same")
		}
		hearEnd(t, r.client)
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// The same, up: an APPEND to a slow upstream by a client that closes.
func TestRelaySlowUpstream(t *testing.T) {
	bothWays(t, func(t *testing.T, r *relayed) {
		want := noise(16 << 20)
		sent := make(chan error, 1)
		go func() {
			_, err := r.client.Write(want)
			_ = r.client.Close()
			sent <- err
		}()
		got, err := io.ReadAll(bufio.NewReaderSize(r.upstream, 16))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// wantLog waits for the session's end and looks for a line in the log.
func wantLog(t *testing.T, r *relayed, want string) {
	t.Helper()
	r.stop()
	if log := r.log.String(); !strings.Contains(log, want) {
		t.Errorf("the log has no %q:\n%s", want, log)
	}
}

// The last line of a session counts the bytes that went either way.
func TestRelayCounts(t *testing.T) {
	r := overTCP(t, false)
	say(t, r.client, "12345")
	hear(t, r.upstream, "12345")
	say(t, r.upstream, strings.Repeat("x", 100_000))
	hear(t, r.client, strings.Repeat("x", 100_000))
	_ = r.client.Close()
	hearEnd(t, r.upstream)
	_ = r.upstream.Close()
	up, down := len("early from client,")+5, len("early from upstream,")+100_000
	wantLog(t, r, fmt.Sprintf("bytes_up=%d bytes_down=%d", up, down))
}

// A session may be idle for 65 minutes, and for as long again after each byte.
func TestRelayIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := overPipes(t)
		for i := range 6 {
			time.Sleep(64 * time.Minute)
			if i%2 == 0 {
				say(t, r.client, "DONE")
				hear(t, r.upstream, "DONE")
			} else {
				say(t, r.upstream, "* OK still here")
				hear(t, r.client, "* OK still here")
			}
		}
		start := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, r.upstream)
		}()
		hearEnd(t, r.client)
		<-ended
		// And half a minute for the side that notices later.
		if took := time.Since(start); took < 65*time.Minute || took > 65*time.Minute+30*time.Second {
			t.Errorf("the session ended after %v", took)
		}
	})
}

// When one side has ended, the other may go on for as long as something moves.
func TestRelayDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := overPipes(t)
		_ = r.upstream.Close()
		// net.Pipe knows no half of an end: the client's words go nowhere.
		start := time.Now()
		hearEnd(t, r.client)
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("the session ended after %v", took)
		}
	})
}

// A client that doesn't read holds up its upstream, and no memory: the session
// ends when nothing has moved for ten minutes.
func TestRelayStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := overPipes(t)
		start := time.Now()
		taken, err := io.Copy(r.upstream, endless{})
		if err == nil {
			t.Error("the upstream can say without end what nobody reads")
		}
		if taken > 1<<20 {
			t.Errorf("%d bytes were taken from the upstream", taken)
		}
		if took := time.Since(start); took != 10*time.Minute {
			t.Errorf("the session ended after %v", took)
		}
		if _, err := io.ReadAll(r.client); err != nil {
			t.Error(err)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

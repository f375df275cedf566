package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
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

// An upstream that dies: what it has said arrives, and then the end, without a
// word of ours.
func TestRelayUpstreamReset(t *testing.T) {
	client, clientEnd := tcpPair(t)
	upstream, upstreamEnd := tcpPair(t)
	r := startRelay(t, client, clientEnd, upstream, upstreamEnd, false)
	say(t, upstream, "* 1 EXISTS\r\n")
	hear(t, client, "* 1 EXISTS\r\n")
	_ = upstream.SetLinger(0)
	_ = upstream.Close()
	hearEnd(t, client)
	_ = client.Close()
	wantLog(t, r, "session ended early")
}

// A client that dies takes its upstream connection with it.
func TestRelayClientReset(t *testing.T) {
	client, clientEnd := tcpPair(t)
	upstream, upstreamEnd := tcpPair(t)
	r := startRelay(t, client, clientEnd, upstream, upstreamEnd, false)
	_ = client.SetLinger(0)
	_ = client.Close()
	if rest, err := io.ReadAll(upstream); len(rest) > 0 {
		t.Errorf("the upstream hears %q, %v", rest, err)
	}
	wantLog(t, r, "session ended early")
}

// dying is the connection of a client that dies: it can't be written to, and
// behind what the client has said there is a reset.
type dying struct{ net.Conn }

func (d dying) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	if err == io.EOF {
		err = syscall.ECONNRESET
	}
	return n, err
}

func (d dying) Write(p []byte) (int, error) {
	if string(p) == "ready\r\n" || strings.HasPrefix(string(p), "in\r\n") || strings.HasPrefix(string(p), "early") {
		return d.Conn.Write(p)
	}
	return 0, syscall.EPIPE
}

// A client that dies in the same breath as its last command: an upstream that
// reads slowly gets all of it, though it talks to a client that is gone.
func TestRelayLastCommand(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			client, clientEnd := tcpPair(t)
			upstream, upstreamEnd := tcpPair(t)
			r := startRelay(t, client, dying{clientEnd}, upstream, upstreamEnd, secure)
			want := noise(8 << 20)
			said := make(chan error, 1)
			go func() {
				_, err := client.Write(want)
				_ = client.CloseWrite()
				said <- err
			}()
			say(t, r.upstream, "* 1 EXISTS\r\n")
			got := make([]byte, 1000)
			if _, err := io.ReadFull(r.upstream, got); err != nil {
				t.Fatal(err)
			}
			say(t, r.upstream, "* 2 EXISTS\r\n")
			rest, err := io.ReadAll(r.upstream)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(append(got, rest...), want) {
				t.Errorf("%d of %d bytes, %v", len(got)+len(rest), len(want), err)
			}
			_ = upstream.Close()
			if err := <-said; err != nil {
				t.Error(err)
			}
		})
	}
}

// broken is a connection that can't be written to any more.
type broken struct {
	net.Conn
	now atomic.Bool
}

func (b *broken) Write(p []byte) (int, error) {
	if b.now.Load() {
		return 0, syscall.EPIPE
	}
	return b.Conn.Write(p)
}

// An upstream that hears nothing any more may still be heard: the client gets
// its last words, and may go on talking meanwhile.
func TestRelayLastWords(t *testing.T) {
	client, clientEnd := tcpPair(t)
	upstream, tcp := tcpPair(t)
	upstreamEnd := &broken{Conn: tcp}
	r := startRelay(t, client, clientEnd, upstream, upstreamEnd, false)
	upstreamEnd.now.Store(true)
	for range 3 {
		say(t, client, strings.Repeat("a5 NOOP\r\n", 1000))
	}
	say(t, upstream, "* BYE Session invalidated - AccessTokenExpired\r\n")
	_ = upstream.Close()
	hear(t, client, "* BYE Session invalidated - AccessTokenExpired\r\n")
	hearEnd(t, client)
	_ = client.Close()
	wantLog(t, r, "session ended early")
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
	wantLog(t, r, fmt.Sprintf("up=%d down=%d", up, down))
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

// When the proxy stops, a session that is idle ends after a moment; one in
// which something moves goes on until its next pause.
func TestRelayShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := overPipes(t)
		stopped := make(chan struct{})
		start := time.Now()
		go func() {
			defer close(stopped)
			r.Shutdown(t.Context())
		}()
		for range 20 {
			time.Sleep(900 * time.Millisecond)
			say(t, r.upstream, "a line of a large message\r\n")
			hear(t, r.client, "a line of a large message\r\n")
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, r.upstream)
		}()
		hearEnd(t, r.client)
		<-ended
		<-stopped
		if took, want := time.Since(start), 19*time.Second; took != want {
			t.Errorf("stopped after %v, want %v", took, want)
		}
	})
}

// A session in which something is due isn't cut at the first pause: not while
// a command waits for its answer, and not within a line.
func TestRelayShutdownInTheMiddle(t *testing.T) {
	tests := []struct {
		name string
		due  func(t *testing.T, r *relayed)
		done func(t *testing.T, r *relayed)
	}{
		{"a command", func(t *testing.T, r *relayed) {
			say(t, r.client, "a5 APPEND Drafts {3+}\r\nabc\r\n")
			hear(t, r.upstream, "a5 APPEND Drafts {3+}\r\nabc\r\n")
		}, func(t *testing.T, r *relayed) {
			say(t, r.upstream, "a5 OK\r\n")
			hear(t, r.client, "a5 OK\r\n")
		}},
		{"half a literal", func(t *testing.T, r *relayed) {
			say(t, r.upstream, "* 1 FETCH (BODY[] {6}\r\nab")
			hear(t, r.client, "* 1 FETCH (BODY[] {6}\r\nab")
		}, func(t *testing.T, r *relayed) {
			say(t, r.upstream, "cdef)\r\n")
			hear(t, r.client, "cdef)\r\n")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := overPipes(t)
				stopped := make(chan struct{})
				start := time.Now()
				go func() {
					defer close(stopped)
					r.Shutdown(t.Context())
				}()
				test.due(t, r)
				time.Sleep(8 * time.Second)
				test.done(t, r)
				go func() { _, _ = io.Copy(io.Discard, r.upstream) }()
				hearEnd(t, r.client)
				<-stopped
				if took, want := time.Since(start), 9*time.Second; took != want {
					t.Errorf("stopped after %v, want %v", took, want)
				}
			})
		})
	}
}

// A server that closes TCP without a word of TLS has ended all the same.
func TestRelayEndWithoutCloseNotify(t *testing.T) {
	r := overTCP(t, true)
	say(t, r.upstream, "\r\ngoodbye\r\n")
	hear(t, r.client, "\r\ngoodbye\r\n")
	_ = r.upstream.(*tls.Conn).NetConn().(halfCloser).CloseWrite()
	hearEnd(t, r.client)
	_ = r.client.Close()
	r.stop()
	if log := r.log.String(); strings.Contains(log, "ended early") {
		t.Errorf("the log complains:\n%s", log)
	}
	if _, err := io.ReadAll(r.upstream); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

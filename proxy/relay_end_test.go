package proxy_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

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

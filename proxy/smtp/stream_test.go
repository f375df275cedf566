package smtp

import (
	"errors"
	"io"
	"net"
	"testing"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// theatre is a stream between pipes, on which a write returns when the stream
// has read it: what happens first is certain.
type theatre struct {
	client, upstream net.Conn
	up               *wire.Conn
	stream           *stream
}

func newTheatre(t *testing.T) *theatre {
	t.Helper()
	client, clientEnd := net.Pipe()
	upstream, upstreamEnd := net.Pipe()
	t.Cleanup(func() {
		_ = client.Close()
		_ = upstream.Close()
	})
	return &theatre{client, upstream, wire.New(upstreamEnd), newStream(wire.New(clientEnd))}
}

// play has the client say the first half, the upstream its word when it has
// heard that, and the client the rest. It returns what becomes of it, and what
// the upstream has heard of the rest.
func (h *theatre) play(word func(upstream net.Conn)) (verdict reply, heard string, err error) {
	over, rest := make(chan struct{}), make(chan string)
	go func() {
		defer close(over)
		verdict, err = h.stream.relay(h.up)
		h.up.Abort()
	}()
	const half = "first half\r\n"
	_, _ = io.WriteString(h.client, half)
	_, _ = io.ReadFull(h.upstream, make([]byte, len(half)))
	word(h.upstream)
	go func() {
		text, _ := io.ReadAll(h.upstream)
		rest <- string(text)
	}()
	_, _ = io.WriteString(h.client, "second half\r\n")
	_, _ = io.WriteString(h.client, ".\r\nNOOP\r\n")
	<-over
	return verdict, <-rest, err
}

// Exchange may say no before the end of the message: that stands, and the end
// of the data isn't sent.
func TestEarlyNo(t *testing.T) {
	h := newTheatre(t)
	verdict, heard, err := h.play(func(upstream net.Conn) {
		_, _ = io.WriteString(upstream, "552 5.3.4 Message size exceeds fixed maximum message size\r\n")
	})
	if err != nil || verdict.code != 552 || !h.stream.early || h.stream.complete {
		t.Errorf("verdict %+v, %v", verdict, err)
	}
	if heard != "second half\r\n" {
		t.Errorf("the upstream hears %q", heard)
	}
	if next, err := h.stream.client.ReadLine(100); err != nil || string(next) != "NOOP" {
		t.Errorf("behind the message: %q, %v", next, err)
	}
}

// A yes to half a message is no verdict, and neither is anything else.
func TestEarlyNonsense(t *testing.T) {
	for _, word := range []string{"250 2.0.0 OK\r\n", "354 go on\r\n", "banana\r\n"} {
		h := newTheatre(t)
		verdict, heard, err := h.play(func(upstream net.Conn) { _, _ = io.WriteString(upstream, word) })
		if f, ok := errors.AsType[*proxy.Failure](err); !ok || f.Kind != proxy.UpstreamProtocol {
			t.Errorf("%q: verdict %+v, %v", word, verdict, err)
		}
		if heard != "second half\r\n" {
			t.Errorf("%q: the upstream hears %q", word, heard)
		}
	}
}

// When the upstream is gone the client is heard out all the same: it listens
// for a reply at the end alone.
func TestEarlyEnd(t *testing.T) {
	h := newTheatre(t)
	verdict, heard, err := h.play(func(upstream net.Conn) { _ = upstream.Close() })
	if err == nil || errors.Is(err, errClient) || h.stream.complete {
		t.Errorf("verdict %+v, %v", verdict, err)
	}
	if heard != "" {
		t.Errorf("the upstream hears %q", heard)
	}
	if next, err := h.stream.client.ReadLine(100); err != nil || string(next) != "NOOP" {
		t.Errorf("behind the message: %q, %v", next, err)
	}
}

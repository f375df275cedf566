package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// relayIdle ends a session in which neither side has said anything for
	// so long. IMAP asks for 30 minutes at least (RFC 9051 section 5.4),
	// IDLE is renewed within 29 (RFC 2177), POP3 asks for 10 (RFC 1939
	// section 3).
	relayIdle = 65 * time.Minute
	// relayDrain is how long, without progress, one direction may go on
	// after the other has ended.
	relayDrain = 30 * time.Second
	// relayStall is how long one write may be stuck in a peer that does not
	// read.
	relayStall = 10 * time.Minute
	// relayQuiet is the pause after which a session that is idle may be cut
	// when the proxy stops.
	relayQuiet = time.Second

	// A direction that is idle holds a small buffer. It borrows a large one
	// when the small one has been filled, and gives it back after the first
	// pause of burstPause: thousands of idle sessions cost little, a large
	// message moves in large pieces.
	smallBuffer = 512
	largeBuffer = 64 << 10
	burstPause  = 50 * time.Millisecond
)

var errIdle = fmt.Errorf("nothing was said for %v", relayIdle)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// relay copies bytes both ways until both sides have ended. It changes,
// inserts and keeps nothing.
type relay struct {
	client, upstream *wire.Conn
	lastMoved        atomic.Int64 // Unix nanoseconds
	halfDone         atomic.Bool  // one direction has ended
	up, down         int64
}

// Relay hands the session over to a byte relay between the client and the
// upstream, beginning with what either side has been heard saying already. An
// end of one side is passed on as an end of that direction alone.
func (s *Session) Relay(ctx context.Context, upstream *wire.Conn) error {
	defer upstream.Abort()
	stop := context.AfterFunc(ctx, upstream.Abort)
	defer stop()
	fromClient, err := s.Client.Buffered()
	if err != nil {
		return err
	}
	fromUpstream, err := upstream.Buffered()
	if err != nil {
		return err
	}
	r := &relay{client: s.Client, upstream: upstream}
	r.lastMoved.Store(time.Now().UnixNano())
	downErr := make(chan error, 1)
	go func() { downErr <- r.toClient(fromUpstream) }()
	upErr := r.toUpstream(fromClient)
	err = errors.Join(upErr, <-downErr)
	s.up, s.down = r.up, r.down
	return err
}

// toUpstream moves what the client says.
func (r *relay) toUpstream(ahead []byte) error {
	err := r.move(r.upstream, r.client, ahead, &r.up)
	var unwritten *writeError
	switch {
	case err == nil:
		closeWrite(r.upstream.NetConn())
	case errors.As(err, &unwritten):
		// The upstream is gone, but what it has said before it went is
		// still on its way. The client is heard out meanwhile: closing on
		// unread input would be a reset, which drops what is under way.
		r.discard(r.client)
	default:
		r.upstream.Abort()
	}
	r.ended(r.upstream)
	return named("client to upstream", err)
}

// toClient moves what the upstream says.
func (r *relay) toClient(ahead []byte) error {
	err := r.move(r.client, r.upstream, ahead, &r.down)
	var unwritten *writeError
	if errors.As(err, &unwritten) {
		r.client.Abort()
		r.upstream.Abort()
	} else {
		// Nothing can be said to the client inside a relayed stream, even
		// when the upstream's end was no proper one: it just ends.
		closeWrite(r.client.NetConn())
	}
	r.ended(r.client)
	return named("upstream to client", err)
}

// ended notes that one direction has ended, and wakes the other, whose read
// of c may have been given an hour.
func (r *relay) ended(c *wire.Conn) {
	r.halfDone.Store(true)
	_ = c.NetConn().SetReadDeadline(time.Now().Add(r.patience()))
}

func named(direction string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("relay from %s: %w", direction, err)
}

// writeError is an error of the side that is written to.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// move copies until from ends, which is no error.
func (r *relay) move(toConn, from *wire.Conn, ahead []byte, moved *int64) error {
	to := toConn.NetConn()
	if err := r.write(to, ahead, moved); err != nil {
		return err
	}
	small := make([]byte, smallBuffer)
	for {
		n, err := r.read(from, small)
		if werr := r.write(to, small[:n], moved); werr != nil {
			return werr
		}
		if err == nil && n == len(small) {
			err = r.burst(to, from.NetConn(), moved)
		}
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// read waits for bytes as long as the session may be idle; a wait that ends
// what has to end anyway counts as the peer's end.
func (r *relay) read(from *wire.Conn, p []byte) (int, error) {
	for {
		patience := r.patience()
		if err := from.NetConn().SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, err
		}
		if r.patience() < patience {
			continue // whoever shortened it may have set its deadline before ours
		}
		n, err := from.NetConn().Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if time.Since(time.Unix(0, r.lastMoved.Load())) < r.patience() {
			continue
		}
		if r.stopping() || r.halfDone.Load() {
			return 0, io.EOF
		}
		return 0, errIdle
	}
}

// discard reads until the peer ends or the session has been quiet for long.
func (r *relay) discard(from *wire.Conn) {
	small := make([]byte, smallBuffer)
	for {
		if _, err := r.read(from, small); err != nil {
			return
		}
	}
}

// patience is how long the session may be idle as things stand.
func (r *relay) patience() time.Duration {
	switch {
	case r.stopping():
		return relayQuiet
	case r.halfDone.Load():
		return relayDrain
	}
	return relayIdle
}

// stopping tells whether the proxy wants the session to end at its next pause.
func (r *relay) stopping() bool { return r.client.Interrupted() }

// burst moves what comes without a pause, through a large buffer.
func (r *relay) burst(to, from net.Conn, moved *int64) error {
	large := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(large)
	for {
		if err := from.SetReadDeadline(time.Now().Add(burstPause)); err != nil {
			return err
		}
		n, err := from.Read(large[:])
		if werr := r.write(to, large[:n], moved); werr != nil {
			return werr
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *relay) write(to net.Conn, p []byte, moved *int64) error {
	if len(p) == 0 {
		return nil
	}
	now := time.Now()
	r.lastMoved.Store(now.UnixNano())
	if err := to.SetWriteDeadline(now.Add(relayStall)); err != nil {
		return &writeError{err}
	}
	n, err := to.Write(p)
	*moved += int64(n)
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// closeWrite ends our side of a connection and leaves the peer's open.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// isEnd tells whether a read has met the peer's end. Many servers close TCP
// without TLS's close_notify, which crypto/tls reports as an unexpected EOF.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// A direction that is idle holds a small buffer. It borrows a large one
	// when the small one has been filled, and gives it back after the first
	// pause of burstPause: thousands of idle sessions cost little, a large
	// message moves in large pieces.
	smallBuffer = 512
	largeBuffer = 64 << 10
	burstPause  = 50 * time.Millisecond
)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// writeError is an error of the side that is written to.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

func isUnwritten(err error) bool {
	_, ok := errors.AsType[*writeError](err)
	return ok
}

// direction is one of the two ways of the bytes.
type direction struct {
	*relay
	from, to net.Conn
	moved    *atomic.Int64
	counted  *atomic.Uint64 // of the protocol
	passing  func(p []byte) // is told what passes
}

// move copies until from ends, which is no error.
func (r *relay) move(from, to *wire.Conn, ahead []byte, moved *atomic.Int64, counted *atomic.Uint64, passing func([]byte)) error {
	d := &direction{relay: r, from: from.NetConn(), to: to.NetConn(), moved: moved, counted: counted, passing: passing}
	if err := d.write(ahead); err != nil {
		return err
	}
	small := make([]byte, smallBuffer)
	for {
		n, err := r.read(d.from, small)
		if werr := d.write(small[:n]); werr != nil {
			return werr
		}
		if err == nil && n == len(small) {
			err = d.burst()
		}
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// burst moves what comes without a pause, through a large buffer.
func (d *direction) burst() error {
	large := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(large)
	for {
		if err := d.from.SetReadDeadline(time.Now().Add(burstPause)); err != nil {
			return err
		}
		n, err := d.from.Read(large[:])
		if werr := d.write(large[:n]); werr != nil {
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

func (d *direction) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	d.passing(p)
	if err := d.to.SetWriteDeadline(d.moves().Add(relayStall)); err != nil {
		return &writeError{err}
	}
	n, err := d.to.Write(p)
	d.moves() // once more: that may have taken minutes
	d.moved.Add(int64(n))
	d.counted.Add(uint64(n))
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// read waits for bytes as long as the session may be idle.
func (r *relay) read(from net.Conn, p []byte) (int, error) {
	for {
		patience := r.patience()
		if err := from.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, err
		}
		if r.patience() < patience {
			continue // whoever shortened it may have set its deadline before ours
		}
		n, err := from.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if r.unmoved() < r.patience() {
			continue
		}
		if r.stopping() || r.halfDone.Load() {
			return 0, errQuiet
		}
		return 0, errIdle
	}
}

// discard reads, up to a number of bytes, until the peer ends, falls silent
// for long after the other direction has ended, or goes on for too long.
func (r *relay) discard(from *wire.Conn, most int64) {
	large := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(large)
	for most > 0 {
		n, err := r.read(from.NetConn(), large[:])
		if err != nil || r.halfDone.Load() && r.unmoved() > relayStall {
			return
		}
		most -= int64(n)
	}
}

// moves notes that something moves.
func (r *relay) moves() time.Time {
	now := time.Now()
	r.lastMoved.Store(now.UnixNano())
	return now
}

// unmoved is for how long nothing has moved.
func (r *relay) unmoved() time.Duration { return time.Since(time.Unix(0, r.lastMoved.Load())) }

// isEnd tells whether a read has met the peer's end. Many servers close TCP
// without TLS's close_notify, which crypto/tls reports as an unexpected EOF.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

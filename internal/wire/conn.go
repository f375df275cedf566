// Package wire holds a line-reading network connection and the type of secret
// values.
//
// A Conn bounds everything it reads and gives each read and write a deadline.
// It is the one place where a connection changes to TLS, and the one place
// where bytes read ahead are handed over when a dialogue ends and a relay
// begins: nothing that arrived in clear is parsed after a handshake, and
// nothing that was read ahead is lost.
package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of reading. Network errors come through as they are.
var (
	// ErrTooLong means that a line was longer than its bound. The line has
	// been skipped; the connection can go on.
	ErrTooLong = errors.New("line too long")
	// ErrFlood means that a line went on far beyond its bound, or that more
	// was announced than is ever read. The connection has to be closed.
	ErrFlood = errors.New("line without end")
	// ErrInterrupted means that Interrupt ended the read.
	ErrInterrupted = errors.New("interrupted")
)

const (
	firstBuffer = 4 << 10 // of a new connection
	maxBuffer   = 64 << 10
	maxSkipped  = 1 << 20 // of an overlong line, before it counts as a flood
	// maxCollected bounds the replies to pipelined commands, which are longer
	// than these: whoever doesn't read them isn't read from either.
	maxCollected = 4 << 10
)

var firstBuffers = sync.Pool{New: func() any { return new([firstBuffer]byte) }}

// Conn reads lines from a connection and writes replies to it. Replies are
// collected and go out in one write when the next read has to wait, so that
// pipelined commands are answered together. A Conn is used by one goroutine at
// a time; only Interrupt, Abort and Moved may be called by another.
type Conn struct {
	// ReadTimeout bounds the wait for a whole line or literal,
	// WriteTimeout for a write to get through. Zero means no bound.
	ReadTimeout, WriteTimeout time.Duration
	// Trace, when set, hears each line that the dialogue calls traceable;
	// what is secret is not among them.
	Trace func(direction, line string)

	conn        net.Conn // TCP, or TLS over it
	raw         net.Conn // TCP
	limit       time.Time
	buf         []byte // read-ahead is buf[start:end]
	start, end  int
	first       *[firstBuffer]byte
	out         []byte
	interrupted atomic.Bool
	shielded    bool
	watch       *watch
	told        []Secret // what the peer may repeat and no log may hold
	read, sent  atomic.Int64
}

// New returns a Conn over c.
func New(c net.Conn) *Conn {
	return &Conn{conn: c, raw: rawConn(c)}
}

// rawConn returns the connection below TLS.
func rawConn(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// NetConn returns the connection that is read from and written to: TCP, or
// TLS over it. Whoever uses it directly takes Buffered first.
func (c *Conn) NetConn() net.Conn { return c.conn }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetLimit sets a time at which every read and write fails, whatever their
// timeouts; the zero time takes it away.
func (c *Conn) SetLimit(t time.Time) { c.limit = t }

// ReadLine returns the next line without its end, which is CRLF or a bare LF:
// before the message, old programs send either. The slice is valid until the
// next read. A line of more than max bytes is skipped and gives ErrTooLong.
func (c *Conn) ReadLine(max int) ([]byte, error) {
	if len(c.out) >= maxCollected {
		if err := c.Flush(); err != nil {
			return nil, err
		}
	}
	deadline := c.deadline(c.ReadTimeout)
	searched := 0
	for {
		if i := bytes.IndexByte(c.buf[c.start+searched:c.end], '\n'); i >= 0 {
			line := c.buf[c.start : c.start+searched+i]
			c.start += searched + i + 1
			line = bytes.TrimSuffix(line, []byte{'\r'})
			if len(line) > max {
				return nil, ErrTooLong
			}
			return c.hide(line), nil
		}
		searched = c.end - c.start
		if searched > max+1 {
			return nil, c.skipLine(deadline)
		}
		if err := c.fill(deadline); err != nil {
			return nil, err
		}
	}
}

// skipLine drops the rest of an overlong line.
func (c *Conn) skipLine(deadline time.Time) error {
	for skipped := 0; skipped < maxSkipped; {
		if i := bytes.IndexByte(c.buf[c.start:c.end], '\n'); i >= 0 {
			c.start += i + 1
			return ErrTooLong
		}
		skipped += c.end - c.start
		c.start, c.end = 0, 0
		if err := c.fill(deadline); err != nil {
			return err
		}
	}
	return ErrFlood
}

// ReadFull returns exactly n bytes, as they come. The slice is valid until the
// next read. n is bounded by 64 KiB: more gives ErrFlood.
func (c *Conn) ReadFull(n int) ([]byte, error) {
	if n < 0 || n > maxBuffer {
		return nil, ErrFlood
	}
	deadline := c.deadline(c.ReadTimeout)
	for c.end-c.start < n {
		if err := c.fill(deadline); err != nil {
			return nil, err
		}
	}
	data := c.buf[c.start : c.start+n]
	c.start += n
	return data, nil
}

// Discard passes over exactly n bytes, as they come, in the buffer there is.
func (c *Conn) Discard(n int) error {
	deadline := c.deadline(c.ReadTimeout)
	for {
		taken := min(n, c.end-c.start)
		c.start += taken
		if n -= taken; n == 0 {
			return nil
		}
		if err := c.fill(deadline); err != nil {
			return err
		}
	}
}

// Read returns what has been read ahead, or else reads from the connection
// once. It serves streams: collected replies are flushed first, and while the
// connection is shielded Interrupt waits.
func (c *Conn) Read(p []byte) (int, error) {
	if c.start < c.end {
		n := copy(p, c.buf[c.start:c.end])
		c.start += n
		return n, nil
	}
	deadline := c.deadline(c.ReadTimeout)
	for {
		if err := c.beforeRead(deadline); err != nil {
			return 0, err
		}
		n, err := c.conn.Read(p)
		c.read.Add(int64(n))
		if n == 0 && c.shielded && errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline) {
			continue // Interrupt's deadline, not ours
		}
		return n, c.readError(err)
	}
}

// Unread puts bytes back that Read has returned last: they are read next.
func (c *Conn) Unread(p []byte) {
	if len(p) == 0 {
		return
	}
	ahead := append(bytes.Clone(p), c.buf[c.start:c.end]...)
	c.forget()
	c.buf, c.end = ahead, len(ahead)
}

// Shield lets reads go on though Interrupt is or was called, until it is taken
// away: for the message of a transaction, which is not to be cut.
func (c *Conn) Shield(on bool) { c.shielded = on }

// NextIs tells whether a whole further line has been read ahead that begins
// with the word, whatever its case.
func (c *Conn) NextIs(word string) bool {
	ahead := c.buf[c.start:c.end]
	return c.HasLine() && len(ahead) > len(word) && bytes.EqualFold(ahead[:len(word)], []byte(word))
}

// HasLine tells whether a whole further line has been read ahead.
func (c *Conn) HasLine() bool {
	return bytes.IndexByte(c.buf[c.start:c.end], '\n') >= 0
}

// Ahead returns how many bytes have been read ahead.
func (c *Conn) Ahead() int { return c.end - c.start }

// fill reads once into the free part of the buffer, which grows as needed.
func (c *Conn) fill(deadline time.Time) error {
	if err := c.beforeRead(deadline); err != nil {
		return err
	}
	c.makeRoom()
	n, err := c.conn.Read(c.buf[c.end:])
	c.end += n
	c.read.Add(int64(n))
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return c.readError(err)
}

// beforeRead flushes, ends a watch and arms the deadline. The order of the
// last two steps matters: whichever way Interrupt falls between them, the read
// that follows ends.
func (c *Conn) beforeRead(deadline time.Time) error {
	if err := c.Flush(); err != nil {
		return err
	}
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	if c.interrupted.Load() && !c.shielded {
		return ErrInterrupted
	}
	return nil
}

func (c *Conn) readError(err error) error {
	if err != nil && c.interrupted.Load() && !c.shielded {
		return ErrInterrupted
	}
	return err
}

// makeRoom leaves free space at the end of the buffer.
func (c *Conn) makeRoom() {
	switch {
	case c.buf == nil:
		c.first = firstBuffers.Get().(*[firstBuffer]byte)
		c.buf = c.first[:]
	case c.start == c.end:
		c.start, c.end = 0, 0
	case c.end == len(c.buf) && c.start > 0:
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
	case c.end == len(c.buf):
		larger := make([]byte, 2*len(c.buf))
		copy(larger, c.buf)
		c.dropFirst()
		c.buf = larger
	}
}

// dropFirst gives the first buffer back. It may have held a password.
func (c *Conn) dropFirst() {
	if c.first != nil {
		clear(c.first[:])
		firstBuffers.Put(c.first)
		c.first = nil
	}
}

// Buffered returns what has been read ahead, as a copy, and gives the buffers
// back: the hand-over to a relay. Collected replies are flushed.
func (c *Conn) Buffered() ([]byte, error) {
	if err := c.Flush(); err != nil {
		return nil, err
	}
	ahead := bytes.Clone(c.buf[c.start:c.end])
	c.forget()
	c.out = nil
	return ahead, nil
}

// forget drops what has been read ahead.
func (c *Conn) forget() {
	c.dropFirst()
	c.buf, c.start, c.end = nil, 0, 0
}

// deadline returns the time by which a step of at most timeout has to end.
func (c *Conn) deadline(timeout time.Duration) time.Time {
	if timeout <= 0 {
		return c.limit
	}
	t := time.Now().Add(timeout)
	if !c.limit.IsZero() && c.limit.Before(t) {
		return c.limit
	}
	return t
}

// Interrupt makes the current read and all later ones fail with
// ErrInterrupted. Writes still work, so that the peer can be told why.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	// The TCP deadline is the one that TLS reads wait on, and setting it
	// needs none of the fields that the session's goroutine may be changing.
	_ = c.raw.SetReadDeadline(time.Unix(1, 0))
}

// Moved returns how many bytes have been read from the peer and written to it,
// inside TLS; what goes by NetConn isn't among them. Anybody may call it.
func (c *Conn) Moved() (read, sent int64) { return c.read.Load(), c.sent.Load() }

// Interrupted tells whether Interrupt has been called.
func (c *Conn) Interrupted() bool { return c.interrupted.Load() }

// Abort closes the TCP connection at once, without a word.
func (c *Conn) Abort() { _ = c.raw.Close() }

// Close flushes what can be flushed and closes: over TLS with close_notify.
func (c *Conn) Close() error {
	_ = c.Flush()
	c.forget()
	return c.conn.Close()
}

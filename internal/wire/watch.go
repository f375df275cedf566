package wire

import (
	"errors"
	"os"
	"time"
)

// watch is a read that goes on while nobody waits for its result.
type watch struct {
	done chan struct{} // closed when the read has ended
	n    int           // what it read, and
	err  error         // how it ended; valid once done is closed
}

// Watch begins to read in the background from a connection that has nothing
// to say, such as an upstream between two transactions. Its health is then
// known without a round trip: the read has returned nothing. The channel is
// closed when it has returned. Nobody else may read from the connection before
// Unwatch.
func (c *Conn) Watch() (ended <-chan struct{}) {
	w := &watch{done: make(chan struct{})}
	c.watch = w
	if w.err = c.beforeRead(c.limit); w.err != nil {
		close(w.done)
		return w.done
	}
	c.makeRoom()
	room := c.buf[c.end:]
	go func() {
		defer close(w.done)
		w.n, w.err = c.conn.Read(room)
	}()
	return w.done
}

// Unwatch ends the watch. spoke tells that the peer has said something, since
// then or before, which the next read returns; err is what has ended the
// connection, if anything has.
func (c *Conn) Unwatch() (spoke bool, err error) {
	w := c.watch
	c.watch = nil
	// A deadline in the past ends a read that has returned nothing, and
	// does a TLS connection no harm: only failed writes do.
	_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	<-w.done
	c.end += w.n
	if errors.Is(w.err, os.ErrDeadlineExceeded) {
		w.err = nil
	}
	return c.start != c.end, c.readError(w.err)
}

package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	// maxLine bounds a command line. Tokens of 5,000 characters and more must
	// fit; RFC 4954 section 4 asks for 12,288 octets.
	maxLine = 16 << 10

	// handshakeTimeout bounds a TLS handshake.
	handshakeTimeout = 30 * time.Second

	// readTimeout bounds the wait for a client: RFC 5321 section 4.5.3.2.7
	// asks for 5 minutes at least, RFC 1939 section 3 for 10.
	readTimeout = 10 * time.Minute

	// writeTimeout bounds one write to a client that has stopped reading.
	writeTimeout = 5 * time.Minute
)

// errLineTooLong is returned for a line of more than maxLine bytes.
var errLineTooLong = errors.New("line too long")

// lineConn is a connection with a client that speaks in lines. What it owes
// the client is sent whenever it is about to wait for the client, so replies
// to pipelined commands leave together.
type lineConn struct {
	ctx   context.Context // done when the stand-in closes
	conn  net.Conn        // a *tls.Conn once TLS has been started
	r     *bufio.Reader
	w     *bufio.Writer
	delay time.Duration // before each line that is sent (slow@)

	timeout time.Duration // of one wait for the client
	closing bool          // the connection ends, nothing more is read
	fault   MailFault     // of its listener
}

func newLineConn(ctx context.Context, conn net.Conn) *lineConn {
	c := &lineConn{ctx: ctx, conn: conn, timeout: readTimeout}
	c.r = bufio.NewReaderSize(ioFunc(c.fill), maxLine)
	c.w = bufio.NewWriterSize(ioFunc(c.drain), maxLine)
	return c
}

// ioFunc makes a Reader or a Writer of a function.
type ioFunc func([]byte) (int, error)

func (f ioFunc) Read(p []byte) (int, error)  { return f(p) }
func (f ioFunc) Write(p []byte) (int, error) { return f(p) }

// fill reads from the network, after sending what the client is owed.
func (c *lineConn) fill(p []byte) (int, error) {
	if err := c.w.Flush(); err != nil {
		return 0, err
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.conn.Read(p)
}

// drain writes to the network.
func (c *lineConn) drain(p []byte) (int, error) {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.conn.Write(p)
}

// readLine returns the client's next line without its line end.
func (c *lineConn) readLine() (string, error) {
	line, err := c.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errLineTooLong
	}
	if err != nil {
		return "", err
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r"))), nil
}

// ask sends a line and returns the client's answer. When there is none the
// connection is closing.
func (c *lineConn) ask(format string, args ...any) (answer string) {
	c.writeLine(format, args...)
	answer, err := c.readLine()
	c.closing = err != nil
	return answer
}

// writeLine sends a line, at the latest before the client is waited for. A
// failed write shows at the next read.
func (c *lineConn) writeLine(format string, args ...any) {
	c.pause(c.delay)
	fmt.Fprintf(c.w, format+"\r\n", args...)
}

// pause waits, or returns early when the stand-in closes.
func (c *lineConn) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	// What was said before must not wait with us.
	c.w.Flush()
	select {
	case <-time.After(d):
	case <-c.ctx.Done():
	}
}

// startTLS does the server's half of a TLS handshake. Bytes that arrived
// before it are thrown away: they were not protected (RFC 3207 section 4.2).
// When it fails the connection is closing.
func (c *lineConn) startTLS(config *tls.Config) {
	c.w.Flush()
	c.r.Discard(c.r.Buffered())
	conn := tls.Server(c.conn, config)
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		c.closing = true
		return
	}
	c.conn = conn
}

// stall says nothing more and waits until the client gives up.
func (c *lineConn) stall() {
	io.Copy(io.Discard, c.r)
	c.closing = true
}

// cutWord splits line at its first run of spaces.
func cutWord(line string) (word, rest string) {
	word, rest, _ = strings.Cut(line, " ")
	return word, strings.TrimLeft(rest, " ")
}

package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// ErrInjected means that the upstream sent something between its agreement to
// STARTTLS and the handshake: it came in clear, perhaps from somebody else.
var ErrInjected = errors.New("data in clear after the reply to STARTTLS")

// AcceptTLS makes this the server side of a TLS connection (STARTTLS, STLS or
// implicit TLS). Replies collected so far go out first, in clear; what the
// peer has pipelined in clear is dropped (RFC 3207 section 4.2: "the server
// MUST discard any knowledge obtained from the client").
func (c *Conn) AcceptTLS(config *tls.Config, timeout time.Duration) error {
	if err := c.Flush(); err != nil {
		return err
	}
	c.forget()
	return c.handshake(tls.Server(c.conn, config), timeout)
}

// ConnectTLS makes this the client side of a TLS connection. Anything read
// ahead in clear is an attack or a broken server and gives ErrInjected.
func (c *Conn) ConnectTLS(config *tls.Config, timeout time.Duration) error {
	if err := c.Flush(); err != nil {
		return err
	}
	if c.start != c.end {
		return ErrInjected
	}
	c.forget()
	return c.handshake(tls.Client(c.conn, config), timeout)
}

func (c *Conn) handshake(t *tls.Conn, timeout time.Duration) error {
	deadline := c.deadline(timeout)
	if err := c.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if c.interrupted.Load() {
		return ErrInterrupted
	}
	if err := t.HandshakeContext(context.Background()); err != nil {
		return c.readError(err)
	}
	c.conn = t
	return nil
}

// TLS returns the state of the TLS connection; ok is false when there is none.
func (c *Conn) TLS() (state tls.ConnectionState, ok bool) {
	t, ok := c.conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return t.ConnectionState(), true
}

// Peek returns the first byte that the peer sends, without taking it, or ok
// false when none has come within wait.
func (c *Conn) Peek(wait time.Duration) (first byte, ok bool, err error) {
	if c.start == c.end {
		err = c.fill(c.deadline(wait))
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() && !c.interrupted.Load() {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return c.buf[c.start], true, nil
}

// Rewind puts what has been read ahead back below the connection, so that a
// TLS handshake that began by itself can take it from the start.
func (c *Conn) Rewind() {
	ahead := append([]byte(nil), c.buf[c.start:c.end]...)
	c.forget()
	c.conn = &prefixed{Conn: c.conn, ahead: ahead}
}

// prefixed is a connection with bytes put back before it.
type prefixed struct {
	net.Conn
	ahead []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.ahead) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.ahead)
	p.ahead = p.ahead[n:]
	if len(p.ahead) == 0 {
		p.ahead = nil
	}
	return n, nil
}

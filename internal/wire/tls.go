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

// Look reads ahead until enough says that what has come is enough, for at most
// wait, and returns it: the next read returns it again. Where the connection
// ends or the time is over before, what has come is returned with the error,
// which for the time is os.ErrDeadlineExceeded.
func (c *Conn) Look(wait time.Duration, enough func(ahead []byte) bool) ([]byte, error) {
	deadline := c.deadline(wait)
	for c.start == c.end || !enough(c.buf[c.start:c.end]) {
		if err := c.fill(deadline); err != nil {
			return c.buf[c.start:c.end], err
		}
	}
	return c.buf[c.start:c.end], nil
}

// Rewind puts what has been read ahead back below the connection, so that a
// TLS handshake that began by itself can take it from the start.
func (c *Conn) Rewind() {
	ahead := append([]byte(nil), c.buf[c.start:c.end]...)
	c.forget()
	c.conn = &prefixed{Conn: c.conn, ahead: ahead}
}

// HangUp closes the connection of a peer that is understood but not served. A
// close with input unread is a reset to the peer, which can cost it what it has
// been told: so what it still sends is dropped first, for at most wait and up
// to most bytes.
func (c *Conn) HangUp(wait time.Duration, most int) {
	c.start, c.end = 0, 0
	deadline := c.deadline(wait)
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && c.Flush() == nil && half.CloseWrite() == nil {
		for dropped := 0; dropped < most && c.fill(deadline) == nil; c.start, c.end = 0, 0 {
			dropped += c.end
		}
	}
	_ = c.Close()
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

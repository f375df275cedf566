package sandbox

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// garbageLine is what a broken load balancer might say in place of a mail
// server. It is no reply in any of the three protocols.
const garbageLine = "HTTP/1.1 502 Bad Gateway <\x00\xfe\xff>"

// serveMail accepts mail connections and runs handle for each of them. With
// implicit, TLS comes before the first line.
func (s *Sandbox) serveMail(listener net.Listener, p protocol, implicit bool, handle func(*lineConn)) {
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err == nil {
				s.running.Go(func() { s.serveConn(conn, p, implicit, handle) })
				continue
			}
			// Closed, or out of descriptors: then wait a little and try again.
			select {
			case <-time.After(100 * time.Millisecond):
				s.log.Warn("cannot accept a connection", "error", err)
			case <-s.ctx.Done():
				return
			}
		}
	})
}

func (s *Sandbox) serveConn(conn net.Conn, p protocol, implicit bool, handle func(*lineConn)) {
	// Closing what is under TLS ends every read and write at once.
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()

	c := newLineConn(s.ctx, conn)
	fault := s.mailFault(conn.LocalAddr().String())
	if s.meetMailFault(c, fault) && implicit {
		s.startTLS(c)
	}
	greeting := fault.greetsWith(p)
	switch {
	case c.closing:
	case greeting != "":
		c.writeLine("%s", greeting)
	case s.opts.GarbageGreeting:
		c.writeLine("%s", garbageLine)
	default:
		handle(c)
	}
	c.w.Flush()
	if conn, ok := c.conn.(*tls.Conn); ok {
		conn.Close()
	}
}

// startTLS starts TLS, or does what a fault does in its place.
func (s *Sandbox) startTLS(c *lineConn) {
	switch c.fault {
	case NotTLS:
		// Unread bytes would make a reset of the answer's end.
		_, err := c.r.ReadByte()
		if c.r.Discard(c.r.Buffered()); err == nil {
			c.writeLine("%s", httpAnswer)
		}
		c.closing = true
	case UnknownIssuer:
		c.startTLS(s.strangeTLS)
	default:
		c.startTLS(s.tls)
	}
}

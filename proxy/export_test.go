package proxy

import (
	"context"
	"net"
)

// Accept gives the server a connection as its listener would.
func (s *Server) Accept(conn net.Conn, l *Listener) { s.accept(conn, l) }

// SetDial replaces how the server connects to upstreams.
func (s *Server) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	s.upstreams.dial = dial
}

// Dial connects as to an upstream.
func (s *Server) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return s.upstreams.dial(ctx, network, address)
}

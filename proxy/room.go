package proxy

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	// roomWanted is how many connections make way at once where the process
	// has no descriptors left: as many as a few logins need.
	roomWanted = 10
	// roomWait is how long these may take to close.
	roomWait = 10 * time.Millisecond
)

// makeWay ends a session that is not logged in; nil is none.
func makeWay(s *Session) {
	if s != nil {
		s.Client.Interrupt()
	}
}

// makeRoom lets connections that are not logged in make way if err says that
// there are no descriptors left, and tells whether any does.
func (s *Server) makeRoom(err error) bool {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return false
	}
	made := false
	for range roomWanted {
		oldest := s.census.outstay()
		makeWay(oldest)
		made = made || oldest != nil
	}
	return made
}

// dialer connects to an upstream.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// makingRoom makes dial try again where it finds no descriptor: a client that
// has logged in comes before those that have not.
func (s *Server) makingRoom(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		for {
			conn, err := dial(ctx, network, address)
			if err == nil || !s.makeRoom(err) {
				return conn, err
			}
			select {
			case <-time.After(roomWait):
			case <-ctx.Done():
				return nil, err
			}
		}
	}
}

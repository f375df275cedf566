package proxy

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
)

// A login that finds no descriptor for its upstream gets those of connections
// that are not logged in; where there are none of these it fails.
func TestDialMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Options{Settings: Settings{UpstreamTLS: new(tls.Config)}, Log: slog.New(slog.DiscardHandler)})
		idle, _ := arriveFrom(t, &s.census, "192.0.2.1", 15)
		dials := 0
		dial := s.makingRoom(func(context.Context, string, string) (net.Conn, error) {
			if dials++; dials%2 == 1 {
				return nil, &net.OpError{Op: "dial", Err: syscall.EMFILE}
			}
			return nil, nil
		})
		if _, err := dial(t.Context(), "tcp", "mail.example:993"); err != nil || dials != 2 {
			t.Errorf("%d dials, the last: %v", dials, err)
		}
		for i, one := range idle {
			if one.Client.Interrupted() != (i < roomWanted) {
				t.Errorf("connection %d: interrupted is %v", i, !(i < roomWanted))
			}
		}
		_, _ = dial(t.Context(), "tcp", "mail.example:993") // takes the rest
		if _, err := dial(t.Context(), "tcp", "mail.example:993"); err == nil || dials != 5 {
			t.Errorf("%d dials, the last: %v", dials, err)
		}
	})
}

// Other errors make nobody go.
func TestDialErrors(t *testing.T) {
	s := NewServer(Options{Settings: Settings{UpstreamTLS: new(tls.Config)}, Log: slog.New(slog.DiscardHandler)})
	idle, _ := arriveFrom(t, &s.census, "192.0.2.1", 1)
	dial := s.makingRoom(func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED })
	if _, err := dial(t.Context(), "tcp", ""); err != syscall.ECONNREFUSED || idle[0].Client.Interrupted() {
		t.Errorf("%v", err)
	}
}

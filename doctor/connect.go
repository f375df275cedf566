package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ipv6Fails is the remedy where IPv4 gets through and IPv6 doesn't.
const ipv6Fails = "ipv6-fails"

// connect opens a connection to a service, and tells how that went. Where a
// name has addresses of both kinds both are tried: clients that wait for the
// dead one are slow, and nobody knows why.
func (e *examination) connect(ctx context.Context, s service, addresses []netip.Addr) (net.Conn, Finding) {
	if slices.ContainsFunc(addresses, netip.Addr.IsLoopback) || // a server of this machine's need not have both
		!slices.ContainsFunc(addresses, netip.Addr.Is4) || !slices.ContainsFunc(addresses, netip.Addr.Is6) {
		return e.attempt(ctx, "tcp", s.address).judge(s)
	}
	sixth := make(chan attempt, 1)
	go func() { sixth <- e.attempt(ctx, "tcp6", s.address) }()
	four, six := e.attempt(ctx, "tcp4", s.address), <-sixth
	switch {
	case four.conn == nil && six.conn == nil && isUnreachable(four.err):
		return six.judge(s)
	case four.conn == nil && six.conn != nil:
		return six.judge(s)
	case six.conn != nil:
		six.conn.Close()
	case four.conn != nil && !isUnreachable(six.err):
		f := note(ipv6Fails, fmt.Sprintf("%s; over IPv6: %s", four.seen(), explain(six.err).seen), s.host)
		f.Took = four.took
		return four.conn, f
	}
	return four.judge(s)
}

// attempt is one try to connect.
type attempt struct {
	conn net.Conn // nil: see err
	err  error
	took time.Duration
}

func (e *examination) attempt(ctx context.Context, network, address string) attempt {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	begun := time.Now()
	conn, err := e.dial(ctx, network, address)
	return attempt{conn, err, time.Since(begun)}
}

func (a attempt) seen() string {
	return fmt.Sprintf("connected in %v", max(a.took.Round(time.Millisecond), time.Millisecond))
}

// judge tells what came of it.
func (a attempt) judge(s service) (net.Conn, Finding) {
	if a.err != nil {
		f := s.broken(a.err)
		f.Took = a.took
		return nil, f
	}
	f := well(a.seen())
	f.Took = a.took
	return a.conn, f
}

// isUnreachable tells whether the machine knows no way there: without IPv6
// that is as it should be, and costs no time.
func isUnreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

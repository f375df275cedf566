package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"oauthproxy/config"
)

// This file takes over ports that systemd has opened: oauthproxy-smtp.socket
// and the like (sd_listen_fds(3)). A port below 1024 takes no privilege then,
// and one that systemd keeps refuses nobody during a restart.

// socket is a port that systemd has opened. It stays open until the process
// ends, whether a listener uses it or not.
type socket struct {
	name    string // FileDescriptorName= of its unit
	address netip.AddrPort
	file    *os.File
}

// misfit says that the listeners and systemd's sockets aren't made for each
// other. Starting again doesn't cure that.
type misfit struct{ error }

// inheritSockets returns what systemd has handed over. Programs that we start
// don't see it.
func inheritSockets() ([]*socket, error) {
	var (
		all      []*socket
		problems []error
	)
	for _, file := range activation.Files(true) {
		s, err := newSocket(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, s)
	}
	if len(problems) > 0 {
		return nil, misfit{errors.Join(problems...)}
	}
	return all, nil
}

func newSocket(file *os.File) (*socket, error) {
	s := &socket{name: file.Name(), file: file}
	listener, err := s.listen()
	if err != nil {
		return nil, fmt.Errorf("systemd's socket %q can't be used: %w; its unit takes ListenStream= with a port, and no Accept=yes", s.name, err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("systemd's socket %q is none of TCP, but %s: mail clients need ListenStream= with a port in its unit", s.name, listener.Addr().Network())
	}
	s.address = netip.AddrPortFrom(address.AddrPort().Addr().Unmap(), uint16(address.Port))
	return s, nil
}

// listen returns a listener on the socket. Closing it leaves the socket open.
func (s *socket) listen() (net.Listener, error) { return net.FileListener(s.file) }

func (s *socket) String() string { return fmt.Sprintf("%q (%s)", s.name, s.address) }

// assign finds the socket of each listener; nil: it opens its own. A socket
// has the address of its listener. One that is named by a protocol also fits
// if there is no other such socket and no other such listener. Every socket
// needs a listener: clients would wait for nobody.
func assign(listeners []config.Listener, sockets []*socket) ([]*socket, error) {
	assigned := make([]*socket, len(listeners))
	left := slices.Clone(sockets)
	for _, fits := range []func(l config.Listener, s *socket) bool{
		func(l config.Listener, s *socket) bool { return s.isFor(l) && sameAddress(l.Address, s.address) },
		func(l config.Listener, s *socket) bool {
			return s.name == l.Protocol && isOnly(listeners, l) && count(sockets, s.name) == 1
		},
	} {
		for i, l := range listeners {
			at := slices.IndexFunc(left, func(s *socket) bool { return fits(l, s) })
			if assigned[i] == nil && at >= 0 {
				assigned[i] = left[at]
				left = slices.Delete(left, at, at+1)
			}
		}
	}
	problems := exposed(listeners, assigned)
	for _, s := range left {
		problems = append(problems, fmt.Errorf("no listener is for systemd's socket %s: %s", s, s.remedy()))
	}
	if len(problems) > 0 {
		return nil, misfit{errors.Join(problems...)}
	}
	return assigned, nil
}

// isFor tells whether the name leaves the socket to the listener: one that is
// no protocol's leaves it to any.
func (s *socket) isFor(l config.Listener) bool { return s.name == l.Protocol || !s.isNamed() }

func (s *socket) isNamed() bool {
	return slices.Contains([]string{config.IMAP, config.POP3, config.SMTP}, s.name)
}

// remedy tells how a socket comes to a listener.
func (s *socket) remedy() string {
	protocol := "PROTOCOL"
	if s.isNamed() {
		protocol = s.name
	}
	return fmt.Sprintf("write {protocol: %s, address: %q} with its tls and networks under listeners, or stop and disable the socket's unit and restart the service", protocol, s.address)
}

// exposed finds sockets that the network can reach although their listener was
// configured for this machine alone, and so without TLS or networks.
func exposed(listeners []config.Listener, assigned []*socket) []error {
	var problems []error
	for i, s := range assigned {
		if s != nil && listeners[i].IsLoopback() && !s.address.Addr().IsLoopback() {
			problems = append(problems, fmt.Errorf("the network can reach systemd's socket %s, but its listener has the address %s: let both have the same",
				s, listeners[i].Address))
		}
	}
	return problems
}

// sameAddress compares a configured address with that of a socket. All
// addresses of the machine are the same in each way to write them.
func sameAddress(configured string, address netip.AddrPort) bool {
	host, port, err := net.SplitHostPort(configured)
	if err != nil || port != fmt.Sprint(address.Port()) {
		return false
	}
	if host == "" {
		return address.Addr().IsUnspecified()
	}
	if strings.EqualFold(host, "localhost") {
		return address.Addr().IsLoopback()
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	return ip == address.Addr() || ip.IsUnspecified() && address.Addr().IsUnspecified()
}

func isOnly(listeners []config.Listener, l config.Listener) bool {
	n := 0
	for _, other := range listeners {
		if other.Protocol == l.Protocol {
			n++
		}
	}
	return n == 1
}

func count(sockets []*socket, name string) int {
	n := 0
	for _, s := range sockets {
		if s.name == name {
			n++
		}
	}
	return n
}

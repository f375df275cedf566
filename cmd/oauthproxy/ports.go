package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"

	"oauthproxy/config"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
)

// port is an open port.
type port struct {
	net.Listener
	protocol, address string // as configured, when it was opened
	shared            *proxy.Port
	hasEnded          atomic.Bool // nobody accepts from it any more
	// next is what will hold of it; see openPorts.
	next *proxy.Listener
	// socket is systemd's, which it accepts from; nil: it is all our own.
	socket *socket
}

// openPorts opens the configuration's ports. Those that are open already stay
// so, and nothing changes about them until their next is set. After an error
// only those are open that were before; it names all that went wrong.
func (s *service) openPorts(c *config.Config, before []*port) ([]*port, error) {
	protocols := map[string]proxy.Protocol{
		config.IMAP: imap.Protocol{},
		config.POP3: pop3.Protocol{},
		config.SMTP: smtp.Protocol{Ledger: s.recipients.ledger},
	}
	var (
		all, opened  []*port
		problems     []error
		certificates = &certificates{stateDirectory: c.StateDirectory, log: s.log}
		left         = slices.Clone(before)
	)
	sockets, err := assign(c.Listeners, s.sockets)
	if err != nil {
		return nil, err
	}
	for i, l := range c.Listeners {
		about, err := describe(l, protocols[l.Protocol], certificates)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		p := take(&left, l, sockets[i])
		if p == nil {
			if p, err = openPort(l, sockets[i], about); err != nil {
				problems = append(problems, err)
				continue
			}
			opened = append(opened, p)
		}
		p.next = about
		all = append(all, p)
	}
	if len(problems) > 0 {
		closePorts(opened)
		return nil, errors.Join(problems...)
	}
	return all, nil
}

// take takes the listener's port out of the list; nil: there is none. One that
// the system has chosen stays with its protocol, and one of systemd's with its
// socket.
func take(ports *[]*port, l config.Listener, from *socket) *port {
	_, number, _ := net.SplitHostPort(l.Address)
	i := slices.IndexFunc(*ports, func(p *port) bool {
		if p.socket != nil || from != nil {
			return p.socket == from
		}
		return p.address == l.Address && (p.protocol == l.Protocol || number != "0")
	})
	if i < 0 {
		return nil
	}
	p := (*ports)[i]
	*ports = slices.Delete(*ports, i, i+1)
	return p
}

// openPort opens a port of our own, or accepts from systemd's socket.
func openPort(l config.Listener, from *socket, about *proxy.Listener) (*port, error) {
	listen := func() (net.Listener, error) { return net.Listen("tcp", l.Address) }
	if from != nil {
		listen = from.listen
	}
	opened, err := listen()
	if err != nil {
		return nil, fmt.Errorf("can't listen for %s: %w", l.Protocol, err)
	}
	return &port{Listener: opened, protocol: l.Protocol, address: l.Address, shared: proxy.NewPort(about), socket: from}, nil
}

func closePorts(ports []*port) {
	for _, p := range ports {
		_ = p.Close()
	}
}

// servePort serves a port until it is closed.
func (s *service) servePort(p *port) {
	s.accepting.Go(func() {
		defer p.hasEnded.Store(true)
		_ = s.server.Serve(p.Listener, p.shared)
	})
}

// openPortsNow are the open ports, in the order of the configuration.
func (s *service) openPortsNow() []*port {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ports
}

// describe tells the proxy about a listener.
func describe(l config.Listener, protocol proxy.Protocol, certificates *certificates) (*proxy.Listener, error) {
	about := &proxy.Listener{
		Protocol: protocol,
		Address:  l.Address,
		TLS:      proxy.TLSMode(l.TLS),
		Networks: l.Networks,
		// Elsewhere than on this machine a password in clear is for
		// networks that somebody has named alone.
		RequireTLS: l.TLS != config.None && !l.NamesNetworks() && !l.IsLoopback(),
	}
	if l.TLS == config.None {
		return about, nil
	}
	var err error
	about.Certificate, err = certificates.serverTLS(l)
	return about, err
}

package doctor

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// The bounds of the network's probes.
const (
	resolveTimeout  = 10 * time.Second
	connectTimeout  = 10 * time.Second
	tlsTimeout      = 15 * time.Second
	greetingTimeout = 10 * time.Second
	// secondTimeout bounds the attempt to find out what a silent port is.
	secondTimeout = 5 * time.Second
)

// service is a port of a host that has to answer.
type service struct {
	protocol string // imap, pop3 or smtp; https for Entra ID
	host     string // a name or an address
	address  string // host:port
	implicit bool   // TLS from the start
}

// https is the protocol of Entra ID's service.
const https = "https"

// network tries names, TCP and TLS of every host.
func (e *examination) network(ctx context.Context) {
	services := e.services()
	names := e.resolve(ctx, namesOf(services))
	if ctx.Err() != nil {
		return
	}
	var alive []string // the addresses of services that are well in some way
	toldIPv6 := false  // which is the network's fault, and no host's
	inOrder(ctx, services,
		func(ctx context.Context, s service) reached { return e.reach(ctx, s, names[s.host]) },
		func(s service) func(reached) {
			found := e.probe("tcp", s.address, "")
			return func(r reached) {
				if r.tcp.Cause == ipv6Fails {
					if toldIPv6 {
						r.tcp = Finding{Status: OK, Seen: r.tcp.Seen, Took: r.tcp.Took}
					}
					toldIPv6 = true
				}
				found(r.tcp)
				if r.tls.Status != "" {
					e.probe("tls", s.address, "")(r.tls)
				}
				if r.well {
					alive = append(alive, s.address)
				}
			}
		})
	for _, s := range services {
		e.unreachable[s.address] = !slices.Contains(alive, s.address)
	}
}

// services lists what all accounts need, each once.
func (e *examination) services() []service {
	var all []service
	known := make(map[service]bool)
	add := func(s service) {
		if !known[s] {
			known[s] = true
			all = append(all, s)
		}
	}
	for _, a := range e.Accounts {
		if authority, err := url.Parse(a.Authority); err == nil && authority.Host != "" && !e.ThroughProxy {
			add(service{https, authority.Hostname(), addressOf(authority), true})
		}
		for _, h := range a.Hosts {
			host, _, err := net.SplitHostPort(h.Address)
			if err != nil {
				host = h.Address
			}
			add(service{h.Protocol, host, h.Address, h.Implicit})
		}
	}
	return all
}

// addressOf returns host:port of an https address.
func addressOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// namesOf lists the names that have to be resolved, each once.
func namesOf(services []service) []string {
	var names []string
	for _, s := range services {
		if _, err := netip.ParseAddr(s.host); err != nil && !slices.Contains(names, s.host) {
			names = append(names, s.host)
		}
	}
	return names
}

// reached is what came of a service.
type reached struct {
	tcp, tls Finding // tls has no status where it makes no sense to tell of it
	well     bool
}

// reach connects to a service, and comes to TLS with it.
func (e *examination) reach(ctx context.Context, s service, name resolution) reached {
	if name.err != nil {
		return reached{tcp: Finding{Status: Skipped, Seen: "the name isn't known"}}
	}
	conn, tcp := e.connect(ctx, s, name.addresses)
	if conn == nil {
		return reached{tcp: tcp, tls: Finding{Status: Skipped, Seen: "there is no connection"}}
	}
	begun := time.Now()
	secured := e.secure(ctx, conn, s)
	secured.Took = time.Since(begun)
	return reached{tcp, secured, secured.Status != Broken}
}

// note is a finding of that remedy about a host that need not be mended.
func note(id, seen, host string) Finding {
	return (&odd{remedy: id, seen: seen}).finding(Note, host)
}

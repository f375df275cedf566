package doctor

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"oauthproxy/internal/remedy"
)

// service is a port of a host that has to answer.
type service struct {
	protocol string // imap, pop3 or smtp; https for Entra ID
	host     string // a name or an address
	address  string // host:port
	implicit bool   // TLS from the start
}

// service is the port that the host is.
func (h Host) service() service {
	return service{h.Protocol, h.name(), h.Address, h.Implicit}
}

// https is the protocol of Entra ID's service.
const https = "https"

// broken is the finding of an error there.
func (s service) broken(err error) Finding {
	o := explain(err)
	facts := map[string]string{"host": s.host, "address": s.address, "protocol": cmp.Or(told[s.protocol], "HTTPS")}
	return wrong(Broken, o.seen, remedy.Named(o.remedy), with(facts, o.facts))
}

// network tries names, TCP and TLS of every host.
func (e *examination) network(ctx context.Context) {
	services := e.services()
	names := e.resolve(ctx, namesOf(services))
	if ctx.Err() != nil {
		return
	}
	alive := make(map[string]bool) // the addresses of services that are well in some way
	toldIPv6 := false              // which is the network's fault, and no host's
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
				if r.failed == "" {
					alive[s.address] = true
				}
				e.unreachable[s.address] = cmp.Or(e.unreachable[s.address], r.failed)
			}
		})
	for address := range alive {
		delete(e.unreachable, address)
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
		if authority := a.authority(); authority != nil && !e.ThroughProxy {
			add(service{https, authority.Hostname(), addressOf(authority), true})
		}
		for _, h := range a.Hosts {
			add(h.service())
		}
	}
	return all
}

// authority is where the account's app signs in; nil: nowhere that is known.
func (a Account) authority() *url.URL {
	u, err := url.Parse(a.Authority)
	if err != nil || u.Host == "" {
		return nil
	}
	return u
}

// authorityAddress is its host:port; "" is none.
func (a Account) authorityAddress() string {
	if u := a.authority(); u != nil {
		return addressOf(u)
	}
	return ""
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
	failed   string  // the probe that has failed, and what it looked at; "" is none
}

// reach connects to a service, and comes to TLS with it.
func (e *examination) reach(ctx context.Context, s service, name resolution) reached {
	if name.err != nil {
		return reached{tcp: Finding{Status: Skipped, Seen: "the name isn't known"}, failed: "dns of " + s.host}
	}
	conn, tcp := e.connect(ctx, s, name.addresses)
	if conn == nil {
		return reached{tcp: tcp, tls: Finding{Status: Skipped, Seen: "there is no connection"}, failed: "tcp of " + s.address}
	}
	begun := time.Now()
	secured := e.secure(ctx, conn, s)
	secured.Took = time.Since(begun)
	if secured.Status == Broken {
		return reached{tcp, secured, "tls of " + s.address}
	}
	return reached{tcp: tcp, tls: secured}
}

// note is a finding of that remedy about a host that need not be mended.
func note(id, seen, host string) Finding {
	return (&odd{remedy: id, seen: seen}).finding(Note, host)
}

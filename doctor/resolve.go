package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"oauthproxy/internal/remedy"
)

// resolution is what came of a name.
type resolution struct {
	addresses []netip.Addr
	err       error
	took      time.Duration
}

var errNoAddress = &net.DNSError{Err: "no address", IsNotFound: true}

// resolve looks the names up and tells what it has found: that there is no
// network at all is told once.
func (e *examination) resolve(ctx context.Context, names []string) map[string]resolution {
	all := make(map[string]resolution)
	var held []func(Finding) // for names that depend on whether others are known
	inOrder(ctx, names, e.lookUp, func(name string) func(resolution) {
		tell := e.probe("dns", name, "")
		return func(r resolution) {
			all[name] = r
			held = append(held, tell)
			if !isOffline(all, len(names)) {
				for i, tell := range held {
					earlier := names[len(all)-len(held)+i]
					tell(all[earlier].finding(earlier))
				}
				held = nil
			}
		}
	})
	if ctx.Err() != nil {
		return all
	}
	for i, tell := range held {
		if i == 0 {
			tell((&odd{remedy: "no-network", seen: offline(all)}).finding(Broken, names[0]))
		} else {
			tell(Finding{Status: Skipped, Seen: "no name can be resolved"})
		}
	}
	return all
}

// isOffline tells whether the names known so far, of that many, let it look
// as if nothing could be resolved. One name that doesn't exist is a typing
// mistake; that several don't is none.
func isOffline(all map[string]resolution, total int) bool {
	for _, r := range all {
		dns, isDNS := errors.AsType[*net.DNSError](r.err)
		if r.err == nil || total == 1 && isDNS && dns.IsNotFound {
			return false
		}
	}
	return true
}

// offline says what was seen where no name can be resolved.
func offline(all map[string]resolution) string {
	for _, r := range all {
		if dns, isDNS := errors.AsType[*net.DNSError](r.err); !isDNS || !dns.IsNotFound {
			return "no name can be resolved: " + nameless(r.err).seen
		}
	}
	return "no name can be resolved: the name server knows none of them"
}

// lookUp resolves one name.
func (e *examination) lookUp(ctx context.Context, name string) resolution {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	begun := time.Now()
	found, err := e.lookup(ctx, name)
	if err == nil && len(found) == 0 {
		err = errNoAddress
	}
	var addresses []netip.Addr
	for _, a := range found {
		addresses = append(addresses, a.Unmap())
	}
	return resolution{addresses, err, time.Since(begun)}
}

// finding tells what came of the name.
func (r resolution) finding(name string) Finding {
	f := r.judge(name)
	f.Took = r.took
	return f
}

func (r resolution) judge(name string) Finding {
	if r.err != nil {
		return nameless(r.err).finding(Broken, name)
	}
	four := 0
	for _, a := range r.addresses {
		if isInside(a) && remedy.IsMicrosofts(name) {
			return note("name-private", fmt.Sprintf("%s is %v", name, a), name)
		}
		if a.Is4() {
			four++
		}
	}
	return well(count(len(r.addresses), four))
}

// count says how many addresses there are, and of what kind.
func count(all, four int) string {
	switch {
	case four == all:
		return fmt.Sprintf("IPv4 addresses: %d", four)
	case four == 0:
		return fmt.Sprintf("IPv6 addresses: %d", all)
	}
	return fmt.Sprintf("IPv4 addresses: %d, IPv6: %d", four, all-four)
}

// nameless tells why a name isn't known.
func nameless(err error) *odd {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && dns.IsNotFound:
		return &odd{remedy: "name-unknown", seen: "the name server knows no such name"}
	case isDNS && !dns.IsTimeout:
		return &odd{remedy: "name-server-silent", seen: "the name server has trouble of its own"}
	}
	return &odd{remedy: "name-server-silent", seen: "no answer in time"}
}

// carrierGrade is the address space between a provider and its customers (RFC 6598).
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// isInside tells whether an address is none of the Internet's.
func isInside(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || carrierGrade.Contains(a)
}

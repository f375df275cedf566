package config

import "net/netip"

// networks reads a list of networks. An address alone is a network of one.
func (s *section) networks(key string) []netip.Prefix {
	var all []netip.Prefix
	for _, w := range s.words(key) {
		if n, ok := s.network(w); ok {
			all = append(all, n)
		}
	}
	return all
}

func (s *section) network(w item) (netip.Prefix, bool) {
	report := func(hint, format string, args ...any) (netip.Prefix, bool) {
		s.reader.report(w.line, w.path, hint, format, args...)
		return netip.Prefix{}, false
	}
	n, err := netip.ParsePrefix(w.text)
	if ip, ipErr := netip.ParseAddr(w.text); ipErr == nil && ip.Zone() == "" {
		n, err = netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	switch {
	case err != nil:
		return report("such as 192.168.10.0/24, 192.168.10.5 or fd00:10::/64", "%q is not a network", w.text)
	case n.Addr().Is4In6():
		return report("write it as an IPv4 network, such as 192.168.10.0/24", "%s is an IPv4 network in IPv6 form", n)
	case n != n.Masked():
		one := netip.PrefixFrom(n.Addr(), n.Addr().BitLen())
		return report("write "+n.Masked().String()+" for the network, or "+one.String()+" for the one address",
			"%s is an address with a network's mask", n)
	}
	return n, true
}

// tooWide tells whether a network is too large to be a list of who may come:
// it can't be one site's.
func tooWide(n netip.Prefix) bool { return n.Bits() < 8 }

// loopback is every program of this machine.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

// overlap returns two networks that have addresses in common, if there are.
func overlap(a, b []netip.Prefix) (netip.Prefix, netip.Prefix, bool) {
	for _, n := range a {
		for _, m := range b {
			if n.Overlaps(m) {
				return n, m, true
			}
		}
	}
	return netip.Prefix{}, netip.Prefix{}, false
}

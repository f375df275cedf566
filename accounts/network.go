package accounts

import "net/netip"

// plainAddress is the address as networks are compared with it: an IPv4
// client on an IPv6 socket (::ffff:192.0.2.1) is an IPv4 client, and a zone
// (fe80::1%eth0) belongs to no network.
func plainAddress(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// plainNetwork does the same for a network.
func plainNetwork(network netip.Prefix) netip.Prefix {
	if network.Addr().Is4In6() && network.Bits() >= 96 {
		return netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	return network
}

// ClientOf is who counts as one client where work, or lines of the log, are
// shared out: an IPv4 address, or an IPv6 /64, since that is what one machine
// may choose its address from.
func ClientOf(addr netip.Addr) netip.Prefix {
	addr = plainAddress(addr)
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails for no bits that stand here
	return prefix
}

package certificate

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ListenerNames returns the names that clients may reach a listener by: those
// that somebody has listed, what its address tells, and localhost. The one
// listed first comes first.
func ListenerNames(address string, listed []string, hostName string) []string {
	names := slices.Clone(listed)
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap().WithZone("")
	switch {
	case host == "" || err == nil && ip.IsUnspecified():
		names = append(names, hostName)
		names = append(names, machineAddresses()...)
		names = append(names, "localhost", "127.0.0.1", "::1")
	case err != nil:
		names = append(names, strings.ToLower(host), "localhost")
	case ip.IsLoopback():
		names = append(names, "localhost", ip.String())
	default:
		names = append(names, ip.String(), hostName, "localhost")
	}
	return unique(names)
}

// machineAddresses returns the addresses of this machine that others can use.
func machineAddresses() []string {
	var names []string
	all, _ := net.InterfaceAddrs() // without them the other names are left
	for _, a := range all {
		if network, err := netip.ParsePrefix(a.String()); err == nil && network.Addr().IsGlobalUnicast() {
			names = append(names, network.Addr().String())
		}
	}
	return names
}

// unique returns the names without those that have come before.
func unique(names []string) []string {
	var all []string
	for _, name := range names {
		if !slices.ContainsFunc(all, func(before string) bool { return strings.EqualFold(before, name) }) {
			all = append(all, name)
		}
	}
	return all
}

package accounts

import (
	"net/netip"
	"testing"
)

func TestClient(t *testing.T) {
	tests := []struct{ name, addr, want string }{
		{"IPv4", "192.0.2.7", "192.0.2.7/32"},
		{"IPv4 on an IPv6 socket", "::ffff:192.0.2.7", "192.0.2.7/32"},
		{"IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"IPv6 with a zone", "fe80::1%eth0", "fe80::/64"},
		{"IPv6 loopback", "::1", "::/64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := ClientOf(netip.MustParseAddr(test.addr)); got.String() != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if got := ClientOf(netip.Addr{}); got.IsValid() {
		t.Errorf("no address became %s", got)
	}
}

func TestPlainNetwork(t *testing.T) {
	tests := []struct{ name, network, want string }{
		{"IPv4", "192.168.10.0/24", "192.168.10.0/24"},
		{"IPv6", "2001:db8::/32", "2001:db8::/32"},
		{"mapped", "::ffff:192.168.10.0/120", "192.168.10.0/24"},
		{"wider than the mapped range", "::ffff:0.0.0.0/95", "::ffff:0.0.0.0/95"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := plainNetwork(netip.MustParsePrefix(test.network)); got.String() != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

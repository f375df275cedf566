package config

import (
	"net/netip"
	"testing"
)

// TestNamesNetworks: a list that lets nearly everybody in is none; a listener
// with such a one asks for TLS before it takes a password.
func TestNamesNetworks(t *testing.T) {
	tests := []struct {
		name     string
		networks []string
		want     bool
	}{
		{"no list", nil, false},
		{"an office", []string{"192.168.10.0/24", "fd00:10::/64"}, true},
		{"everybody", []string{"0.0.0.0/0"}, false},
		{"an office and everybody", []string{"192.168.10.0/24", "::/0"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var l Listener
			for _, n := range test.networks {
				l.Networks = append(l.Networks, netip.MustParsePrefix(n))
			}
			if got := l.NamesNetworks(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

package config

import (
	"net/netip"
	"path/filepath"
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

// TestFindListeners: certificates are found whatever else is wrong.
func TestFindListeners(t *testing.T) {
	folder := fixture(t)
	file := filepath.Join(folder, "config.yaml")
	writeFile(t, file, `
apps: {devices: {flow: client_secret, client_secret_file: nowhere.secret}}
state_directory: state
listeners:
- {protocol: smtp, address: "127.0.0.1:1", tls: auto, names: [mail.contoso.com]}
- {protocol: smtp, address: "127.0.0.1:2", tls: none}
- {protocol: smtp, address: "127.0.0.1:3", tls: ssl}
- {protocol: smtp, address: "127.0.0.1:4", tls: implicit, certificate_file: proxy.pem, key_file: nowhere.key}
`)
	all, state, err := FindListeners(file)
	if err != nil || state != filepath.Join(folder, "state") || len(all) != 4 {
		t.Fatalf("got %+v, %s, %v", all, state, err)
	}
	for i, issues := range []bool{true, false, false, false} {
		if all[i].IssuesCertificate() != issues {
			t.Errorf("listener %d: %+v", i, all[i])
		}
	}
}

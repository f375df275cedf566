package certificate

import (
	"slices"
	"testing"
)

func TestListenerNames(t *testing.T) {
	tests := []struct {
		address string
		listed  []string
		want    []string
	}{
		{"127.0.0.1:1143", nil, []string{"localhost", "127.0.0.1"}},
		{"[::1]:1143", []string{"Localhost"}, []string{"Localhost", "::1"}},
		{"localhost:1143", nil, []string{"localhost"}},
		{"192.168.10.5:25", nil, []string{"192.168.10.5", "host", "localhost"}},
		{"192.168.10.5:25", []string{"mail.contoso.com", "10.0.0.1"}, []string{"mail.contoso.com", "10.0.0.1", "192.168.10.5", "host", "localhost"}},
		{"[::ffff:192.168.10.5]:25", nil, []string{"192.168.10.5", "host", "localhost"}},
		{"[fe80::1%eth0]:25", nil, []string{"fe80::1", "host", "localhost"}},
		{"Mail.contoso.com:25", nil, []string{"mail.contoso.com", "localhost"}},
	}
	for _, test := range tests {
		t.Run(test.address, func(t *testing.T) {
			if got := ListenerNames(test.address, test.listed, "host"); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestListenerNamesEverywhere: a listener on all addresses has those of the
// machine.
func TestListenerNamesEverywhere(t *testing.T) {
	for _, address := range []string{":25", "0.0.0.0:25", "[::]:25"} {
		got := ListenerNames(address, []string{"mail.contoso.com"}, "host")
		for _, want := range append(machineAddresses(), "mail.contoso.com", "host", "localhost", "127.0.0.1", "::1") {
			if !slices.Contains(got, want) {
				t.Errorf("%s: %q has no %s", address, got, want)
			}
		}
		if got[0] != "mail.contoso.com" {
			t.Errorf("%s: the name that is listed isn't the first of %q", address, got)
		}
	}
}

package config

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"tenant", "client_id", "flow", "client_secret_file", "tls", "log"}
	tests := []struct{ name, word, want string }{
		{"a letter too many", "tennant", "tenant"},
		{"a letter missing", "tenat", "tenant"},
		{"another letter", "tenand", "tenant"},
		{"two exchanged", "tsl", "tls"},
		{"capitals", "TENANT", "tenant"},
		{"the beginning", "client_secret", "client_secret_file"},
		{"more than all", "logging", "log"},
		{"two faults in a long one", "klient-id", "client_id"},
		{"two faults in a short one", "tol", ""},
		{"something else", "colour", ""},
		{"nothing", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Nearest(test.word, known); got != test.want {
				t.Errorf("Nearest(%q) = %q, want %q", test.word, got, test.want)
			}
		})
	}
}

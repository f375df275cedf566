package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestBrowserCommand(t *testing.T) {
	tests := []struct {
		name, system, variable string
		want                   []string
	}{
		{"Windows", "windows", "", []string{"rundll32", "url.dll,FileProtocolHandler"}},
		{"macOS", "darwin", "", []string{"open"}},
		{"X11", "linux", "DISPLAY", []string{"xdg-open"}},
		{"Wayland", "linux", "WAYLAND_DISPLAY", []string{"xdg-open"}},
		{"no desktop", "linux", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			getenv := func(name string) string {
				if name == test.variable {
					return ":0"
				}
				return ""
			}
			if got := browserCommand(test.system, getenv); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRedirectPort(t *testing.T) {
	tests := []struct{ name, address, want string }{
		{"of localhost", "https://login.example/authorize?redirect_uri=http%3A%2F%2Flocalhost%3A12345&state=x", "12345"},
		{"without a port", "https://login.example/authorize?redirect_uri=http%3A%2F%2Flocalhost", ""},
		{"none", "https://login.example/authorize", ""},
		{"no address", "%", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := redirectPort(test.address); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestControlSockets(t *testing.T) {
	tests := []struct {
		name, runtime, user, state string
		want                       []string
	}{
		{"started by systemd", "/run/oauthproxy", "", "/srv/state", []string{"/run/oauthproxy/control.sock"}},
		{"by hand", "", "", "/srv/state", []string{"/srv/state/control.sock"}},
		{"a service of the machine", "", "", "/var/lib/mail", []string{"/var/lib/mail/control.sock", "/run/mail/control.sock"}},
		{"with a user of its own for each start", "", "", "/var/lib/private/mail", []string{"/var/lib/private/mail/control.sock", "/run/mail/control.sock"}},
		{"a user's service", "", "/run/user/1000", "/home/a/.local/state/oauthproxy",
			[]string{"/home/a/.local/state/oauthproxy/control.sock", "/run/user/1000/oauthproxy/control.sock"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("HOME", "/home/a")
			t.Setenv("RUNTIME_DIRECTORY", test.runtime)
			t.Setenv("XDG_RUNTIME_DIR", test.user)
			if got := controlSockets(test.state); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestRuntimeDirectory: commands find the service there as well.
func TestRuntimeDirectory(t *testing.T) {
	s := newSite(t, "device_code")
	t.Setenv("RUNTIME_DIRECTORY", s.folder)
	proxy, _ := s.serve()
	if _, err := os.Stat(filepath.Join(s.folder, socketName)); err != nil {
		t.Error(err)
	}
	s.accounts()
	proxy.end(t)
	if _, err := os.Stat(filepath.Join(s.folder, socketName)); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

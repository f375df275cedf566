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

// TestRuntimeDirectory: commands find the service there as well.
func TestRuntimeDirectory(t *testing.T) {
	s := newSite(t, "device_code")
	t.Setenv("RUNTIME_DIRECTORY", s.folder)
	proxy, _ := s.serve()
	if _, err := os.Stat(filepath.Join(s.folder, socketName)); err != nil {
		t.Error(err)
	}
	t.Setenv("RUNTIME_DIRECTORY", "") // as for commands
	if got := runCommand(t, "", "accounts", "--config", s.config); got.status != exitWell || got.err != "" {
		t.Errorf("got %+v", got)
	}
	proxy.end(t)
	if _, err := os.Stat(filepath.Join(s.folder, socketName)); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

package admin

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stale leaves a socket behind as a crash does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
}

func TestStaleSocket(t *testing.T) {
	path := socket(t)
	stale(t, path)
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoService) {
		t.Errorf("Dial returned %v", err)
	}
	serveAt(t, path, &fake{}, nil)
	dial(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
}

func TestListenRefuses(t *testing.T) {
	taken := serve(t, &fake{})
	file := filepath.Join(t.TempDir(), "control.sock")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, want string }{
		{"another service", taken, "another oauthproxy answers"},
		{"a file", file, "is in the place of the control socket"},
		{"no folder", filepath.Join(t.TempDir(), "a", "b"), "can't open the control socket"},
		{"too long", "/" + strings.Repeat("x", 200), "set state_directory to a shorter one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Listen(test.path, &fake{}, nil)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	dial(t, taken)
	if data, err := os.ReadFile(file); string(data) != "precious" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

// TestStrangers: what isn't a request of this version gets no service, and
// disturbs nobody.
func TestStrangers(t *testing.T) {
	tests := []struct{ name, sent, want string }{
		{"another version", `{"version":2,"command":"accounts"}` + "\n", `"error":"the command speaks version 2`},
		{"unknown command", `{"version":1,"command":"shutdown"}` + "\n", `doesn't know the command \"shutdown\"`},
		{"no JSON", "GET / HTTP/1.1\n", ""},
		{"a line without end", strings.Repeat("x", 2*maxRequest), ""},
		{"nothing", "", ""},
	}
	path := serve(t, &fake{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			// The server may close before all is written.
			_, _ = io.WriteString(c, test.sent)
			_ = c.(*net.UnixConn).CloseWrite()
			got, _ := bufio.NewReader(c).ReadString('\n')
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			dial(t, path)
		})
	}
}

// TestTooManyConnections: those beyond the bound are closed, and make room
// again.
func TestTooManyConnections(t *testing.T) {
	path := serve(t, &fake{})
	var conns []net.Conn
	for range maxConns {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if _, err := Dial(t.Context(), path); err == nil || errors.Is(err, ErrNoService) {
		t.Errorf("with all taken: %v", err)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	for t.Context().Err() == nil {
		if _, err := Dial(t.Context(), path); err == nil {
			return
		}
	}
}

// TestServiceThatGoesAway: the person hears about it.
func TestServiceThatGoesAway(t *testing.T) {
	path := socket(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
		}
	}()
	_, err = Dial(t.Context(), path)
	if err == nil || errors.Is(err, ErrNoService) || !strings.Contains(err.Error(), "went away") {
		t.Errorf("got %v", err)
	}
}

package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"oauthproxy/tokens"
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

// TestSilentConnections: however many there are, a command gets its answer.
func TestSilentConnections(t *testing.T) {
	path := serve(t, &fake{})
	for range 2 * maxConns {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	dial(t, path)
}

// TestTooManyCommands: those beyond the bound hear so, and there is room again
// when the others have ended.
func TestTooManyCommands(t *testing.T) {
	started, release := make(chan struct{}, maxConns), make(chan struct{})
	f := &fake{signIn: func(context.Context, string, tokens.Dialog) (Account, error) {
		started <- struct{}{}
		<-release
		return Account{}, nil
	}}
	path := serve(t, f)
	c := dial(t, path)
	var signIns sync.WaitGroup
	for range maxConns {
		signIns.Go(func() { _, _ = c.SignIn(t.Context(), "a", &person{}) })
		<-started
	}
	if _, err := Dial(t.Context(), path); err == nil || err.Error() != "the service is busy with too many commands: try again later" {
		t.Errorf("got %v", err)
	}
	close(release)
	signIns.Wait()
	for t.Context().Err() == nil {
		if _, err := Dial(t.Context(), path); err == nil {
			return
		}
	}
}

// TestAnswersThatNobodyTakes: the service still sees that the person leaves.
func TestAnswersThatNobodyTakes(t *testing.T) {
	for _, answers := range []string{"{}\n", `{"pasted":"x"}` + "\n", `{"password":"x"}` + "\n", strings.Repeat(`{"pasted":"x","password":"y"}`+"\n", 2*maxAnswers)} {
		t.Run(fmt.Sprintf("%.20s", answers), func(t *testing.T) {
			ended := make(chan struct{})
			path := serve(t, &fake{signIn: func(ctx context.Context, _ string, d tokens.Dialog) (Account, error) {
				<-ctx.Done()
				close(ended)
				return Account{}, ctx.Err()
			}})
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, `{"version":1,"command":"login","account":"a"}`+"\n"+answers); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			<-ended
		})
	}
}

// TestLink: clients that know another place find the service there.
func TestLink(t *testing.T) {
	path, link := socket(t), filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time over the link that the first has left
		s, err := Listen(path, &fake{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() { s.Serve(); close(served) }()
		for _, place := range []string{link, link, path} {
			if err := s.LinkFrom(place); err != nil {
				t.Error(err)
			}
			dial(t, place)
		}
		if err := s.LinkFrom(file); err == nil || !strings.Contains(err.Error(), "is in the place of the control socket") {
			t.Errorf("over a file: %v", err)
		}
		s.Close()
		<-served
		if _, err := Dial(t.Context(), link); !errors.Is(err, ErrNoService) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// TestNoService: where no service can be, none runs.
func TestNoService(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"nothing": file + "2", "below a file": filepath.Join(file, "control.sock"), "too long": "/" + strings.Repeat("x", 200),
	} {
		if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoService) {
			t.Errorf("%s: %v", name, err)
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

// A result that can't be written as JSON is told as a failure, to the one who
// asked: the connection isn't just closed.
func TestResultThatCannotBeSent(t *testing.T) {
	c := dial(t, serve(t, &fake{accounts: []Account{{Account: "alice", TokenExpires: time.Date(33658, 9, 27, 0, 0, 0, 0, time.UTC)}}}))
	_, err := c.Accounts(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the service can't say what came of it") {
		t.Errorf("got %v", err)
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// patience bounds what a test waits for; nothing that works takes so long.
const patience = 30 * time.Second

// screen is an output that a test can wait on.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns what the expression matches, once it does.
func (s *screen) await(t *testing.T, expression string) []string {
	t.Helper()
	pattern := regexp.MustCompile(expression)
	timeout := time.After(patience)
	for {
		if found := pattern.FindStringSubmatch(s.String()); found != nil {
			return found
		}
		select {
		case <-s.changed:
		case <-timeout:
			t.Fatalf("%q did not appear in:\n%s", expression, s.String())
		}
	}
}

// running is a command that runs until it is told to stop.
type running struct {
	out, err *screen
	stop     context.CancelFunc
	status   chan int
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	return startWith(t, strings.NewReader(""), args)
}

// startTyping starts a command whose standard input is what is written to
// keyboard.
func startTyping(t *testing.T, args ...string) (r *running, keyboard io.Writer) {
	t.Helper()
	in, out := io.Pipe()
	t.Cleanup(func() { _ = out.Close() })
	return startWith(t, in, args), out
}

func startWith(t *testing.T, in io.Reader, args []string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{newScreen(), newScreen(), stop, make(chan int, 1)}
	go func() { r.status <- run(ctx, args, &ui{in: in, out: r.out, err: r.err}) }()
	return r
}

// end stops the command, as SIGTERM does, and wants it to end well.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case status := <-r.status:
		if status != exitWell {
			t.Errorf("exit status %d, want %d; it said:\n%s", status, exitWell, r.err)
		}
	case <-time.After(patience):
		t.Fatal("it does not stop")
	}
}

// send sends a message of the user's, as a program that knows a password.
func send(address, user, password string) error { return sendFrom(address, user, password, user) }

// sendFrom sends a message from an address of its own.
func sendFrom(address, user, password, from string) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", user, password)); err != nil {
		return err
	}
	message := fmt.Sprintf("From: <%s>\r\nSubject: hello\r\n\r\nhello\r\n", from)
	return c.SendMail(from, []string{from}, strings.NewReader(message))
}

func TestDemoOnce(t *testing.T) {
	got := runCommand(t, "", "demo", "--once")
	if got.status != exitWell || got.err != "" {
		t.Fatalf("exit status %d, said %q; the story:\n%s", got.status, got.err, got.out)
	}
	for _, want := range []string{
		"program    -> oauthproxy  AUTH ***", "oauthproxy -> Exchange    AUTH XOAUTH2", "oauthproxy <- Entra ID",
		"came back the same", "All well",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is missing in:\n%s", want, got.out)
		}
	}
}

// TestDemoStays: what the demo invites a person to try works.
func TestDemoStays(t *testing.T) {
	demo := start(t, "demo")
	said := demo.out.await(t, `(?s)SMTP   host (\S+)  port (\d+)\n   user      (\S+)\n   password  (\S+)\n.*Ctrl-C`)
	if err := send(net.JoinHostPort(said[1], said[2]), said[3], said[4]); err != nil {
		t.Error(err)
	}
	demo.end(t)
}

// TestServeSandbox: the configuration that the sandbox prints is YAML alone,
// serves, and logs no secret even at the finest level.
func TestServeSandbox(t *testing.T) {
	sandbox := start(t, "sandbox")
	sandbox.err.await(t, "until Ctrl-C")
	text := regexp.MustCompile(`"127\.0\.0\.1:(1143|1110|1587)"`).ReplaceAllString(sandbox.out.String(), `"127.0.0.1:0"`)
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text+"log: {level: debug}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	password := regexp.MustCompile(`password (\S+)\n`).FindStringSubmatch(text)[1]

	proxy := start(t, "serve", "--config", file)
	address := proxy.err.await(t, `msg=listening protocol=smtp address=(\S+)`)[1]
	if err := send(address, "alice@contoso.example", password); err != nil {
		t.Error(err)
	}
	if err := send(address, "alice@contoso.example", "not-"+password); err == nil {
		t.Error("a wrong password is accepted")
	}
	proxy.err.await(t, `msg="message relayed"`)
	proxy.end(t)
	proxy.err.await(t, `msg=stopped`)
	sandbox.end(t)
	if log := proxy.err.String(); strings.Contains(log, password) || strings.Contains(log, "eyJ") {
		t.Errorf("a password or a token is in the log:\n%s", log)
	}
}

// TestServeRefuses: a configuration that is wrong and ports that are taken are
// told apart by the exit status.
func TestServeRefuses(t *testing.T) {
	sandbox := start(t, "sandbox")
	defer sandbox.end(t)
	sandbox.err.await(t, "until Ctrl-C")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := regexp.MustCompile(`"127\.0\.0\.1:(1143|1110|1587)"`).ReplaceAllString(sandbox.out.String(), `"127.0.0.1:0"`)
	tests := []struct {
		name, old, new string
		status         int
		said           string
	}{
		{"port taken", `{protocol: imap, address: "127.0.0.1:0"}`, fmt.Sprintf(`{protocol: imap, address: %q}`, taken.Addr()), exitFailed, "can't listen for imap"},
		{"mistyped key", "listeners:", "listener:", exitConfig, "did you mean listeners"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(strings.Replace(text, test.old, test.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			got := runCommand(t, "", "serve", "--config", file)
			if got.status != test.status || !strings.Contains(got.err, test.said) {
				t.Errorf("exit status %d, said:\n%s", got.status, got.err)
			}
		})
	}
}

// TestServeNeedsNoState: where nobody has to sign in there is nothing to keep,
// so that neither a state directory that can't be made nor a second process
// stands in the way of mail.
func TestServeNeedsNoState(t *testing.T) {
	sandbox := start(t, "sandbox")
	defer sandbox.end(t)
	sandbox.err.await(t, "until Ctrl-C")
	text := regexp.MustCompile(`"127\.0\.0\.1:(1143|1110|1587)"`).ReplaceAllString(sandbox.out.String(), `"127.0.0.1:0"`)
	password := regexp.MustCompile(`password (\S+)\n`).FindStringSubmatch(text)[1]
	for _, person := range []string{
		`(?s)  people:.*?\n\n`,
		`(?s)\n  # Here a person signs in first.*`,
	} {
		text = regexp.MustCompile(person).ReplaceAllString(text, "")
	}
	folder := t.TempDir()
	occupied := filepath.Join(folder, "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`state_directory: .*`).ReplaceAllString(text, fmt.Sprintf("\nstate_directory: %q", filepath.Join(occupied, "state")))
	text = strings.Replace(text, "listeners:", "\nlisteners:", 1)
	file := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		proxy := start(t, "serve", "--config", file)
		defer proxy.end(t)
		address := proxy.err.await(t, `msg=listening protocol=smtp address=(\S+)`)[1]
		if err := send(address, "alice@contoso.example", password); err != nil {
			t.Error(err)
		}
	}
}

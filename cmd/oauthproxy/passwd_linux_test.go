package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal: person is the side of the keyboard and the
// screen, program the other one.
type terminal struct {
	person, program *os.File
	prompts         *prompts
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	running := goleak.IgnoreCurrent()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	fd := int(person.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = person.Close() // hangs up, which ends a read left behind
		deadline := time.Now().Add(10 * time.Second)
		err := goleak.Find(running)
		for err != nil && time.Now().Before(deadline) { // on a busy machine it takes a while
			err = goleak.Find(running)
		}
		if err != nil {
			t.Error(err)
		}
		_ = program.Close()
	})
	return &terminal{person, program, &prompts{}}
}

// run runs oauthproxy passwd at the terminal and returns the channel of what
// it said.
func (term *terminal) run(ctx context.Context) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		var out bytes.Buffer
		status := run(ctx, []string{"passwd"}, &ui{in: term.program, out: &out, err: term.prompts})
		done <- outcome{out.String(), term.prompts.String(), status}
	}()
	return done
}

// awaitPrompt waits for a prompt and until nothing is echoed any more.
func (term *terminal) awaitPrompt(t *testing.T, prompt string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for term.echoes(t) || !strings.HasSuffix(term.prompts.String(), prompt) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %q, have %q", prompt, term.prompts)
		}
		runtime.Gosched()
	}
}

// echoes tells whether the terminal shows what is typed.
func (term *terminal) echoes(t *testing.T) bool {
	t.Helper()
	settings, err := unix.IoctlGetTermios(int(term.program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

// prompts is a standard error that can be read while it is written to.
type prompts struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *prompts) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(data)
}

func (p *prompts) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func TestPasswdOnATerminal(t *testing.T) {
	tests := []struct {
		name   string
		typed  []string
		status int
		err    string
	}{
		{"the same twice", []string{" pä ss ", " pä ss "}, exitWell, "password: \nthe same again: \n"},
		{"mistyped", []string{"correct", "corect"}, exitFailed, "password: \nthe same again: \noauthproxy: the two passwords differ, try again\n"},
		{"empty", []string{""}, exitFailed, "password: \noauthproxy: the password is empty\n"},
		{"control-C", []string{"secr\x03"}, exitFailed, "password: \noauthproxy: can't read the password: interrupted\n"},
		{"control-D", []string{"\x04"}, exitFailed, "password: \noauthproxy: can't read the password: interrupted\n"},
		{"Latin-1, as it is", []string{"p\xe4ss", "p\xe4ss"}, exitWell, "password: \nthe same again: \n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			term := newTerminal(t)
			done := term.run(t.Context())
			for i, line := range test.typed {
				term.awaitPrompt(t, []string{"password: ", "\nthe same again: "}[i])
				if _, err := io.WriteString(term.person, line+"\r"); err != nil {
					t.Fatal(err)
				}
			}
			got := <-done
			if got.status != test.status || got.err != test.err {
				t.Errorf("got %d, %q, want %d, %q", got.status, got.err, test.status, test.err)
			}
			if hash := strings.TrimSuffix(got.out, "\n"); test.status == exitWell && !opens(t, hash, test.typed[0]) {
				t.Errorf("standard output has %q, which is not the password's hash alone", got.out)
			}
			if !term.echoes(t) {
				t.Error("the terminal is left without echo")
			}
		})
	}
}

func TestPasswdInterruptedOnATerminal(t *testing.T) {
	term := newTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := term.run(ctx)
	term.awaitPrompt(t, "password: ")
	cancel()
	want := outcome{"", "password: \noauthproxy: can't read the password: interrupted\n", exitFailed}
	if got := <-done; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !term.echoes(t) {
		t.Error("the terminal is left without echo")
	}
}

// A terminal that is hung up gives nothing to each read, for ever.
func TestPasswdOnATerminalThatHangsUp(t *testing.T) {
	term := newTerminal(t)
	done := term.run(t.Context())
	term.awaitPrompt(t, "password: ")
	_ = term.person.Close()
	if got := <-done; got.status != exitFailed || got.out != "" {
		t.Errorf("got %+v, want a failure", got)
	}
}

// hungUp is such a terminal.
type hungUp struct{ reads int }

func (h *hungUp) Read([]byte) (int, error) {
	if h.reads++; h.reads > 3 {
		return 0, errors.New("read once more")
	}
	return 0, io.EOF // what os.File makes of a read of nothing
}

func TestTypedLineEndsWithTheTerminal(t *testing.T) {
	h := &hungUp{}
	if _, err := typedLine(h); !errors.Is(err, io.EOF) || h.reads != 1 {
		t.Errorf("got %v after %d reads, want an end after one", err, h.reads)
	}
}

func TestTypedLine(t *testing.T) {
	tests := []struct{ name, typed, want string }{
		{"Enter", "pass\r", "pass"},
		{"a letter taken back", "pä\x7fass\r", "pass"},
		{"more taken back than there is", "x\b\b\bpass\r", "pass"},
		{"begun anew", "wrong\x15pass\r", "pass"},
		{"Latin-1 taken back", "p\xe4\x7fass\r", "pass"},
		{"pasted with a line end of a file", "pass\n", "pass"},
		{"typed ahead", "pass\rnext\r", "pass"},
		{"too long", strings.Repeat("x", 2*maxPassword) + "\r", strings.Repeat("x", maxPassword+1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, err := typedLine(strings.NewReader(test.typed)); string(got) != test.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

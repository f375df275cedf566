package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// mailbag is systemd's end of a notify socket.
type mailbag struct {
	t    *testing.T
	conn *net.UnixConn
	name string // as NOTIFY_SOCKET has it
}

func newMailbag(t *testing.T, name string) *mailbag {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return &mailbag{t, conn, name}
}

// next returns the assignments of the next message.
func (b *mailbag) next() []string {
	b.t.Helper()
	_ = b.conn.SetReadDeadline(time.Now().Add(time.Minute))
	message := make([]byte, 4096)
	n, err := b.conn.Read(message)
	if err != nil {
		b.t.Fatalf("systemd hears nothing: %v", err)
	}
	return strings.Split(string(message[:n]), "\n")
}

// until returns the first message that has the assignment.
func (b *mailbag) until(assignment string) []string {
	b.t.Helper()
	for {
		if got := b.next(); slices.Contains(got, assignment) {
			return got
		}
	}
}

// TestNotify: systemd hears the whole life of a service, over a socket in the
// file system and over an abstract one.
func TestNotify(t *testing.T) {
	for _, kind := range []string{"a file", "abstract"} {
		t.Run(kind, func(t *testing.T) {
			s := appOnly(t)
			name := filepath.Join(s.folder, "notify")
			if kind == "abstract" {
				name = fmt.Sprintf("@oauthproxy-test-%d-%d", os.Getpid(), time.Now().UnixNano())
			}
			systemd := newMailbag(t, name)
			proxy, imap, _ := s.serveAll()
			if got := systemd.next(); !slices.Equal(got, []string{"READY=1", "STATUS=2 listeners, 0 sessions"}) {
				t.Errorf("at the start: %q", got)
			}
			if left := os.Getenv("NOTIFY_SOCKET"); left != "" {
				t.Errorf("programs that the service starts see NOTIFY_SOCKET=%s", left)
			}
			openIMAP(t, imap, "bob")

			s.reload(exitWell)
			got := systemd.until("RELOADING=1")
			if len(got) != 3 || !regexp.MustCompile(`^MONOTONIC_USEC=\d+$`).MatchString(got[1]) {
				t.Errorf("at a reload: %q", got)
			}
			if got = systemd.until("READY=1"); got[1] != "STATUS=2 listeners, 1 session" {
				t.Errorf("after a reload: %q", got)
			}
			s.change("protocol: smtp", "protocol: smpt")
			s.reload(exitConfig)
			systemd.until("RELOADING=1")
			systemd.until("READY=1")

			proxy.stop()
			got = systemd.until("STOPPING=1")
			if got[1] != "EXTEND_TIMEOUT_USEC=45000000" || got[2] != "STATUS=stopping: 2 listeners, 1 session" {
				t.Errorf("at the end: %q", got)
			}
			proxy.wait(t, exitWell)
		})
	}
}

// TestWatchdog: signs of life stop while the service isn't well.
func TestWatchdog(t *testing.T) {
	systemd := newMailbag(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	log := newScreen()
	m := newManager(slog.New(slog.NewTextHandler(log, nil)))
	if m.watchdog != 20*time.Millisecond || os.Getenv("WATCHDOG_USEC")+os.Getenv("WATCHDOG_PID") != "" {
		t.Fatalf("watchdog %v, in the environment %q", m.watchdog, os.Environ())
	}
	var isIll atomic.Bool
	looked := make(chan struct{}, 1)
	alive := func() error {
		select {
		case looked <- struct{}{}:
		default:
		}
		if isIll.Load() {
			return errors.New("no account is usable")
		}
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.attend(ctx, alive, func() string { return fmt.Sprintf("ill: %v", isIll.Load()) })
	}()
	if got := systemd.next(); !slices.Equal(got, []string{"WATCHDOG=1", "STATUS=ill: false"}) {
		t.Errorf("first: %q", got)
	}
	if got := systemd.next(); !slices.Equal(got, []string{"WATCHDOG=1"}) {
		t.Errorf("then: %q", got)
	}
	isIll.Store(true)
	for got := systemd.next(); !slices.Equal(got, []string{"STATUS=ill: true"}); got = systemd.next() {
		if !slices.Equal(got, []string{"WATCHDOG=1"}) && !slices.Equal(got, []string{"WATCHDOG=1", "STATUS=ill: true"}) {
			t.Fatalf("while ill: %q", got)
		}
		if len(got) == 2 {
			break // it fell ill between the two looks
		}
	}
	for range 4 {
		<-looked
	}
	if n := strings.Count(log.String(), "no account is usable"); n != 1 {
		t.Errorf("the log says so %d times:\n%s", n, log)
	}
	isIll.Store(false)
	// A sign of life that had been on its way when it fell ill would be alone.
	if got := systemd.until("STATUS=ill: false"); got[0] != "WATCHDOG=1" {
		t.Errorf("well again: %q", got)
	}
	stop()
	<-ended
}

// TestNoManager: started by anybody else, nothing is told and nothing breaks.
func TestNoManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	m := newManager(slog.New(slog.DiscardHandler))
	if m != nil {
		t.Fatalf("%+v", m)
	}
	m.ready("well")
	m.reloading()
	m.stopping(grace, "")
	m.attend(t.Context(), nil, nil)
}

// TestManagerHangs: systemd that takes no messages holds nobody up for long.
func TestManagerHangs(t *testing.T) {
	systemd := newMailbag(t, filepath.Join(t.TempDir(), "notify"))
	raw, err := systemd.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
	log := newScreen()
	m := newManager(slog.New(slog.NewTextHandler(log, nil)))
	for !strings.Contains(log.String(), "systemd can't be told") {
		m.ready("well") // until the queue is full, and then a second
	}
	if !strings.Contains(log.String(), "i/o timeout") {
		t.Error(log.String())
	}
}

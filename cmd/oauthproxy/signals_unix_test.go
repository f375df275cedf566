//go:build unix

package main

import (
	"context"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/config"
)

// raise sends this process a signal, which the proxy of the test has asked for.
func raise(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(syscall.Getpid(), signal); err != nil {
		t.Fatal(err)
	}
}

// TestReloadBySignal: SIGHUP does what the command does, and keeps going when
// the configuration is wrong.
func TestReloadBySignal(t *testing.T) {
	s := appOnly(t)
	proxy, imap, _ := s.serveAll()
	s.change("user: bob", "user: robert")
	raise(t, syscall.SIGHUP)
	proxy.err.await(t, `msg=reloaded`)
	if heard := logInByIMAP(t, imap, "robert"); !strings.HasPrefix(heard, "a OK") {
		t.Errorf("robert hears %q", heard)
	}
	s.change("protocol: smtp", "protocol: smpt")
	raise(t, syscall.SIGHUP)
	proxy.err.await(t, `level=ERROR msg="not reloaded, nothing has changed" cause=.*unknown value \\"smpt\\".* remedy="did you mean smtp\?"`)
	if heard := logInByIMAP(t, imap, "robert"); !strings.HasPrefix(heard, "a OK") {
		t.Errorf("robert hears %q", heard)
	}
	proxy.end(t)
}

// inMessage is an SMTP session in the middle of a message.
func inMessage(t *testing.T, address string) *textproto.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(patience))
	c := textproto.NewConn(raw)
	say := func(code int, format string, args ...any) {
		t.Helper()
		if format != "" {
			_ = c.PrintfLine(format, args...)
		}
		if _, _, err := c.ReadResponse(code); err != nil {
			t.Fatal(err)
		}
	}
	say(220, "")
	say(250, "EHLO scanner")
	say(334, "AUTH LOGIN Ym9i") // bob
	say(235, "%s", "YSBsb2NhbCBwYXNzd29yZA==")
	say(250, "MAIL FROM:<bob@contoso.example>")
	say(250, "RCPT TO:<bob@contoso.example>")
	say(354, "DATA")
	_ = c.PrintfLine("Subject: on its way\r\n")
	return c
}

// TestStopDuringAMessage: the message on its way gets its verdict; nobody new
// is let in.
func TestStopDuringAMessage(t *testing.T) {
	s := appOnly(t)
	proxy, _, smtp := s.serveAll()
	c := inMessage(t, smtp)
	proxy.stop()
	proxy.err.await(t, `msg=stopping`)
	_ = c.PrintfLine("the rest\r\n.")
	if _, _, err := c.ReadResponse(250); err != nil {
		t.Errorf("the message: %v", err)
	}
	if _, _, err := c.ReadResponse(421); err != nil {
		t.Errorf("behind it: %v", err)
	}
	proxy.end(t)
	if conn, err := net.Dial("tcp", smtp); err == nil {
		_ = conn.Close()
		t.Error("somebody new is let in")
	}
}

// TestObey: the second signal to stop is one to hurry; a reload in between
// isn't.
func TestObey(t *testing.T) {
	s := appOnly(t)
	c, err := config.Load(s.config, accounts.CheckHash)
	if err != nil {
		t.Fatal(err)
	}
	service, err := newService(c, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	signals, hurry, served := make(chan os.Signal), make(chan struct{}), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { service.obey(signals, hurry, served) })
	running.Go(func() { service.serve(ctx, hurry); close(served) })
	inMessage(t, service.address("smtp"))
	stop()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGHUP, syscall.SIGTERM} {
		select {
		case <-hurry:
			t.Errorf("it hurries before %v", signal)
		case signals <- signal:
		}
	}
	<-hurry
	running.Wait() // ends with the test's patience if sessions go on
	if messages := s.Messages("bob@contoso.example"); len(messages) > 0 {
		t.Errorf("bob has %d messages", len(messages))
	}
}

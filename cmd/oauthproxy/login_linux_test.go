package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// startOn starts a command on the terminal, and shows on its screen what a
// person sees there.
func (term *terminal) startOn(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{newScreen(), newScreen(), stop, make(chan int, 1)}
	watched := term.watch(t)
	go func() { _, _ = io.Copy(r.err, watched) }()
	go func() { r.status <- run(ctx, args, &ui{in: term.program, out: r.out, err: term.program}) }()
	return r
}

// watch returns the person's side for reading, in a form that can be closed
// while it is read.
func (term *terminal) watch(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.Dup(int(term.person.Fd()))
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	watched := os.NewFile(uintptr(fd), "screen")
	t.Cleanup(func() { _ = watched.Close() })
	return watched
}

// TestCountdown: a terminal shows how long the code is good, on one line that
// is gone in the end.
func TestCountdown(t *testing.T) {
	s := newSite(t, "device_code")
	login := newTerminal(t).startOn(t, "login", "alice@contoso.example", "--config", s.config)
	code := login.out.await(t, `code     (\S+)\n`)[1]
	login.err.await(t, `\r\x1b\[Kwaiting, the code is good for (15:00|14:59)\r\x1b\[Kwaiting, the code is good for 14:5`)
	if err := s.ApproveDeviceCode(code, "alice@contoso.example"); err != nil {
		t.Fatal(err)
	}
	login.err.await(t, `good for \d+:\d\d\r\x1b\[Koauthproxy: signed in as alice@contoso.example`)
	login.wait(t, exitWell)
}

// TestBrowserIsOpened: on a desktop nobody has to copy the address.
func TestBrowserIsOpened(t *testing.T) {
	s := newSite(t, "browser")
	opened := filepath.Join(s.folder, "opened")
	script := "#!/bin/sh\nprintf %s \"$1\" > " + opened + ".new && mv " + opened + ".new " + opened + "\n"
	if err := os.WriteFile(filepath.Join(s.folder, "xdg-open"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", s.folder+":"+os.Getenv("PATH"))
	t.Setenv("DISPLAY", ":0")
	login := newTerminal(t).startOn(t, "login", "alice@contoso.example", "--config", s.config)
	address := login.out.await(t, `(https://\S+)\n`)[1]
	for t.Context().Err() == nil {
		if got, err := os.ReadFile(opened); err == nil {
			if string(got) != address {
				t.Errorf("opened %s, want %s", got, address)
			}
			break
		}
	}
	s.browse(address, "alice@contoso.example", true)
	login.wait(t, exitWell)
}

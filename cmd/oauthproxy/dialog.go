package main

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/tokens"
)

// maxPasted bounds a line that a person pastes, in bytes. The rest of a longer
// one, which can be no address, is dropped.
const maxPasted = 32 << 10

// dialog is how login speaks with the person who signs in.
type dialog struct {
	ui      *ui
	person  string // who has to sign in
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newDialog(ctx context.Context, u *ui, person string) *dialog {
	d := &dialog{ui: u, person: person}
	d.ctx, d.cancel = context.WithCancel(ctx)
	return d
}

// close ends the countdown.
func (d *dialog) close() {
	d.cancel()
	d.running.Wait()
}

// Code shows where to enter which code, on any machine.
func (d *dialog) Code(code tokens.DeviceCode) {
	d.ui.result("address  %s\ncode     %s", code.URL, code.UserCode)
	d.ui.say("open the address in any browser, enter the code, and sign in as %s", d.person)
	if _, ok := isTerminal(d.ui.err); ok {
		d.running.Go(func() { d.countDown(code.Expires) })
		return
	}
	d.ui.say("the code is good until %s", code.Expires.Local().Format(time.TimeOnly))
}

// countDown shows on one line of the terminal how long the code is good.
func (d *dialog) countDown(end time.Time) {
	const clearLine = "\r\x1b[K"
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer fmt.Fprint(d.ui.err, clearLine)
	for {
		left := max(0, time.Until(end)).Round(time.Second)
		fmt.Fprintf(d.ui.err, clearLine+"waiting, the code is good for %d:%02d", left/time.Minute, left%time.Minute/time.Second)
		select {
		case <-tick.C:
		case <-d.ctx.Done():
			return
		}
	}
}

// Address shows where to sign in, and opens it where there is a desktop.
func (d *dialog) Address(address string) {
	d.ui.result("%s", address)
	d.ui.say("open this address in a browser on this machine, and sign in as %s", d.person)
	if port := redirectPort(address); port != "" {
		d.ui.hint("if the browser is on another machine, first run there: ssh -L %s:localhost:%s %s", port, port, hostName())
	}
	d.ui.hint("or sign in anywhere, and when the browser can't open a page at localhost, paste that page's address here and press Enter")
	if _, ok := isTerminal(d.ui.in); ok {
		d.open(address)
	}
}

// redirectPort is the port of this machine that the browser comes back to.
func redirectPort(address string) string {
	a, err := url.Parse(address)
	if err != nil {
		return ""
	}
	back, err := url.Parse(a.Query().Get("redirect_uri"))
	if err != nil {
		return ""
	}
	return back.Port()
}

// open opens the address in the person's browser. Where that fails the address
// is on the screen.
func (d *dialog) open(address string) {
	opener := browserCommand(runtime.GOOS, os.Getenv)
	if opener == nil || !strings.HasPrefix(address, "https://") {
		return
	}
	command := exec.CommandContext(d.ctx, opener[0], append(opener[1:], address)...)
	d.running.Go(func() { _ = command.Run() })
}

// browserCommand is what opens an address on a desktop; nil: there is none.
func browserCommand(system string, getenv func(string) string) []string {
	switch {
	case system == "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	case system == "darwin":
		return []string{"open"}
	case getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != "":
		return []string{"xdg-open"}
	}
	return nil
}

// Pasted returns the lines of standard input. A read of a terminal can't be
// interrupted: then it is left behind, for the program ends.
func (d *dialog) Pasted() <-chan string {
	pasted := make(chan string)
	go func() {
		defer close(pasted)
		in := bufio.NewReaderSize(d.ui.in, maxPasted)
		for {
			line, err := readLine(in)
			if err != nil {
				return
			}
			select {
			case pasted <- line:
			case <-d.ctx.Done():
				return
			}
		}
	}()
	return pasted
}

// readLine returns the beginning of the next line, as much as the buffer takes.
func readLine(in *bufio.Reader) (string, error) {
	line, more, err := in.ReadLine()
	text := string(line)
	for more && err == nil {
		_, more, err = in.ReadLine()
	}
	return text, err
}

// PasteAgain says why what was pasted can't be used.
func (d *dialog) PasteAgain(reason string) {
	d.ui.say("what was pasted can't be used: %s", reason)
	d.ui.hint("paste the page's address here again, or let the browser open it; Ctrl-C ends the sign-in")
}

// Password asks for the person's password with Microsoft.
func (d *dialog) Password(ctx context.Context) (wire.Secret, error) {
	return d.ui.password(ctx, fmt.Sprintf("password of %s with Microsoft: ", d.person))
}

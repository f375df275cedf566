package main

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"golang.org/x/term"

	"oauthproxy/admin"
)

const (
	// watchEvery is how often status --watch asks.
	watchEvery = 2 * time.Second
	// mostSessions bounds what a terminal shows.
	mostSessions = 50
	// clearScreen moves the cursor to the upper left corner and clears what is
	// below (ECMA-48 sections 8.3.21 and 8.3.39); scrolled lines stay.
	clearScreen = "\x1b[H\x1b[2J"
)

// status shows what the running service does. It succeeds when one runs.
func status(ctx context.Context, args []string, u *ui) int {
	o := newOptions("status", u)
	asJSON := o.Bool("json", false, "print JSON, for programs; with --watch an object on each line")
	watch := o.Bool("watch", false, "show it again every two seconds, until Ctrl-C")
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	client, status := o.runningService(ctx)
	if client == nil {
		return status
	}
	show := u.showStatus
	switch {
	case *asJSON && *watch:
		show = u.statusLine
	case *asJSON:
		show = u.statusJSON
	}
	if *watch {
		return watchStatus(ctx, client, u, show)
	}
	now, err := client.Status(ctx)
	if err != nil {
		return u.fail(err)
	}
	return show(now)
}

// watchStatus shows the status again and again, until ctx ends, the service
// does, or nobody takes what is shown.
func watchStatus(ctx context.Context, client *admin.Client, u *ui, show func(admin.Status) int) int {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	_, isScreen := isTerminal(u.out)
	for {
		now, err := client.Status(ctx)
		if ctx.Err() != nil {
			return exitWell
		}
		if err != nil {
			return u.fail(err)
		}
		if isScreen {
			_, _ = u.out.Write([]byte(clearScreen)) // what follows fails as well
		}
		if status := show(now); status != exitWell || u.outErr != nil {
			return status
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return exitWell
		}
	}
}

// showStatus shows it as tables: on a terminal as wide as that is, and no more
// sessions than one looks at.
func (u *ui) showStatus(s admin.Status) int {
	width, most := math.MaxInt, math.MaxInt
	if terminal, ok := isTerminal(u.out); ok {
		width, most = usualWidth-1, mostSessions
		if columns, _, err := term.GetSize(terminal); err == nil && columns > 0 {
			width = max(leastWidth, columns-1)
		}
	}
	u.result("%s", statusText(s, width, most))
	return exitWell
}

func (u *ui) statusJSON(s admin.Status) int {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return u.fail(err)
	}
	u.result("%s", text)
	return exitWell
}

func (u *ui) statusLine(s admin.Status) int {
	text, err := json.Marshal(s)
	if err != nil {
		return u.fail(err)
	}
	u.result("%s", text)
	return exitWell
}

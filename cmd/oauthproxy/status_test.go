package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"oauthproxy/admin"
)

// status asks the running service.
func (s *site) status() admin.Status {
	s.t.Helper()
	got := runCommand(s.t, "", "status", "--json", "--config", s.config)
	var now admin.Status
	if err := json.Unmarshal([]byte(got.out), &now); err != nil || got.status != exitWell || got.err != "" {
		s.t.Fatalf("%v: %+v", err, got)
	}
	return now
}

// TestStatus: the status knows the listeners, the sessions with what they have
// moved, the mailboxes and the accounts.
func TestStatus(t *testing.T) {
	s := newSite(t, "device_code")
	proxy, imap, smtp := s.serveAll()
	bob := openIMAP(t, imap, "scanner")
	if err := bob.Noop().Wait(); err != nil {
		t.Error(err)
	}
	if err := sendFrom(smtp, "scanner", localPassword, "scanner@contoso.example"); err != nil {
		t.Error(err)
	}
	now := s.status()
	if now.PID == 0 || now.Version == "" || time.Since(now.Since) > time.Hour || now.Loaded.IsZero() {
		t.Errorf("the service is %+v", now)
	}
	if len(now.Listeners) != 2 || now.Listeners[0] != (admin.Listener{Protocol: "imap", Address: imap, TLS: "none", Sessions: 1}) {
		t.Errorf("listeners %+v", now.Listeners)
	}
	var relayed admin.Session
	for _, session := range now.Sessions {
		if session.Protocol == "imap" {
			relayed = session
		}
	}
	if relayed.Login != "scanner" || relayed.Account != "scanner@contoso.example" || relayed.Client != "127.0.0.1" || relayed.Phase != "relaying" ||
		!relayed.LoggedIn || relayed.BytesUp == 0 || relayed.BytesDown == 0 || relayed.ID == "" {
		t.Errorf("sessions %+v", now.Sessions)
	}
	if len(now.Mailboxes) != 1 || now.Mailboxes[0].Account != "scanner@contoso.example" || now.Mailboxes[0].Open != 1 || now.Mailboxes[0].Kept != 1 ||
		now.Mailboxes[0].Recipients != 1 || now.Mailboxes[0].Messages != 1 {
		t.Errorf("mailboxes %+v", now.Mailboxes)
	}
	if len(now.Accounts) != 3 || now.Accounts[2].State != "ready" || now.Accounts[2].TokenExpires.IsZero() {
		t.Errorf("accounts %+v", now.Accounts)
	}
	if all := strings.Join(now.Warnings, "\n"); !strings.Contains(all, "alice@contoso.example, sign-in needed: ") || !strings.Contains(all, "run: oauthproxy login") {
		t.Errorf("warnings %q", now.Warnings)
	}
	text := runCommand(t, "", "status", "--config", s.config)
	for _, want := range []string{"oauthproxy ", "warning: alice@contoso.example, sign-in needed", "LISTENER", "imap      " + imap, relayed.ID + "  imap  127.0.0.1  scanner"} {
		if text.status != exitWell || !strings.Contains(text.out, want) {
			t.Errorf("%q is missing in: %+v", want, text)
		}
	}
	proxy.end(t)
	if got := runCommand(t, "", "status", "--config", s.config); got.status != exitFailed || got.out != "" ||
		!strings.HasPrefix(got.err, "oauthproxy: no service is running") || !strings.HasSuffix(got.err, "oauthproxy: hint: start it with: oauthproxy serve\n") {
		t.Errorf("without a service: %+v", got)
	}
}

// TestStatusWatch: it is told again and again, as JSON an object on each line;
// an interruption ends it well, and the service's end doesn't.
func TestStatusWatch(t *testing.T) {
	s := appOnly(t)
	proxy, _ := s.serve()
	watch := start(t, "status", "--watch", "--config", s.config)
	watch.out.await(t, `(?s)LISTENER.*LISTENER`)
	watch.end(t)
	lines := start(t, "status", "--watch", "--json", "--config", s.config)
	lines.out.await(t, `(?s)\n.*\n`)
	for in := bufio.NewScanner(strings.NewReader(lines.out.String())); in.Scan(); {
		if err := json.Unmarshal(in.Bytes(), new(admin.Status)); err != nil {
			t.Errorf("%v: %s", err, in.Text())
		}
	}
	proxy.end(t)
	lines.wait(t, exitFailed)
}

// crowd is the status of a service with so many sessions.
func crowd(sessions int) admin.Status {
	s := admin.Status{Version: "v1.0.0", PID: 4711, Since: time.Now().Add(-80 * time.Hour), Loaded: time.Now(),
		Warnings:  []string{"scanner@contoso.example: 8123 of 10000 recipients of a day are used up", "a\x1b[31mred\nline"},
		Listeners: []admin.Listener{{Protocol: "smtp", Address: "[2001:db8:1234:5678:9abc:def0:1234:5678]:1587", TLS: "implicit", Sessions: sessions}},
		Accounts:  []admin.AccountSummary{{Account: "a.person.with.a.long.name@contoso.example", State: "administrator needed", Next: "ask the administrator to grant the application its rights"}},
		Mailboxes: []admin.Mailbox{{Account: "a.person.with.a.long.name@contoso.example", Open: 3, Kept: 3, Waiting: 200, Messages: 30, MessagesPerMinute: 30, Recipients: 10000, RecipientsPerDay: 10000}},
	}
	for i := range sessions {
		s.Sessions = append(s.Sessions, admin.Session{ID: fmt.Sprintf("%06d", i), Protocol: "smtp", Client: "2001:db8:1234:5678:9abc:def0:1234:5678", Login: "copier-on-the-second-floor",
			Account: "a.person.with.a.long.name@contoso.example", Since: s.Since, Phase: "connecting to the upstream and obtaining an access token", BytesUp: 999_499_999_999, BytesDown: 9999})
	}
	return s
}

// TestStatusFits: at 80 and 60 columns no line is broken by the terminal, and
// what many sessions there are is told in one line.
func TestStatusFits(t *testing.T) {
	for _, width := range []int{79, 59} {
		for _, sessions := range []int{0, 1, 10_000} {
			text := statusText(crowd(sessions), width, mostSessions)
			lines := strings.Split(text, "\n")
			if len(lines) > mostSessions+25 {
				t.Errorf("%d lines", len(lines))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > width {
					t.Fatalf("at %d columns this has %d: %s", width, utf8.RuneCountInString(line), line)
				}
			}
			if strings.Contains(text, "\x1b") {
				t.Error("what a client has said drives the terminal")
			}
			if more := strings.Contains(text, "and 9950 more"); more != (sessions == 10_000) {
				t.Errorf("of %d sessions it says:\n%s", sessions, text)
			}
		}
	}
	if text := statusText(crowd(10_000), math.MaxInt, math.MaxInt); strings.Count(text, "copier-on-the-second-floor") != 10_000 || strings.Contains(text, "…") {
		t.Error("into a file, sessions are left out or cut")
	}
}

// TestSizes: numbers stay narrow.
func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 9999: "9999", 10_000: "10k", 999_499: "999k", 999_500: "1.0M", 9_940_000: "9.9M", 9_960_000: "10M", 123_000_000_000: "123G", 5_000_000_000_000_000: "5000T"} {
		if got := size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0s", 59 * time.Second: "59s", 60 * time.Second: "1m", 90 * time.Minute: "1h30m", 9*time.Hour + 59*time.Minute: "9h59m", 99 * time.Hour: "99h", 100 * time.Hour: "4d"} {
		if got := span(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

// TestStatusOfTenThousand: what a full house says comes over the socket whole.
func TestStatusOfTenThousand(t *testing.T) {
	text, err := json.Marshal(crowd(10_000))
	if err != nil || len(text) > 8<<20 {
		t.Errorf("%d bytes, %v: near the bound of a line", len(text), err)
	}
}

package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oauthproxy/config"
)

func TestLedgerIsKept(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	c := &config.Config{StateDirectory: filepath.Join(t.TempDir(), "state")}
	file := filepath.Join(c.StateDirectory, ledgerFile)

	k := openLedger(c, logger)
	k.save()
	if _, err := os.Stat(file); err == nil {
		t.Error("a file is made though nothing has been sent")
	}

	text := `{"version":1,"recipients":{"a@contoso.com":{"500000":3}}}`
	if err := os.MkdirAll(c.StateDirectory, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{text[:20], `{"version":0}`} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if k = openLedger(c, logger); k == nil || !strings.Contains(log.String(), "the count begins anew") {
			t.Errorf("%s: the log says %q", broken, &log)
		}
	}
}

// A newer version's file isn't replaced: the count is kept in memory alone.
func TestLedgerOfANewerVersion(t *testing.T) {
	var log bytes.Buffer
	c := &config.Config{StateDirectory: t.TempDir()}
	file := filepath.Join(c.StateDirectory, ledgerFile)
	const newer = `{"version":2,"mailboxes":[]}`
	if err := os.WriteFile(file, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	k := openLedger(c, slog.New(slog.NewTextHandler(&log, nil)))
	k.saved = nil // as if something had been sent
	k.save()
	if text, err := os.ReadFile(file); err != nil || string(text) != newer {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if got := strings.Count(log.String(), "the file is left to the newer version"); got != 1 {
		t.Errorf("told %d times: %s", got, &log)
	}
}

// A state directory that can't be written is told once: mail goes on.
func TestLedgerThatCantBeSaved(t *testing.T) {
	var log bytes.Buffer
	c := &config.Config{StateDirectory: filepath.Join(t.TempDir(), "file", "state")}
	if err := os.WriteFile(filepath.Dir(c.StateDirectory), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k := openLedger(c, slog.New(slog.NewTextHandler(&log, nil)))
	log.Reset()
	k.saved = nil // as if something had been sent
	k.save()
	k.save()
	if got := strings.Count(log.String(), "a restart would forget it"); got != 1 {
		t.Errorf("told %d times: %s", got, &log)
	}
}

// The rules of a login and the limits of a mailbox hold, and the day's count
// survives a restart.
func TestServeHoldsSendersToTheirRules(t *testing.T) {
	s := newSite(t, "device_code")
	s.change("logins: [{user: scanner, password_hash: *hash}]",
		`logins: [{user: scanner, password_hash: *hash, device: true, sender: mailbox, allow_recipients: ["@contoso.example"]}]`)
	s.change("state_directory: state", "state_directory: state\nlimits: {recipients_per_day: 2}")
	say := func(address, recipient string) error {
		client, err := smtp.Dial(address)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if err := client.Auth(smtp.PlainAuth("", "scanner", localPassword, "127.0.0.1")); err != nil {
			t.Fatal(err)
		}
		if err := client.Mail("copier@localhost"); err != nil {
			return err
		}
		if err := client.Rcpt(recipient); err != nil {
			return err
		}
		w, err := client.Data()
		if err != nil {
			return err
		}
		_, _ = io.WriteString(w, "From: Copier 4 <copier@localhost>\nSubject: scan\n\nHello\n")
		return w.Close()
	}
	refused := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), `"`, ""), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}

	proxy, address := s.serve()
	refused(say(address, "eve@elsewhere.example"), "550 5.7.1 This login may not send to eve@elsewhere.example (session ")
	for range 2 {
		if err := say(address, "alice@contoso.example"); err != nil {
			t.Error(err)
		}
	}
	refused(say(address, "alice@contoso.example"), "452 4.5.3 The 2 recipients of a day are used up for this mailbox")
	proxy.end(t)

	proxy, address = s.serve()
	refused(say(address, "alice@contoso.example"), "452 4.5.3 ")
	proxy.end(t)

	messages := s.Messages("alice@contoso.example")
	if len(messages) != 2 {
		t.Fatalf("%d messages have arrived, want 2", len(messages))
	}
	text := string(messages[1])
	for _, want := range []string{"From: \"Copier 4\" <scanner@contoso.example>\r\nSubject: scan\r\n", "\r\nDate: ", "\r\nMessage-ID: <", "\r\n\r\nHello\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q isn't in the message:\n%s", want, text)
		}
	}
}

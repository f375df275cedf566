package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oauthproxy/tokens"
)

// state is the name of a file in the state directory.
func (s *site) state(name string) string { return filepath.Join(s.folder, "state", name) }

// TestLoginThatCantBeKept: nobody is asked to sign in for nothing.
func TestLoginThatCantBeKept(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	if err := os.WriteFile(s.state("account-alice@contoso.example"), []byte("OAP9 of the future"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, "", "login", "alice@contoso.example", "--config", s.config)
	if got.status != exitFailed || got.out != "" || !strings.Contains(got.err, "nobody can sign in now, because that couldn't be kept") ||
		!strings.Contains(got.err, "was written by another version") {
		t.Errorf("got %+v", got)
	}
}

// TestServiceStartsDuringALogin: the service goes before a command that waits
// for somebody, who is told that it was for nothing.
func TestServiceStartsDuringALogin(t *testing.T) {
	s := newSite(t, "device_code")
	login := start(t, "login", "alice@contoso.example", "--config", s.config)
	code := login.out.await(t, `code     (\S+)\n`)[1]
	proxy, _ := s.serve()
	defer proxy.end(t)
	if err := s.ApproveDeviceCode(code, "alice@contoso.example"); err != nil {
		t.Fatal(err)
	}
	login.err.await(t, `alice@contoso.example signed in for alice@contoso.example, and that is lost: .* is in use by process \d+ .*\n`+
		`oauthproxy: hint: mend that and sign in again; where a service has started meanwhile, just sign in again\n`)
	login.wait(t, exitFailed)
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
}

// TestStoppedDuringALogin: whoever signs in hears that the service stops.
func TestStoppedDuringALogin(t *testing.T) {
	s := newSite(t, "device_code")
	proxy, _ := s.serve()
	login := start(t, "login", "alice@contoso.example", "--config", s.config)
	login.out.await(t, `code     (\S+)\n`)
	proxy.end(t)
	login.wait(t, exitFailed)
	if !strings.Contains(login.err.String(), "the program is shutting down") {
		t.Errorf("it said:\n%s", login.err)
	}
}

// TestSignInWithoutAnAccount: another spelling finds a sign-in, and what nobody
// has a use for any more is listed and can be removed.
func TestSignInWithoutAnAccount(t *testing.T) {
	for _, beside := range []string{"", "serve"} {
		t.Run(beside, func(t *testing.T) {
			s := newSite(t, "device_code")
			s.logInByCode("alice@contoso.example", "alice@contoso.example")
			s.change("mailbox: alice@", "mailbox: Alice@")
			if got := s.accounts()["Alice@contoso.example"]; got.State != "ready" || len(s.accounts()) != 3 {
				t.Errorf("in capitals: %+v", got)
			}
			s.change("mailbox: Alice@contoso.example, app: staff", "mailbox: bob@contoso.example, app: devices")
			s.change("mailbox: shared@contoso.example, app: staff, sign_in_as: alice@contoso.example", "mailbox: shared@contoso.example, app: devices")
			if beside != "" {
				proxy, _ := s.serve()
				defer proxy.end(t)
			}
			got := s.accounts()["alice@contoso.example"]
			if got.State != "not configured" || got.Next != "to remove it, run: oauthproxy logout alice@contoso.example" {
				t.Errorf("not configured: %+v", got)
			}
			if got := runCommand(t, "", "login", "alice@contoso.example", "--config", s.config); got.status != exitFailed || !strings.Contains(got.err, "there is no account") {
				t.Errorf("login: %+v", got)
			}
			left := runCommand(t, "", "logout", "Alice@contoso.example", "--config", s.config)
			if left != (outcome{"", "oauthproxy: the sign-in that was kept for alice@contoso.example is removed\n" +
				"oauthproxy: hint: Microsoft keeps it valid: to end it there too, revoke the person's sessions in Entra ID\n", exitWell}) {
				t.Errorf("logout: %+v", left)
			}
			if _, err := os.Stat(s.state("account-alice@contoso.example")); !os.IsNotExist(err) || len(s.accounts()) != 3 {
				t.Errorf("it is left: %v, %+v", err, s.accounts())
			}
		})
	}
}

func TestLogoutOfNobody(t *testing.T) {
	s := newSite(t, "device_code")
	got := runCommand(t, "", "logout", "alice@contoso.example", "--config", s.config)
	if got != (outcome{"", "oauthproxy: nobody was signed in for alice@contoso.example; nothing is kept for it\n", exitWell}) {
		t.Errorf("got %+v", got)
	}
}

// TestKeyOfTheServiceAlone: what a command has signed in for before the first
// start, the service takes up, though it alone has the key.
func TestKeyOfTheServiceAlone(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	credentials := t.TempDir()
	if _, err := tokens.MakeKey(filepath.Join(credentials, "store.key")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	proxy, _ := s.serve()
	defer proxy.end(t)
	if got := s.accounts()["alice@contoso.example"]; got.State != "ready" {
		t.Errorf("got %+v", got)
	}
}

// TestNoKey: without its key the store costs those alone who sign in.
func TestNoKey(t *testing.T) {
	s := newSite(t, "device_code")
	s.change("state_directory: state", "state_directory: state\nstore: {key_file: missing.key}")
	proxy, smtp := s.serve()
	defer proxy.end(t)
	if err := sendFrom(smtp, "scanner", localPassword, "scanner@contoso.example"); err != nil {
		t.Error(err)
	}
	if got := s.accounts()["alice@contoso.example"]; got.State != "set-up wrong" || !strings.Contains(got.Text, "missing.key doesn't exist: put it back") {
		t.Errorf("got %+v", got)
	}
	proxy.err.await(t, `level=ERROR msg="what people have signed in for can't be used" cause=.*missing.key`)
}

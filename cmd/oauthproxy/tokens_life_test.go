package main

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
)

// openSessions logs in to IMAP as often as it says, all at once.
func openSessions(t *testing.T, address, user string, sessions int) {
	t.Helper()
	var running sync.WaitGroup
	for range sessions {
		running.Go(func() {
			c, err := imapclient.DialInsecure(address, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if err := c.Login(user, localPassword).Wait(); err != nil {
				t.Errorf("%s: %v", user, err)
			}
		})
	}
	running.Wait()
}

// TestOneTokenForAll: fifty sessions cost one request, later ones none, and
// those after a restart none either, though Entra ID can't be reached then.
func TestOneTokenForAll(t *testing.T) {
	s := newSite(t, "device_code")
	serve := func() (proxy *running, imap string) {
		proxy, _ = s.serve()
		return proxy, proxy.err.await(t, `msg=listening protocol=imap address=(\S+)`)[1]
	}
	proxy, imap := serve()
	for range 2 {
		openSessions(t, imap, "scanner", 50)
		if got := s.TokenRequests(); got != 1 {
			t.Errorf("%d token requests for the sessions of one account", got)
		}
	}
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	openSessions(t, imap, "alice", 50)
	proxy.end(t)

	closed := httptest.NewServer(nil)
	closed.Close()
	s.change("state_directory:", fmt.Sprintf("http_proxy: %q\nstate_directory:", closed.URL))
	proxy, imap = serve()
	defer proxy.end(t)
	openSessions(t, imap, "alice", 50)
	if got := s.TokenRequests(); got != 2 {
		t.Errorf("%d token requests in all, want one for each account", got)
	}
	login := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
	got := s.accounts()
	if login.status != exitFailed || got["scanner@contoso.example"].State != "Entra unreachable" || got["alice@contoso.example"].State != "ready" {
		t.Errorf("login says %+v, accounts %+v", login, got)
	}
}

// TestRefusalIsToldEverywhere: the same sentence stands in the client's reply,
// in login and accounts, and in the log, there with the numbers for support.
func TestRefusalIsToldEverywhere(t *testing.T) {
	s := newSite(t, "device_code")
	s.write("client.secret", "another secret")
	proxy, smtp := s.serve()
	defer proxy.end(t)
	const words = "the client secret is wrong (AADSTS7000215): put the secret's Value"
	if err := sendFrom(smtp, "scanner", localPassword, "scanner@contoso.example"); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("the client hears %v", err)
	}
	if got := s.accounts()["scanner@contoso.example"]; got.State != "set-up wrong" || !strings.Contains(got.Text, words) {
		t.Errorf("accounts says %+v", got)
	}
	if got := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config); !strings.Contains(got.err, words) {
		t.Errorf("login says %+v", got)
	}
	const id = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`
	line := regexp.MustCompile(`msg="no new access token" account=scanner@contoso.example reason="set-up wrong" .*` +
		regexp.QuoteMeta(words) + `.* trace_id=` + id + ` correlation_id=` + id)
	if !line.MatchString(proxy.err.String()) {
		t.Errorf("the log says\n%s", proxy.err)
	}
}

// TestPersonalAccount: its tenant is consumers, and its tokens are opaque.
func TestPersonalAccount(t *testing.T) {
	const carol = "carol@outlook.example"
	s := newSite(t, "device_code")
	s.change("flow: device_code, tenant: "+s.TenantID(), "flow: device_code, tenant: consumers")
	s.change("mailbox: alice@contoso.example", "mailbox: "+carol)
	s.change("sign_in_as: alice@contoso.example", "sign_in_as: "+carol)
	s.logInByCode(carol, carol)
	proxy, smtp := s.serve()
	defer proxy.end(t)
	if err := sendFrom(smtp, "alice", localPassword, carol); err != nil {
		t.Error(err)
	}
	openSessions(t, proxy.err.await(t, `msg=listening protocol=imap address=(\S+)`)[1], "alice", 1)
	if got := s.accounts()[carol]; got.State != "ready" || got.SignedInAs != carol {
		t.Errorf("accounts says %+v", got)
	}
}

// TestNoSecretIsSaid: in a day's work, at the most talkative level, neither the
// service nor a command says a secret in any form.
func TestNoSecretIsSaid(t *testing.T) {
	s := newSite(t, "browser")
	s.change("state_directory: state", "state_directory: state\nlog: {level: debug}")
	proxy, smtp := s.serve()
	said := ""
	command := func(args ...string) {
		got := runCommand(t, "", append(args, "--config", s.config)...)
		said += got.out + got.err
	}
	login, keyboard := startTyping(t, "login", "alice@contoso.example", "--config", s.config)
	back := s.browse(login.out.await(t, `(https://\S+)\n`)[1], "alice@contoso.example", false).Header.Get("Location")
	for _, line := range []string{back + "x", back} {
		if _, err := fmt.Fprintln(keyboard, line); err != nil {
			t.Fatal(err)
		}
	}
	login.wait(t, exitWell)
	said += login.out.String() + login.err.String()
	for _, user := range []string{"alice", "scanner"} {
		if err := sendFrom(smtp, user, localPassword, user+"@contoso.example"); err != nil {
			t.Error(err)
		}
	}
	if err := sendFrom(smtp, "alice", "a wrong password", "x@contoso.example"); err == nil {
		t.Error("a wrong password was taken")
	}
	command("accounts")
	command("accounts", "--json")
	command("login", "scanner@contoso.example")
	s.write("client.secret", "an outdated secret")
	command("login", "scanner@contoso.example")
	command("logout", "alice@contoso.example")
	proxy.end(t)
	said += proxy.out.String() + proxy.err.String()

	ended, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{localPassword, "a wrong password", s.ClientSecret(), "an outdated secret", ended.Query().Get("code")}
	for _, secret := range secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret),
			base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(said, form) {
				t.Errorf("a secret was said, as %q:\n%s", form, said)
			}
		}
	}
	if token := regexp.MustCompile(`eyJ[\w-]+\.eyJ[\w-]+|auth=Bearer|YXV0aD1CZWFyZX`).FindString(said); token != "" {
		t.Errorf("a token was said: %s", token)
	}
	if !strings.Contains(said, "level=DEBUG") {
		t.Error("nothing was said at the level debug")
	}
}

// TestSignInThatCannotBeSaved: it is used, and the person is told.
func TestSignInThatCannotBeSaved(t *testing.T) {
	s := newSite(t, "device_code")
	proxy, smtp := s.serve()
	inTheWay := s.state("account-alice@contoso.example")
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	login := start(t, "login", "alice@contoso.example", "--config", s.config)
	if err := s.ApproveDeviceCode(login.out.await(t, `code     (\S+)\n`)[1], "alice@contoso.example"); err != nil {
		t.Fatal(err)
	}
	login.wait(t, exitWell)
	for _, want := range []string{"signed in as alice@contoso.example", "the sign-in couldn't be saved: ", "hint: mend that; saving is tried again by itself"} {
		if !strings.Contains(login.err.String(), want) {
			t.Errorf("%q is missing in what login says:\n%s", want, login.err)
		}
	}
	if err := sendFrom(smtp, "alice", localPassword, "alice@contoso.example"); err != nil {
		t.Errorf("what was consented to isn't used: %v", err)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	proxy.end(t)
	if !strings.Contains(proxy.err.String(), `msg="sign-in saved" account=alice@contoso.example`) {
		t.Errorf("not saved at the end; the log:\n%s", proxy.err)
	}
}

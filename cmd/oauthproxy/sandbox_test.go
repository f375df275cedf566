package main

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"oauthproxy/config"
	"oauthproxy/internal/sandbox"
)

// newStandInSite starts what `oauthproxy sandbox` runs, with its
// configuration on other ports.
func newStandInSite(t *testing.T) (*standIn, *site, *config.Config) {
	t.Helper()
	for _, name := range []string{"RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY", "OAUTHPROXY_STORE_PASSPHRASE"} {
		t.Setenv(name, "")
	}
	s, err := newStandIn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	c, err := s.load(anyPorts)
	if err != nil {
		t.Fatal(err)
	}
	return s, &site{Sandbox: s.Sandbox, t: t, folder: s.folder, config: filepath.Join(s.folder, "config.yaml")}, c
}

// TestSandboxConfiguration: each mailbox and each application can be used as
// the configuration is printed.
func TestSandboxConfiguration(t *testing.T) {
	s, _, c := newStandInSite(t)
	apps := map[string]string{} // by mailbox
	for _, account := range c.Accounts {
		apps[account.Mailbox] = account.App
	}
	for _, mailbox := range s.Mailboxes() {
		want := ownApp
		if s.Scenario(mailbox).SignInAs != "" {
			want = peopleApp
		}
		if apps[mailbox] != want {
			t.Errorf("%s has the app %q, want %s", mailbox, apps[mailbox], want)
		}
	}
	for _, app := range s.Apps() {
		got, ok := c.Apps[app.Name]
		if !ok || apps[app.Mailbox] != app.Name {
			t.Errorf("%s has the app %q, want %s", app.Mailbox, apps[app.Mailbox], app.Name)
			continue
		}
		if got.ClientID != app.ClientID || got.Tenant != app.Tenant || got.Flow != app.Flow || !slices.Equal(got.Scopes, app.Scopes) {
			t.Errorf("%s is configured as %+v", app.Name, got)
		}
	}
	if got, want := len(c.Accounts), len(s.Mailboxes())+len(s.Apps()); got != want {
		t.Errorf("%d accounts, want %d", got, want)
	}
}

// TestSandboxComments: what each mailbox is for stands above it.
func TestSandboxComments(t *testing.T) {
	s, _, _ := newStandInSite(t)
	text := s.configuration(usualPorts)
	for _, app := range s.Apps() {
		if want := "  # " + app.What + " (" + string(app.Mark) + ")\n  - mailbox: " + app.Mailbox + "\n"; !strings.Contains(text, want) {
			t.Errorf("the configuration lacks %q", want)
		}
	}
	for _, scenario := range sandbox.Scenarios() {
		if want := "  # " + scenario.What + " (" + string(scenario.Mark) + ")\n  - mailbox: " + scenario.Name + "@"; !strings.Contains(text, want) {
			t.Errorf("the configuration lacks %q", want)
		}
	}
}

// TestSandboxCauses: the proxy meets at its sandbox what the names of the
// accounts say.
func TestSandboxCauses(t *testing.T) {
	s, site, _ := newStandInSite(t)
	site.logInByCode("sign-in-blocked@"+sandbox.Domain, "sign-in-blocked@"+sandbox.Domain)
	proxy, smtp := site.serve()
	defer proxy.end(t)
	tests := map[string]string{ // what is logged, by name
		"secret-wrong":        "AADSTS7000215",
		"secret-expired":      "AADSTS7000222",
		"certificate-unknown": "AADSTS700027",
		"unknown-tenant":      "AADSTS90002",
		"wrong-cloud":         "AADSTS900382",
		"sign-in-blocked":     "AADSTS53003",
		"no-smtp-role":        "5.7.3",
		"wrong-audience":      "5.7.3",
		"account-locked":      "account locked",
		// Messages of these are taken.
		"app-rbac":      "",
		"no-imap-role":  "",
		"imap-disabled": "",
	}
	var all sync.WaitGroup
	for name, logged := range tests {
		all.Go(func() {
			mailbox := name + "@" + sandbox.Domain
			if err := send(smtp, mailbox, s.password.Reveal()); (err == nil) != (logged == "") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	for name, logged := range tests {
		if logged != "" {
			proxy.err.await(t, name+"@"+sandbox.Domain+".*"+logged)
		}
	}
}

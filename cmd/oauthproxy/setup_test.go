package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/internal/registration"
	"oauthproxy/internal/wire"
)

// TestSetupWithoutATerminal: what is piped in isn't taken for answers.
func TestSetupWithoutATerminal(t *testing.T) {
	want := outcome{"", "oauthproxy: setup asks questions, and this is no terminal\noauthproxy: hint: to read what is to be done, run: oauthproxy setup --print\n", exitUsage}
	if got := runCommand(t, "1\nalice@contoso.com\n", "setup"); got != want {
		t.Errorf("got %+v", got)
	}
}

// TestSetupPrint: the guide is for both ways, goes to standard output, needs
// no terminal, and writes nothing.
func TestSetupPrint(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	got := runCommand(t, "", "setup", "--print")
	if got.status != exitWell || got.err != "" {
		t.Errorf("got %d, %q", got.status, got.err)
	}
	for _, want := range []string{
		"For a person, who signs in once\n===", "For an application by itself", "by the newer role", " 1. Register the application",
		"flow: browser", "flow: client_secret", "New-MgApplication", "Add-MailboxPermission", "Application SMTP.SendAsApp",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(got.out, "You have that already") {
		t.Error("the examples take themselves for real")
	}
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("it has written %v, %v", left, err)
	}
}

// TestSetupConfigurations: whatever a name has in it, the configuration loads
// and the name comes back as it was typed.
func TestSetupConfigurations(t *testing.T) {
	hash, err := accounts.Hash(wire.NewSecret("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"alice", "o'brien@contoso.com", `a "quoted" \ name`, "# no comment: {here}", "yes", "1e3", "null", "Zoë 😀", "*anchor", "\u2028"} {
		t.Run(user, func(t *testing.T) {
			folder := t.TempDir()
			s := setup{Plan: registration.Plan{Cloud: "dod", Tenant: "1e3.example", ClientID: "66666666-7777-8888-9999-000000000000", Mailboxes: []string{"o'brien@contoso.com"},
				Access: registration.DeviceCode, SignInAs: "x#y@contoso.com", Protocols: []string{config.POP3}}, host: "::1", tls: config.None, user: user}
			file := filepath.Join(folder, "config.yaml")
			if err := os.WriteFile(file, []byte(s.yaml(hash)), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(file, accounts.CheckHash)
			if err != nil {
				t.Fatalf("%v\n%s", err, s.yaml(hash))
			}
			if a := c.Accounts[0]; a.Logins[0].User != user || a.SignInAs != "x#y@contoso.com" || a.Mailbox != "o'brien@contoso.com" || c.Listeners[0].Address != "[::1]:1110" {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// TestGuideConfigurations: what setup --print shows loads too, but for the
// password's hash.
func TestGuideConfigurations(t *testing.T) {
	hash, err := accounts.Hash(wire.NewSecret("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guides {
		folder := t.TempDir()
		s := g.setup
		s.host, s.tls, s.ClientID = "127.0.0.1", config.None, "66666666-7777-8888-9999-000000000000"
		for name, text := range map[string]string{"config.yaml": s.yaml(hash), "client.secret": "x"} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := config.Load(filepath.Join(folder, "config.yaml"), accounts.CheckHash); err != nil {
			t.Errorf("%s: %v", g.title, err)
		}
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		name, text, first string
		width             int
		want              string
	}{
		{"short", "a b", "", 10, "a b"},
		{"just fits", "abcd efgh", "", 9, "abcd efgh"},
		{"one too long", "abcd efghi", "", 9, "abcd\nefghi"},
		{"behind a number", "one two three", " 1. ", 11, " 1. one two\n    three"},
		{"a word that is too long", "see https://example.com/long now", "", 10, "see\nhttps://example.com/long\nnow"},
		{"wide letters", "ää öö üü", "", 5, "ää öö\nüü"},
		{"nothing", "", "", 10, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := wrap(test.text, test.first, test.width); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestStepsFitTheTerminal: but for commands, which are to be copied whole, and
// words that can't be broken, no line is wider than the terminal.
func TestStepsFitTheTerminal(t *testing.T) {
	for _, g := range guides {
		var out strings.Builder
		u := &ui{out: &out}
		u.steps(g.setup.Plan, 60)
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			isCommand := false
			for _, command := range g.setup.Commands() {
				isCommand = isCommand || strings.TrimSpace(line) == command
			}
			if !isCommand && utf8.RuneCountInString(line) > 60 {
				t.Errorf("too wide: %q", line)
			}
		}
	}
}

func TestSetupChecks(t *testing.T) {
	tests := []struct {
		name    string
		check   func(string) (string, error)
		answer  string
		want    string
		isWrong bool
	}{
		{"address", checkAddress, "o'brien@mail.contoso.com", "o'brien@mail.contoso.com", false},
		{"address of another country", checkAddress, "zoë@bücher.example", "zoë@bücher.example", false},
		{"two at signs", checkAddress, "a@b@contoso.com", "", true},
		{"a name with its address", checkAddress, "Alice <alice@contoso.com>", "", true},
		{"no dot", checkAddress, "alice@contoso", "", true},
		{"two addresses", checkAddress, "a@contoso.com,b@contoso.com", "", true},
		{"tenant by ID", checkTenant, "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-555555555555", false},
		{"tenant by domain", checkTenant, "contoso.com", "contoso.com", false},
		{"many tenants", checkTenant, "Common", "", true},
		{"an address for a tenant", checkTenant, "admin@contoso.com", "", true},
		{"client ID in braces", checkClientID, "{66666666-7777-8888-9999-000000000000}", "", true},
		{"all addresses", checkHost, "0.0.0.0", "0.0.0.0", false},
		{"IPv6", checkHost, "FD00::1", "fd00::1", false},
		{"IPv4 in IPv6", checkHost, "::ffff:192.168.1.1", "192.168.1.1", false},
		{"loopback", checkHost, "::1", "", true},
		{"a zone", checkHost, "fe80::1%eth0", "", true},
		{"a name", checkHost, "mail.contoso.com", "", true},
		{"networks", checkNetworks, "10.0.0.1 10.1.0.0/16,fd00::/16", "10.0.0.1/32, 10.1.0.0/16, fd00::/16", false},
		{"an address with a mask", checkNetworks, "192.168.1.7/24", "192.168.1.0/24", false},
		{"everybody", checkNetworks, "::/0", "", true},
		{"IPv4 in IPv6, a network", checkNetworks, "::ffff:10.0.0.0/104", "", true},
		{"no network", checkNetworks, ",", "", true},
		{"all protocols", checkProtocols, "all", "imap, pop3, smtp", false},
		{"protocols, twice", checkProtocols, "SMTP,smtp imap", "imap, smtp", false},
		{"no protocol", checkProtocols, " , ", "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, err := test.check(test.answer); got != test.want || (err != nil) != test.isWrong {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestShellWord(t *testing.T) {
	for name, want := range map[string]string{
		"/home/a/b-c_d.crt": "/home/a/b-c_d.crt",
		"/home/a b/c":       "'/home/a b/c'",
		"/o'brien/$x":       `'/o'\''brien/$x'`,
	} {
		if got := shellWord(name); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/config"
)

// reply is what a person answers to a prompt.
type reply struct{ prompt, answer string }

const (
	number   = "number [1]: "
	tenantID = "contoso.onmicrosoft.com"
	appID    = "66666666-7777-8888-9999-000000000000"
)

// Parts of conversations, each from Enter or an answer.
var (
	cloudAndMailbox = []reply{{number, ""}, {"address: ", "alice@contoso.com"}}
	byBrowser       = []reply{{number, "1"}, {number, ""}, {"[no]: ", ""}, {"[imap, smtp]: ", ""}}
	bySecret        = []reply{{number, "2"}, {number, ""}, {"[yes]: ", ""}, {"[smtp]: ", "all"}}
	byRole          = []reply{{number, "2"}, {number, ""}, {"[yes]: ", ""}, {"[smtp]: ", ""}, {number, ""}}
	here            = []reply{{number, ""}, {"[alice@contoso.com]: ", "alice"}, {number, ""}, {"config.yaml]: ", ""}}
	registered      = []reply{{"tenant: ", tenantID}, {"client ID: ", appID}}
	scriptsThenStay = []reply{{"[yes]: ", ""}, {"[yes]: ", "no"}, {"[yes]: ", "no"}} // the scripts; no sign-in, no check
	scriptsNoCheck  = []reply{{"[yes]: ", ""}, {"[yes]: ", "no"}}
	scriptsAlone    = []reply{{"[yes]: ", ""}} // and nothing that could be checked yet
)

// setupTest is a person before a terminal, with a folder for the files.
type setupTest struct {
	t      *testing.T
	term   *terminal
	run    *running
	folder string
	file   string
	seen   int // of the screen
}

func newSetup(t *testing.T) *setupTest {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "new")
	return newSetupIn(t, folder)
}

func newSetupIn(t *testing.T, folder string) *setupTest {
	t.Helper()
	for _, name := range []string{"RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY", "OAUTHPROXY_STORE_PASSPHRASE"} {
		t.Setenv(name, "")
	}
	file := filepath.Join(folder, "config.yaml")
	term := newTerminal(t)
	return &setupTest{t: t, term: term, run: term.startOn(t, "setup", "--config", file), folder: folder, file: file}
}

// play answers one prompt after another.
func (s *setupTest) play(parts ...[]reply) {
	s.t.Helper()
	for _, r := range slices.Concat(parts...) {
		s.await(r.prompt)
		s.typeIn(r.answer + "\n")
	}
}

// await waits until nothing follows the prompt on the screen. A star in it is
// anything: a default that is this machine's.
func (s *setupTest) await(prompt string) {
	s.t.Helper()
	pattern := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(prompt), `\*`, `[^\n]*`) + "$")
	for timeout := time.After(patience); ; {
		if text := s.run.err.String(); pattern.MatchString(text[s.seen:]) {
			s.seen = len(text)
			return
		}
		select {
		case <-s.run.err.changed:
		case <-timeout:
			s.t.Fatalf("%q did not appear in:\n%s", prompt, s.run.err)
		}
	}
}

func (s *setupTest) typeIn(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.term.person, keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the end and returns all that was on the screen.
func (s *setupTest) ends(status int) string {
	s.t.Helper()
	s.run.wait(s.t, status)
	const end = "\r(the end)" // what stands before it has reached the screen as well
	if _, err := io.WriteString(s.term.program, end); err != nil {
		s.t.Fatal(err)
	}
	s.run.err.await(s.t, regexp.QuoteMeta(end)+"$")
	return s.run.out.String() + strings.ReplaceAll(s.run.err.String(), "\r", "")
}

// load loads what was written.
func (s *setupTest) load() *config.Config {
	s.t.Helper()
	c, err := config.Load(s.file, accounts.CheckHash)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// files are the files in the folder; all are for their owner alone.
func (s *setupTest) files() string {
	s.t.Helper()
	entries, err := os.ReadDir(s.folder)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			s.t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

var shownPassword = regexp.MustCompile(`password  ([a-z2-9]{13}) `)

// setupTests are the ways through the questions.
var setupTests = []struct {
	name    string
	replies [][]reply
	files   string
	check   func(c *config.Config) string // what is wrong
	says    []string
}{
	{
		"person in a browser", [][]reply{cloudAndMailbox, byBrowser, here, registered, scriptsThenStay},
		"config.yaml setup-entra.ps1 setup-exchange.ps1",
		func(c *config.Config) string {
			app, account := c.Apps["oauthproxy"], c.Accounts[0]
			return diff(app.Flow, "browser", app.Tenant, tenantID, app.ClientID, appID, account.Mailbox, "alice@contoso.com",
				account.Person(), "alice@contoso.com", fmt.Sprint(len(c.Listeners)), "2", c.Upstream.Cloud, "worldwide", c.Listeners[0].Address, "127.0.0.1:1143")
		},
		[]string{"Delegated permissions: IMAP.AccessAsUser.All, SMTP.Send", "It can be loaded as it is.", "sign in   oauthproxy login alice@contoso.com --config ", "run it    oauthproxy serve --config "},
	},
	{
		"shared mailbox, by code, China", [][]reply{
			{{number, "4"}, {"address: ", "info@contoso.cn"}, {number, ""}, {number, "2"}, {"[no]: ", "y"},
				{"the person: ", "info@contoso.cn"}, {"the person: ", "o'brien@contoso.cn"}, {"[imap, smtp]: ", "pop, smtp, ftp"}, {"[imap, smtp]: ", "POP SMTP"},
				{number, ""}, {"[info@contoso.cn]: ", ""}, {number, ""}, {"config.yaml]: ", ""}}, registered, {{"[yes]: ", "n"}, {"[yes]: ", "no"}, {"[yes]: ", "no"}},
		}, "config.yaml",
		func(c *config.Config) string {
			account := c.Accounts[0]
			return diff(c.Apps["oauthproxy"].Flow, "device_code", account.SignInAs, "o'brien@contoso.cn", c.Upstream.Cloud, "china",
				c.Listeners[0].Protocol, "pop3", account.Logins[0].User, "info@contoso.cn", c.Apps["oauthproxy"].Authority, "https://login.partner.microsoftonline.cn/"+tenantID)
		},
		[]string{`That won't do: "ftp" is none of imap, pop3 and smtp.`, "name the person", "-Trustee 'o''brien@contoso.cn'", "-ExchangeEnvironmentName O365China"},
	},
	{
		"machines, with a secret", [][]reply{cloudAndMailbox, bySecret, here, registered, {{"client secret: ", " a~secret "}}, scriptsNoCheck},
		"client.secret config.yaml setup-entra.ps1 setup-exchange.ps1",
		func(c *config.Config) string {
			secret, err := config.ReadSecret(c.Apps["oauthproxy"].ClientSecretFile)
			login := c.Accounts[0].Logins[0]
			return diff(fmt.Sprint(err), "<nil>", secret.Reveal(), "a~secret", c.Apps["oauthproxy"].Flow, "client_secret", fmt.Sprint(login.Device), "true",
				fmt.Sprint(login.Protocols), "[imap pop3 smtp]", login.Sending.Sender, "alice@contoso.com")
		},
		[]string{"Application permissions: IMAP.AccessAsApp, POP.AccessAsApp, SMTP.SendAsApp", "Add-MailboxPermission"},
	},
	{
		"machines in the network with TLS, by the role", [][]reply{
			cloudAndMailbox, byRole, {{number, "2"}, {"IP address*: ", "127.0.0.1"}, {"IP address*: ", "192.168.10.5"}, {number, "1"}, {"[alice@contoso.com]: ", "copier"}, {number, ""}, {"config.yaml]: ", ""}},
			registered, {{"client secret: ", "x"}}, scriptsNoCheck},
		"client.secret config.yaml setup-entra.ps1 setup-exchange.ps1",
		func(c *config.Config) string {
			l := c.Listeners[0]
			return diff(l.Address, "192.168.10.5:1587", l.TLS, "auto", fmt.Sprint(len(c.Listeners)), "1", fmt.Sprint(l.IssuesCertificate()), "true")
		},
		[]string{"Application SMTP.SendAsApp", "other machines can't reach that address", `"oauthproxy certificate" prints`},
	},
	{
		"devices without TLS", [][]reply{
			cloudAndMailbox, byRole, {{number, "2"}, {"IP address*: ", "192.168.10.5"}, {number, "2"}, {"networks*: ", "0.0.0.0/0"}, {"networks*: ", "192.168.10.21, 192.168.11.0/24"}, {"[alice@contoso.com]: ", ""}, {number, ""}, {"config.yaml]: ", ""}},
			registered, {{"client secret: ", "x"}}, scriptsNoCheck},
		"client.secret config.yaml setup-entra.ps1 setup-exchange.ps1",
		func(c *config.Config) string {
			l := c.Listeners[0]
			return diff(l.TLS, "none", fmt.Sprint(l.Networks), "[192.168.10.21/32 192.168.11.0/24]")
		},
		[]string{"is nearly everybody"},
	},
}

// TestSetup: each way through the questions ends in a configuration that loads
// and is what was answered, with a password that works.
func TestSetup(t *testing.T) {
	for _, test := range setupTests {
		t.Run(test.name, func(t *testing.T) {
			s := newSetup(t)
			s.play(test.replies...)
			said := s.ends(exitWell)
			c := s.load()
			if wrong := test.check(c); wrong != "" {
				t.Error(wrong)
			}
			if got := s.files(); got != test.files {
				t.Errorf("files %s, want %s", got, test.files)
			}
			contains(t, said, test.says...)
			password := shownPassword.FindStringSubmatch(said)
			if password == nil || !opens(t, c.Accounts[0].Logins[0].PasswordHash, password[1]) {
				t.Errorf("the password %q doesn't work:\n%s", password, said)
			}
		})
	}
}

// diff tells which of the pairs differ.
func diff(pairs ...string) string {
	var all []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] != pairs[i+1] {
			all = append(all, fmt.Sprintf("got %q, want %q", pairs[i], pairs[i+1]))
		}
	}
	return strings.Join(all, "\n")
}

// contains wants the parts in what was said, wherever its lines break.
func contains(t *testing.T, said string, parts ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(said), " ")
	for _, part := range parts {
		if !strings.Contains(flat, strings.Join(strings.Fields(part), " ")) {
			t.Errorf("%q is missing in:\n%s", part, said)
		}
	}
}

// TestSetupInterrupted: whoever stops at a question, by Ctrl-C or Ctrl-D,
// finds nothing written.
func TestSetupInterrupted(t *testing.T) {
	ways := map[string][]reply{
		"person": slices.Concat(cloudAndMailbox, byBrowser, here, registered, scriptsThenStay),
		"role":   slices.Concat(cloudAndMailbox, byRole, here, registered, []reply{{"client secret: ", "x"}}, scriptsNoCheck),
		"typed password, unregistered": slices.Concat(cloudAndMailbox, byBrowser,
			[]reply{{number, ""}, {"[alice@contoso.com]: ", ""}, {number, "2"}, {"password: ", "a"}, {"the same again: ", "a"}, {"config.yaml]: ", ""}, {"tenant: ", ""}, {"[no]: ", ""}, {"tenant: ", tenantID}}),
	}
	for name, replies := range ways {
		for n, r := range replies {
			for _, key := range []string{"C", "D"} {
				t.Run(fmt.Sprintf("%s, Ctrl-%s at question %d", name, key, n+1), func(t *testing.T) {
					s := newSetup(t)
					s.play(replies[:n])
					s.await(r.prompt)
					if key == "C" {
						s.run.stop() // what the signal does
					} else {
						s.typeIn("\x04")
					}
					said := s.ends(exitFailed)
					contains(t, said, "oauthproxy: interrupted oauthproxy: hint: nothing was written")
					if _, err := os.Stat(s.folder); !os.IsNotExist(err) {
						t.Errorf("%s is there: %s", s.folder, s.files())
					}
					if !s.term.echoes(t) {
						t.Error("the terminal is left without echo")
					}
				})
			}
		}
	}
}

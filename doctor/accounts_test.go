package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

// ward is a sandbox, and accounts in it.
type ward struct {
	*sandbox.Sandbox
	plan   Plan
	tokens map[string]func() (string, error) // by mailbox
}

func newWard(t *testing.T, o sandbox.Options) *ward {
	t.Helper()
	s, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM())
	w := &ward{Sandbox: s, tokens: make(map[string]func() (string, error))}
	w.plan = Plan{TLS: &tls.Config{RootCAs: roots}, Token: w.token}
	return w
}

func (w *ward) token(_ context.Context, mailbox string) (Token, error) {
	value, err := w.tokens[mailbox]()
	return Token{Value: wire.NewSecret(value), Expires: time.Now().Add(time.Hour)}, err
}

// admit adds an account with those protocols. person is who signs in; empty:
// the application acts by itself.
func (w *ward) admit(mailbox, person string, o sandbox.TokenOptions, protocols ...string) *Account {
	a := Account{
		Mailbox: mailbox, Person: person, App: "devices", Flow: "client_secret",
		ClientID: w.ClientID(), Tenant: w.TenantID(), Authority: w.Authority(),
	}
	if person != "" {
		a.Flow = "device_code"
	}
	if len(protocols) == 0 {
		protocols = []string{"imap", "pop3", "smtp"}
	}
	for _, protocol := range protocols {
		h := Host{Protocol: protocol, Implicit: true, User: mailbox}
		switch protocol {
		case "imap":
			h.Address = w.IMAP()
		case "pop3":
			h.Address = w.POP3()
		case "smtp":
			h.Address, h.Implicit = w.SMTP(), false
			if person != "" {
				h.User = person
			}
		}
		a.Hosts = append(a.Hosts, h)
	}
	w.plan.Accounts = append(w.plan.Accounts, a)
	w.tokens[mailbox] = func() (string, error) { return w.IssueToken(person, o), nil }
	return &w.plan.Accounts[len(w.plan.Accounts)-1]
}

// chart is an Observer that keeps everything.
type chart struct {
	mu       sync.Mutex
	findings []Finding
	begun    int
	open     string
	t        *testing.T
}

func (c *chart) Begin(probe, subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != "" {
		c.t.Errorf("%s begins within %s", probe, c.open)
	}
	c.open = probe + " " + subject
	c.begun++
}

func (c *chart) Found(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != f.Probe+" "+f.Subject {
		c.t.Errorf("found %s %s within %q", f.Probe, f.Subject, c.open)
	}
	c.open = ""
	c.findings = append(c.findings, f)
}

// of returns the finding of a probe.
func (c *chart) of(probe string) Finding {
	for _, f := range c.findings {
		if f.Probe == probe {
			return f
		}
	}
	return Finding{Status: "none"}
}

func (c *chart) String() string {
	var b strings.Builder
	for _, f := range c.findings {
		fmt.Fprintf(&b, "%s %s %s %s: %s\n", f.Status, f.Probe, f.Account, f.Subject, f.Seen)
		if f.Status != OK {
			fmt.Fprintf(&b, "\t[%s] %s; %s: %s\n\t%s\n", f.Cause, f.Means, f.Who, f.Do, strings.Join(append(f.Fix, f.PowerShell...), "\n\t"))
		}
	}
	return b.String()
}

// examine runs the probes of accounts alone.
func (w *ward) examine(t *testing.T) *chart {
	t.Helper()
	c := &chart{t: t}
	e := newExamination(w.plan, c)
	e.accounts(t.Context())
	broken := 0
	for _, f := range c.findings {
		if f.Status == Broken {
			broken++
		}
	}
	if broken != e.broken {
		t.Errorf("%d broken are counted of %d", e.broken, broken)
	}
	return c
}

// A healthy account raises no alarm, in whatever way it gets its tokens.
func TestHealthy(t *testing.T) {
	w := newWard(t, sandbox.Options{IMAPStartTLSAddress: "127.0.0.1:0", POP3StartTLSAddress: "127.0.0.1:0"})
	w.admit(alice, alice, sandbox.TokenOptions{})
	w.admit(bob, "", sandbox.TokenOptions{})
	w.admit(shared, alice, sandbox.TokenOptions{})
	w.admit(carol, carol, sandbox.TokenOptions{Opaque: true}).Tenant = "consumers"
	w.admit("scanner@"+sandbox.Domain, "", sandbox.TokenOptions{Permissions: []string{"SMTP.SendAsApp"}}, "smtp")
	w.admit("app-rbac@"+sandbox.Domain, "", sandbox.TokenOptions{Permissions: []string{}}, "smtp")
	startTLS := w.admit("opaque-token@"+sandbox.Domain, "opaque-token@"+sandbox.Domain, sandbox.TokenOptions{Opaque: true})
	startTLS.Hosts[0].Address, startTLS.Hosts[0].Implicit = w.IMAPStartTLS(), false
	startTLS.Hosts[1].Address, startTLS.Hosts[1].Implicit = w.POP3StartTLS(), false
	if err := w.Deliver(alice, []byte("Subject: hello\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	c := w.examine(t)
	for _, f := range c.findings {
		if f.Status != OK && f.Status != Note || f.Took <= 0 {
			t.Errorf("%+v", f)
		}
	}
	if len(c.findings) != 30 {
		t.Errorf("%d findings", len(c.findings))
	}
	text := c.String()
	for _, want := range []string{
		"ok claims alice@contoso.example alice@contoso.example: for alice@contoso.example, IMAP, POP3 and SMTP, until ",
		"logged in as alice@contoso.example, 1 message in INBOX",
		"logged in as bob@contoso.example, 0 messages in INBOX",
		"for the application itself, IMAP, POP3 and SMTP",
		"for the application itself, SMTP, until",
		"logged in as alice@contoso.example, may send as alice@contoso.example",
		"without a right to IMAP, POP3 or SMTP in it",
		"note claims opaque-token@",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "claims carol") {
		t.Errorf("the token of a personal account is worth a finding:\n%s", text)
	}
}

// Accounts are told in their order, each without another between, whichever is
// the first to be ready.
func TestOrder(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	var want []string
	for i := range 30 {
		a := fmt.Sprintf("nobody-%d@%s", i, sandbox.Domain)
		w.admit(a, "", sandbox.TokenOptions{}, "pop3")
		w.plan.Accounts[i].Hosts[0].Address = w.POP3()
		delay := time.Duration(i%4) * time.Millisecond
		w.tokens[a] = func() (string, error) {
			time.Sleep(delay)
			return "", &TokenError{AADSTS: 7000215, Class: remedy.SetUp, Text: "the client secret is wrong"}
		}
		want = append(want, a, a)
	}
	c := w.examine(t)
	var got []string
	for _, f := range c.findings {
		got = append(got, f.Account)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("order: %v", got)
	}
	if f := c.of("pop3"); f.Status != Skipped || f.Seen != "not tried without a token" {
		t.Errorf("%+v", f)
	}
}

// What the network's probes have found dead isn't tried again.
func TestUnreachable(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	w.admit(bob, "", sandbox.TokenOptions{})
	c := &chart{t: t}
	e := newExamination(w.plan, c)
	e.unreachable[w.IMAP()] = "tls of " + w.IMAP()
	e.accounts(t.Context())
	if f := c.of("imap"); f.Status != Skipped || f.Seen != "not tried, for the probe tls of "+w.IMAP()+" has failed" || c.of("pop3").Status != OK || c.of("smtp").Status != OK {
		t.Error(c)
	}
}

// No finding holds a piece of a token, though servers repeat it.
func TestSecrecy(t *testing.T) {
	w := newWard(t, sandbox.Options{Challenge: true})
	var mu sync.Mutex
	var tokens []string
	for _, tt := range causes {
		mailbox, person := tt.mailbox+"@"+sandbox.Domain, ""
		if tt.person != "" {
			person = tt.person + "@" + sandbox.Domain
		}
		if tt.mailbox == "stall" || w.tokens[mailbox] != nil {
			continue
		}
		w.admit(mailbox, person, tt.token)
		issue := w.tokens[mailbox]
		w.tokens[mailbox] = func() (string, error) {
			token, err := issue()
			mu.Lock()
			tokens = append(tokens, token)
			mu.Unlock()
			return token, err
		}
	}
	w.plan.Accounts = w.plan.Accounts[:8]
	text, err := json.Marshal(w.examine(t).findings)
	if err != nil {
		t.Fatal(err)
	}
	if len(tokens) != 8 {
		t.Fatalf("%d tokens", len(tokens))
	}
	for _, token := range tokens {
		expectNoPiece(t, string(text), token)
	}
}

package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

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

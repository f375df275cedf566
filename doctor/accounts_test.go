package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

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

// Without Entra ID there is no token: that is told by the network's probe, and
// not for each account. What else is wrong with a token is told.
func TestEntraUnreachable(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status Status
	}{
		"no connection":        {&TokenError{Class: remedy.Later, Text: "Entra ID can't be reached"}, Skipped},
		"an error of its own":  {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, Skipped},
		"nobody has signed in": {&TokenError{Class: remedy.Person, Text: "nobody has signed in"}, Broken},
		"a wrong secret":       {&TokenError{AADSTS: 7000215, Class: remedy.SetUp}, Broken},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, sandbox.Options{})
			a := w.admit(bob, "", sandbox.TokenOptions{})
			w.tokens[bob] = func() (string, error) { return "", tt.err }
			c := &chart{t: t}
			e := newExamination(w.plan, c)
			e.unreachable[a.authorityAddress()] = "tcp of there"
			e.accounts(t.Context())
			f := c.of("token")
			if f.Status != tt.status || tt.status == Skipped && f.Seen != "not tried, for the probe tcp of there has failed" {
				t.Errorf("%+v", f)
			}
		})
	}
}

// What the probe of Entra ID has told is not told again for the token.
func TestEntraBroken(t *testing.T) {
	for name, tt := range map[string]struct {
		cause  string // of the probe of Entra ID
		err    error
		status Status
	}{
		"in its own words":     {"captive-portal", &TokenError{Class: remedy.SetUp, Text: "Entra ID's address redirects elsewhere"}, Skipped},
		"the same number":      {"tenant-unknown", &TokenError{AADSTS: 90002, Class: remedy.SetUp}, Skipped},
		"another number":       {"tenant-unknown", &TokenError{AADSTS: 7000215, Class: remedy.SetUp}, Broken},
		"an unknown number":    {"captive-portal", &TokenError{AADSTS: 999999, Class: remedy.SetUp, Text: "no"}, Broken},
		"nobody has signed in": {"captive-portal", &TokenError{Class: remedy.Person, Text: "nobody has signed in"}, Broken},
		"a token comes anyway": {"captive-portal", nil, OK},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, sandbox.Options{})
			a := w.admit(bob, "", sandbox.TokenOptions{})
			issue := w.tokens[bob]
			w.tokens[bob] = func() (string, error) {
				if tt.err != nil {
					return "", tt.err
				}
				return issue()
			}
			c := &chart{t: t}
			e := newExamination(w.plan, c)
			e.refusing[a.tenancy()] = Finding{Subject: "https://login.example/contoso", Cause: tt.cause}
			e.accounts(t.Context())
			f := c.of("token")
			if f.Status != tt.status || tt.status == Skipped && f.Seen != "none, for the probe entra of https://login.example/contoso has failed" {
				t.Errorf("%+v", f)
			}
		})
	}
}

// The logins of an account wait for each other here: one at a time none would
// be answered.
func TestSideBySide(t *testing.T) {
	l := newLab(t, "Contoso")
	protocols := []string{"imap", "pop3", "smtp"}
	var met sync.WaitGroup
	met.Add(len(protocols))
	a := Account{Mailbox: alice}
	for _, protocol := range protocols {
		address := listenTo(t, overTLS(l.good(t, "127.0.0.1"), func(net.Conn) { met.Done(); met.Wait() }))
		a.Hosts = append(a.Hosts, Host{Protocol: protocol, Address: address, Implicit: true, User: alice})
	}
	c := &chart{t: t}
	e := newExamination(Plan{TLS: &tls.Config{RootCAs: l.roots}, Accounts: []Account{a}}, c)
	e.Token = func(context.Context, string) (Token, error) { return Token{Value: wire.NewSecret(hostileToken)}, nil }
	e.accounts(t.Context())
	var got []string
	for _, f := range c.findings {
		got = append(got, f.Probe+" "+f.Cause)
	}
	want := []string{"token ", "claims token-opaque", "imap connection-closed", "pop3 connection-closed", "smtp connection-closed"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Mail servers hear the name of the configuration, or else our address.
func TestEHLO(t *testing.T) {
	for name, want := range map[string]string{"proxy.contoso.example": "EHLO proxy.contoso.example", "": "EHLO [127.0.0.1]"} {
		for _, implicit := range []bool{false, true} {
			l := newLab(t, "Contoso")
			heard := make(chan string, 2)
			server := talks(smtpGreeting, nil, func(line string) string {
				heard <- line
				return "250 no TLS and no AUTH\r\n"
			})
			if implicit {
				server = overTLS(l.good(t, "127.0.0.1"), server)
			}
			a := at("smtp", listenTo(t, server), implicit)
			e, _ := examine(l.roots, nil, a)
			e.HostName = name
			_, err := e.logIn(t.Context(), a.Hosts[0], a, wire.NewSecret(hostileToken), loginTimeout)
			if got := <-heard; got != want || err == nil {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		}
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

// Package doctor finds out what works between mail clients, this program,
// Entra ID and Exchange, what doesn't, and what to do about it.
//
// Run makes its probes in the order in which one thing needs another:
//
//   - files: who may read our secrets, and write our state
//   - certificate: each of our own
//   - dns, tcp, tls: the way to each host, whoever needs it, once
//   - entra, clock: each tenant's discovery document, and the time
//   - token, claims, imap, pop3, smtp: each account's, the logins side by side
//   - send, arrival: a test message, if one is asked for
//   - listener, open relay: each of our own ports
//
// Each says what it has found; what needs something that is broken isn't tried.
// Nothing is changed by it: it signs nobody in, and sends nothing unless it is
// asked to.
package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/wire"
)

// Status is what a probe comes to.
type Status string

// What a probe comes to.
const (
	OK      Status = "ok"
	Note    Status = "note"    // nothing is wrong; worth knowing
	Warning Status = "warning" // it works, but not well or not for long
	Broken  Status = "broken"
	Skipped Status = "skipped" // not tried, for what it needs is broken
)

// Finding is what one probe has found. Its texts hold no secret, and what
// comes from a server is sanitized.
type Finding struct {
	// Probe names it in a word, e.g. dns; Subject is what it looked at: a
	// host, a mailbox, a file.
	Probe   string `json:"probe"`
	Subject string `json:"subject"`
	// Account is the mailbox that it is about, where it is about one.
	Account string `json:"account,omitempty"`
	Status  Status `json:"status"`
	// Seen says what was seen.
	Seen string `json:"seen"`
	// Cause is the ID of the remedy, and the rest is what that says: what it
	// means, who can mend it, and how.
	Cause string `json:"cause,omitempty"`
	Means string `json:"means,omitempty"`
	Who   string `json:"who,omitempty"`
	// Do is the next step in a clause, Fix the exact steps, and PowerShell the
	// lines for those who prefer that.
	Do         string   `json:"do,omitempty"`
	Fix        []string `json:"fix,omitempty"`
	PowerShell []string `json:"powershell,omitempty"`
	Spreads    bool     `json:"spreads,omitempty"` // the change takes up to two hours to be in force
	// Took is how long the probe took.
	Took time.Duration `json:"took_ns"`
}

// Observer is told what happens.
type Observer interface {
	// Begin says that a probe begins.
	Begin(probe, subject string)
	// Found says what a probe has found. A probe may find several things.
	Found(f Finding)
}

// Plan is what to examine.
type Plan struct {
	Accounts  []Account
	Listeners []Listener
	Files     []File
	// Certificates are those of our own: for TLS listeners, and those that apps
	// sign in with.
	Certificates []Certificate
	// IsServing tells that the listeners should be open. Else it is only
	// tried whether they could be.
	IsServing bool
	// HostName is what a running service calls its host in greetings, and what
	// we call ourselves to mail servers; empty: any name is taken for its, and
	// we go by our address.
	HostName string
	// HTTP is the client for Entra ID, through the web proxy if there is one.
	HTTP *http.Client
	// ThroughProxy tells that HTTP goes through a web proxy to Entra ID: then
	// its name need not be known here, nor its port be reachable.
	ThroughProxy bool
	// TLS holds the roots to trust for mail servers.
	TLS *tls.Config
	// Token returns an access token by the account's flow. It never waits for
	// a person. Its error tells people what to do, and holds no secret.
	Token func(ctx context.Context, mailbox string) (Token, error)
	// Send is the address for a test message of the first account; empty:
	// none is sent.
	Send string
}

// Token is an access token for the mail servers.
type Token struct {
	Value   wire.Secret
	Expires time.Time
}

// Account is a mailbox, and how it is reached.
type Account struct {
	Mailbox string
	// Person is who signs in with Microsoft; empty where the application acts
	// by itself.
	Person string
	App    string // its name in the configuration
	// Flow, ClientID, Tenant, Authority and Scopes are the app's. Authority
	// is empty for a managed identity.
	Flow, ClientID, Tenant, Authority string
	Scopes                            []string
	Cloud                             string
	// Hosts are the mail servers of the protocols that the account uses.
	Hosts []Host
	// Sender is the address that the first login sends as; empty: Mailbox.
	Sender string
}

// sender is whom the account sends as.
func (a Account) sender() string { return cmp.Or(a.Sender, a.Mailbox) }

// Host is a mail server of one account.
type Host struct {
	Protocol string // imap, pop3 or smtp
	Address  string // host:port
	// Implicit TLS; else STARTTLS.
	Implicit bool
	// User is who logs in there: the mailbox, or for SMTP to a shared mailbox
	// its person.
	User string
}

// Listener is a port of our own.
type Listener struct {
	Protocol string
	Address  string // host:port as configured; a running service's real one
	TLS      string // none, starttls, implicit or auto
	Networks []netip.Prefix
	// Devices are the networks of those that may send without a password.
	Devices []netip.Prefix
}

// File is one that the program reads or writes.
type File struct {
	Name string
	What string // what it is, e.g. "the client secret of the app devices"
	// IsSecret: nobody else may read it. IsFolder: it is a directory to write in.
	IsSecret, IsFolder bool
}

// Certificate is one of our own.
type Certificate struct {
	What string // e.g. "the certificate of the listener 192.168.10.5:25"
	// Load returns the chain, the leaf first.
	Load func() ([]*x509.Certificate, error)
	// ClientID is that of the application it belongs to; empty: it is a
	// listener's.
	ClientID string
}

// examination is one run.
type examination struct {
	Plan
	observer Observer
	broken   int
	// unreachable holds the probe that has failed for a host, by its address;
	// "" is none.
	unreachable map[string]string
	// refusing holds what is broken at an authority, by its cloud.
	refusing map[tenancy]Finding
	// How names are resolved and connections opened.
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// newExamination returns one that uses this machine's network.
func newExamination(p Plan, o Observer) *examination {
	return &examination{
		Plan: p, observer: o, unreachable: make(map[string]string), refusing: make(map[tenancy]Finding),
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		dial: new(net.Dialer).DialContext,
	}
}

// Run makes all probes, in order, and returns how many things are broken. It
// ends early, with ctx's error, when ctx does.
func Run(ctx context.Context, p Plan, o Observer) (broken int, err error) {
	e := newExamination(p, o)
	for _, step := range []func(context.Context){
		e.files, e.certificates, e.network, e.entra, e.accounts, e.listeners,
	} {
		if ctx.Err() != nil {
			break
		}
		step(ctx)
	}
	return e.broken, ctx.Err()
}

// probe begins a probe; the function it returns reports what it has found. How
// long it took is measured, unless the finding tells.
func (e *examination) probe(name, subject, account string) (found func(Finding)) {
	begun := time.Now()
	e.observer.Begin(name, subject)
	return func(f Finding) {
		f.Probe, f.Subject, f.Account = name, subject, account
		f.Took = cmp.Or(f.Took, time.Since(begun))
		if f.Status == Broken {
			e.broken++
		}
		e.observer.Found(f)
	}
}

// well is the finding that something works.
func well(seen string) Finding { return Finding{Status: OK, Seen: seen} }

// wrong is a finding with a remedy, whose placeholders are filled from facts.
func wrong(s Status, seen string, r remedy.Remedy, facts map[string]string) Finding {
	r = r.Fill(facts)
	return Finding{Status: s, Seen: seen, Cause: r.ID, Means: r.Says, Who: r.Who.String(), Do: r.Do, Fix: r.Fix, PowerShell: r.PowerShell, Spreads: r.Spreads}
}

// facts fill the placeholders of remedies for an account.
func (a Account) facts() map[string]string {
	return map[string]string{
		"mailbox": a.Mailbox, "person": cmp.Or(a.Person, a.Mailbox), "app": a.App,
		"client_id": a.ClientID, "tenant": a.Tenant,
	}
}

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/doctor"
)

// examiner lets the doctor look at what a configuration describes.
type examiner struct {
	*signIns
	config *config.Config
	roots  *x509.CertPool
	// loaded is when the configuration was read.
	loaded time.Time
	// open returns the ports of the running service; nil: none runs.
	open func() []*port
}

func newExaminer(c *config.Config, s *signIns, roots *x509.CertPool) *examiner {
	return &examiner{signIns: s, config: c, roots: roots, loaded: time.Now()}
}

// Check implements [admin.Service].
func (x *examiner) Check(ctx context.Context, e admin.Examination, o doctor.Observer) error {
	chosen, err := x.chosen(e.Accounts)
	if err != nil {
		return err
	}
	x.checkConfiguration(o)
	p := x.plan(chosen)
	p.Send = e.Send
	_, err = doctor.Run(ctx, p, o)
	return err
}

// chosen are the accounts that are meant.
func (x *examiner) chosen(names []string) ([]config.Account, error) {
	if len(names) == 0 {
		return x.config.Accounts, nil
	}
	var known []string
	for _, a := range x.config.Accounts {
		known = append(known, a.Mailbox)
	}
	var chosen []config.Account
	for _, name := range names {
		i := slices.IndexFunc(known, func(mailbox string) bool { return strings.EqualFold(mailbox, name) })
		if i < 0 {
			return nil, &unknownAccount{name, config.Nearest(name, known)}
		}
		chosen = append(chosen, x.config.Accounts[i])
	}
	return chosen, nil
}

// checkConfiguration tells what the next start would find: a running service
// has an older configuration, perhaps.
func (x *examiner) checkConfiguration(o doctor.Observer) {
	file := x.config.File
	o.Begin(configurationProbe, file)
	if _, err := config.Load(file, accounts.CheckHash); err != nil {
		for _, f := range misconfigured(file, err) {
			f.Means = "the service runs with what it read before, and can't start again with this"
			o.Found(f)
		}
		return
	}
	f := doctor.Finding{Probe: configurationProbe, Subject: file, Status: doctor.OK,
		Seen: fmt.Sprintf("%s, %s", plural(len(x.config.Accounts), "account"), plural(len(x.config.Listeners), "listener"))}
	if info, err := os.Stat(file); err == nil && info.ModTime().After(x.loaded) {
		f.Status, f.Do, f.Who = doctor.Warning, "let the service read it again", "you"
		f.Fix = []string{"oauthproxy reload"}
		f.Seen = "the file has changed since the service read it"
	}
	o.Found(f)
}

// plan tells the doctor what there is.
func (x *examiner) plan(chosen []config.Account) doctor.Plan {
	p := doctor.Plan{
		IsServing: x.open != nil,
		HostName:  hostName(),
		HTTP:      entraClient(x.roots, x.config.HTTPProxy),
		TLS:       &tls.Config{RootCAs: x.roots},
		Token:     newCheckedTokens(x.broker, chosen, x.config.Apps).get,
		Listeners: x.listeners(),
	}
	for _, a := range chosen {
		p.Accounts = append(p.Accounts, x.account(a))
		p.ThroughProxy = p.ThroughProxy || needsWebProxy(p.HTTP, x.config.Apps[a.App].Authority)
	}
	p.Files = files(x.config)
	p.Certificates = x.certificates(chosen)
	return p
}

// needsWebProxy tells whether requests to Entra ID go through a web proxy.
func needsWebProxy(client *http.Client, authority string) bool {
	transport, ok := client.Transport.(*http.Transport)
	if !ok || transport.Proxy == nil {
		return false
	}
	request, err := http.NewRequest(http.MethodGet, authority, nil)
	if err != nil {
		return false
	}
	address, err := transport.Proxy(request)
	return err == nil && address != nil
}

// account is one for the doctor.
func (x *examiner) account(a config.Account) doctor.Account {
	app := x.config.Apps[a.App]
	account := doctor.Account{
		Mailbox: a.Mailbox, App: a.App, Flow: app.Flow, ClientID: app.ClientID, Tenant: app.Tenant,
		Authority: app.Authority, Scopes: a.Scopes, Cloud: a.Upstream.Cloud,
	}
	if app.HasPerson() {
		account.Person = a.Person()
	}
	for _, l := range a.Logins {
		account.Sender = cmp.Or(account.Sender, l.Sending.Sender)
	}
	ways := routes(&config.Config{Accounts: []config.Account{a}})[a.Mailbox]
	for _, protocol := range x.protocols(a) {
		way := ways[protocol]
		account.Hosts = append(account.Hosts, doctor.Host{
			Protocol: protocol, Address: way.Address, Implicit: string(way.TLS) == config.Implicit, User: way.User,
		})
	}
	return account
}

// protocols are those that the account is used by: there is a listener, and a
// login that may use it.
func (x *examiner) protocols(a config.Account) []string {
	var used []string
	for _, protocol := range []string{config.IMAP, config.POP3, config.SMTP} {
		hasListener := slices.ContainsFunc(x.config.Listeners, func(l config.Listener) bool { return l.Protocol == protocol })
		hasLogin := slices.ContainsFunc(a.Logins, func(l config.Login) bool {
			return len(l.Protocols) == 0 || slices.Contains(l.Protocols, protocol)
		})
		if hasListener && hasLogin {
			used = append(used, protocol)
		}
	}
	return used
}

// plural says how many there are of something.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

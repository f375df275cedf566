package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
	"oauthproxy/tokens"
)

// grace is how long sessions may go on after the order to stop.
const grace = 10 * time.Second

// protocols are those that a listener can speak.
var protocols = map[string]proxy.Protocol{
	config.IMAP: imap.Protocol{},
	config.POP3: pop3.Protocol{},
	config.SMTP: smtp.Protocol{},
}

// service is the proxy, made of a configuration.
type service struct {
	broker    *tokens.Broker
	server    *proxy.Server
	listeners []listener
}

// listener is an open port.
type listener struct {
	net.Listener
	about *proxy.Listener
}

// newService builds the proxy and opens its ports; nothing is served yet. All
// ports that can't be opened are named at once.
func newService(c *config.Config, log *slog.Logger) (*service, error) {
	roots, err := trusted(c.Upstream.CAFile)
	if err != nil {
		return nil, err
	}
	directory, err := accounts.New(localLogins(c))
	if err != nil {
		return nil, err
	}
	broker, err := tokens.NewBroker(tokenAccounts(c), tokens.Options{HTTPClient: tokens.NewHTTPClient(roots), Log: log})
	if err != nil {
		return nil, err
	}
	server := proxy.NewServer(proxy.Options{
		Accounts:    directory,
		Tokens:      tokenSource{broker},
		Routes:      routes(c),
		UpstreamTLS: &tls.Config{RootCAs: roots},
		HostName:    hostName(),
		Limits: proxy.Limits{
			Sessions:           c.Limits.Sessions,
			SessionsPerAddress: c.Limits.SessionsPerAddress,
			SessionsPerLogin:   c.Limits.SessionsPerLogin,
		},
		Log: log,
	})
	s := &service{broker: broker, server: server}
	if err := s.listen(c); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// listen opens the ports.
func (s *service) listen(c *config.Config) error {
	var problems []error
	for _, l := range c.Listeners {
		about, err := describe(l)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		opened, err := net.Listen("tcp", l.Address)
		if err != nil {
			problems = append(problems, fmt.Errorf("can't listen for %s: %w", l.Protocol, err))
			continue
		}
		s.listeners = append(s.listeners, listener{opened, about})
	}
	return errors.Join(problems...)
}

// serve serves until ctx ends, and then stops.
func (s *service) serve(ctx context.Context) {
	var serving sync.WaitGroup
	for _, l := range s.listeners {
		serving.Go(func() { _ = s.server.Serve(l.Listener, l.about) })
	}
	<-ctx.Done()
	s.stop()
	serving.Wait()
}

// stop closes the ports and ends everything that has been started.
func (s *service) stop() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	s.server.Shutdown(ctx)
	s.broker.Close()
}

// address returns the address of the port that speaks the protocol.
func (s *service) address(protocol string) string {
	for _, l := range s.listeners {
		if l.about.Protocol.Name() == protocol {
			return l.Addr().String()
		}
	}
	return ""
}

// describe tells the proxy about a listener.
func describe(l config.Listener) (*proxy.Listener, error) {
	about := &proxy.Listener{
		Protocol: protocols[l.Protocol],
		Address:  l.Address,
		TLS:      proxy.TLSMode(l.TLS),
		Networks: l.Networks,
		// Elsewhere than on this machine a password in clear is for
		// networks that somebody has named alone.
		RequireTLS: l.TLS != config.None && !l.NamesNetworks() && !l.IsLoopback(),
	}
	if l.TLS == config.None {
		return about, nil
	}
	certificate, err := tls.LoadX509KeyPair(l.CertificateFile, l.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate of the %s listener %s: %w", l.Protocol, l.Address, err)
	}
	about.Certificate = &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		// A TLS 1.3 ticket that follows the handshake of STARTTLS hangs
		// libesmtp and imaplib2 (offlineimap), before Postfix and Dovecot
		// too (measured 2026-11-22).
		SessionTicketsDisabled: true,
	}
	return about, nil
}

// trusted returns the system's roots and those of the file.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("upstream.ca_file: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("upstream.ca_file: no certificate in %s", file)
	}
	return roots, nil
}

func localLogins(c *config.Config) []accounts.Account {
	var all []accounts.Account
	for _, a := range c.Accounts {
		account := accounts.Account{Mailbox: a.Mailbox}
		for _, l := range a.Logins {
			account.Logins = append(account.Logins, accounts.Login{
				User: l.User, PasswordHash: l.PasswordHash, Networks: l.Networks, Protocols: l.Protocols, Device: l.Device,
			})
		}
		all = append(all, account)
	}
	return all
}

func tokenAccounts(c *config.Config) []tokens.Account {
	var all []tokens.Account
	for _, a := range c.Accounts {
		app := c.Apps[a.App]
		all = append(all, tokens.Account{Name: a.Mailbox, App: tokens.App{
			Authority:    app.Authority,
			ClientID:     app.ClientID,
			Flow:         tokens.Flow(app.Flow),
			ClientSecret: func() (wire.Secret, error) { return config.ReadSecret(app.ClientSecretFile) },
			Scopes:       []string{app.Scope},
		}})
	}
	return all
}

func routes(c *config.Config) map[string]map[string]proxy.Route {
	all := make(map[string]map[string]proxy.Route, len(c.Accounts))
	for _, a := range c.Accounts {
		route := func(h config.Host) proxy.Route {
			return proxy.Route{Address: h.Address, TLS: proxy.TLSMode(h.TLS), User: a.Mailbox}
		}
		all[a.Mailbox] = map[string]proxy.Route{
			config.IMAP: route(a.Upstream.IMAP),
			config.POP3: route(a.Upstream.POP3),
			config.SMTP: route(a.Upstream.SMTP),
		}
	}
	return all
}

// hostName is how we introduce ourselves to clients and to Exchange, which
// refuses anything but letters, digits, hyphens and dots (reported 2025-04).
func hostName() string {
	name, _ := os.Hostname()
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
			return r
		}
		return '-'
	}, name)
	if name = strings.Trim(name, "-."); name == "" {
		return "localhost"
	}
	return name
}

// tokenSource gives the proxy what it needs of the broker, in its own terms.
type tokenSource struct{ broker *tokens.Broker }

func (t tokenSource) AccessToken(ctx context.Context, account string) (wire.Secret, error) {
	token, err := t.broker.Token(ctx, account)
	if err == nil {
		return token.Value, nil
	}
	failure := &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: err}
	if e, ok := errors.AsType[*tokens.Error](err); ok {
		if e.AADSTS != 0 {
			// Other texts name files and hosts, which are nobody's business
			// but the log's.
			failure.Text = proxy.Sanitize([]byte(e.Text))
		}
		if e.Class == tokens.PersonNeeded {
			failure.Kind = proxy.SignInRequired
		}
	}
	return wire.Secret{}, failure
}

func (t tokenSource) Refused(account string, token wire.Secret) bool {
	return t.broker.Refused(account, token)
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
)

// grace is how long sessions may go on after the order to stop.
const grace = 10 * time.Second

// service is the proxy, made of a configuration.
type service struct {
	signIns    *signIns
	control    *admin.Server
	server     *proxy.Server
	recipients *ledgerKeeper
	listeners  []listener
}

// listener is an open port.
type listener struct {
	net.Listener
	about *proxy.Listener
}

// newService builds the proxy and opens its ports; nothing is served yet. All
// ports that can't be opened are named at once.
func newService(c *config.Config, log *slog.Logger) (*service, error) {
	directory, err := accounts.New(localLogins(c))
	if err != nil {
		return nil, err
	}
	roots, err := trusted(c.Upstream.CAFile)
	if err != nil {
		return nil, err
	}
	signIns, err := openSignIns(c, roots, log)
	if err != nil {
		return nil, err
	}
	server := proxy.NewServer(proxy.Options{
		Settings: settings(c, directory, roots),
		Tokens:   tokenSource{signIns.broker},
		HostName: hostName(),
		Log:      log,
	})
	signIns.refusals = server.Refusals
	s := &service{signIns: signIns, server: server, recipients: openLedger(c, log)}
	if err := s.listen(c, log); err != nil {
		s.stop()
		return nil, err
	}
	x := newExaminer(c, signIns, roots)
	x.open = func() []listener { return s.listeners }
	s.control, err = listenForCommands(c.StateDirectory, x, log)
	if err != nil && len(signIns.persons) > 0 {
		s.stop()
		return nil, err
	}
	if err != nil {
		// Mail needs no socket, and where nobody has to sign in there is
		// nothing that only this process could do.
		log.Warn("no control socket: accounts and login can't ask this process", "cause", err)
	}
	return s, nil
}

// listen opens the ports.
func (s *service) listen(c *config.Config, log *slog.Logger) error {
	var problems []error
	protocols := map[string]proxy.Protocol{
		config.IMAP: imap.Protocol{},
		config.POP3: pop3.Protocol{},
		config.SMTP: smtp.Protocol{Ledger: s.recipients.ledger},
	}
	certificates := &certificates{stateDirectory: c.StateDirectory, log: log}
	for _, l := range c.Listeners {
		about, err := describe(l, protocols[l.Protocol], certificates)
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
	if s.control != nil {
		serving.Go(s.control.Serve)
	}
	serving.Go(func() { s.recipients.run(ctx) })
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
	s.recipients.save()
	s.signIns.Close() // people who are signing in hear why that ends
	if s.control != nil {
		s.control.Close()
	}
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
func describe(l config.Listener, protocol proxy.Protocol, certificates *certificates) (*proxy.Listener, error) {
	about := &proxy.Listener{
		Protocol: protocol,
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
	var err error
	about.Certificate, err = certificates.serverTLS(l)
	return about, err
}

func localLogins(c *config.Config) []accounts.Account {
	var all []accounts.Account
	for _, a := range c.Accounts {
		account := accounts.Account{Mailbox: a.Mailbox}
		for _, l := range a.Logins {
			account.Logins = append(account.Logins, accounts.Login{
				User: l.User, PasswordHash: l.PasswordHash, Networks: l.Networks, Protocols: l.Protocols,
				Device: l.Device, Sending: sendingRules(l.Sending),
			})
		}
		all = append(all, account)
	}
	return all
}

func sendingRules(s config.Sending) *accounts.Sending {
	return &accounts.Sending{
		Sender:               s.Sender,
		AllowSenders:         s.AllowSenders,
		AllowRecipients:      s.AllowRecipients,
		MaxMessageSize:       s.MaxMessageSize,
		MessagesPerMinute:    s.MessagesPerMinute,
		RecipientsPerMessage: s.RecipientsPerMessage,
	}
}

// routes returns the ways to the mailboxes. Somebody who signs in for a mailbox
// of others opens it by IMAP and POP3, but by SMTP logs in as themselves:
// Exchange wants it so.
func routes(c *config.Config) map[string]map[string]proxy.Route {
	all := make(map[string]map[string]proxy.Route, len(c.Accounts))
	for _, a := range c.Accounts {
		route := func(h config.Host, user string) proxy.Route {
			return proxy.Route{Address: h.Address, TLS: proxy.TLSMode(h.TLS), User: user}
		}
		all[a.Mailbox] = map[string]proxy.Route{
			config.IMAP: route(a.Upstream.IMAP, a.Mailbox),
			config.POP3: route(a.Upstream.POP3, a.Mailbox),
			config.SMTP: route(a.Upstream.SMTP, a.Person()),
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

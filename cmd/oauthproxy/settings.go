package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/proxy"
)

// This file tells the proxy what the configuration says, in its own terms.

// settings are what the proxy may be told again while it runs.
func settings(c *config.Config, directory *accounts.Directory, roots *x509.CertPool) proxy.Settings {
	return proxy.Settings{
		Accounts:    directory,
		Routes:      routes(c),
		UpstreamTLS: &tls.Config{RootCAs: roots},
		Limits: proxy.Limits{
			Sessions:           c.Limits.Sessions,
			SessionsPerAddress: c.Limits.SessionsPerAddress,
			SessionsPerLogin:   c.Limits.SessionsPerLogin,
		},
	}
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

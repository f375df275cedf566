package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"time"

	"oauthproxy/admin"
	"oauthproxy/proxy"
	"oauthproxy/tokens"
)

const (
	// endsSoon is how long ahead of its end a certificate is warned of.
	endsSoon = 30 * 24 * time.Hour
	// nearly is which share of a limit is worth a warning.
	nearly = 0.8
)

// Status implements [admin.Running].
func (c *controlled) Status(ctx context.Context) (admin.Status, error) { return c.service.status(ctx) }

// status tells what the service does now.
func (s *service) status(ctx context.Context) (admin.Status, error) {
	accounts, err := s.signIns.Accounts(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	s.mu.Lock()
	ports, x := s.ports, &examiner{config: s.config, open: s.openPortsNow}
	loaded := s.loaded
	s.mu.Unlock()
	snapshot := s.server.Snapshot()
	all := admin.Status{
		Version: currentRelease(), PID: os.Getpid(), Since: s.started, Loaded: loaded,
		Listeners: listenersOf(ports, snapshot.Sessions),
		Mailboxes: s.mailboxes(snapshot.Mailboxes),
	}
	for _, session := range snapshot.Sessions {
		all.Sessions = append(all.Sessions, describeSession(session))
	}
	for _, a := range accounts {
		all.Accounts = append(all.Accounts, admin.AccountSummary{Account: a.Account, State: a.State, TokenExpires: a.TokenExpires, Next: a.Next})
	}
	all.Warnings = slices.Concat(accountWarnings(accounts), x.certificateWarnings(), mailboxWarnings(all.Mailboxes), legacyWarnings(snapshot.Legacy))
	return all, nil
}

func listenersOf(ports []*port, sessions []proxy.SessionState) []admin.Listener {
	count := make(map[[2]string]int)
	for _, s := range sessions {
		count[[2]string{s.Protocol, s.Listener}]++
	}
	var all []admin.Listener
	for _, p := range ports {
		about := p.shared.About()
		all = append(all, admin.Listener{
			Protocol: about.Protocol.Name(), Address: p.Addr().String(), TLS: string(about.TLS),
			Sessions: count[[2]string{about.Protocol.Name(), about.Address}],
		})
	}
	return all
}

func describeSession(s proxy.SessionState) admin.Session {
	return admin.Session{
		ID: s.ID, Protocol: s.Protocol, Client: s.Client.String(), TLS: s.TLS, Login: s.Login, Account: s.Account,
		Since: s.Since, LoggedIn: s.LoggedIn, Phase: s.Phase, BytesUp: s.Up, BytesDown: s.Down,
	}
}

// mailboxes joins what is known of the mailboxes' connections and of what they
// have sent, as far as somebody uses them.
func (s *service) mailboxes(states []proxy.MailboxState) []admin.Mailbox {
	byAccount := make(map[string]admin.Mailbox)
	for _, state := range states {
		m := byAccount[state.Account]
		m.Open, m.Kept, m.Waiting = state.Used+state.Kept, state.Kept, state.Waiting
		byAccount[state.Account] = m
	}
	s.mu.Lock()
	accounts := s.config.Accounts
	s.mu.Unlock()
	for _, a := range accounts {
		m, isUsed := byAccount[a.Mailbox]
		u := s.recipients.ledger.Usage(a.Mailbox)
		if !isUsed && u.Messages+u.Recipients+u.Waiting == 0 {
			continue
		}
		m.Waiting += u.Waiting
		m.Messages, m.MessagesPerMinute = u.Messages, u.MessagesPerMinute
		m.Recipients, m.RecipientsPerDay = u.Recipients, u.RecipientsPerDay
		byAccount[a.Mailbox] = m
	}
	var all []admin.Mailbox
	for account, m := range byAccount {
		m.Account = account
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b admin.Mailbox) int { return cmp.Compare(a.Account, b.Account) })
	return all
}

// accountWarnings tell which accounts can't be used, or not for long.
func accountWarnings(all []admin.Account) (warnings []string) {
	for _, a := range all {
		if a.State != string(tokens.StateReady) {
			warnings = append(warnings, fmt.Sprintf("%s, %s: %s", a.Account, a.State, advice(a)))
		}
		if !a.CredentialExpires.IsZero() && time.Until(a.CredentialExpires) < endsSoon {
			warnings = append(warnings, fmt.Sprintf("%s: the certificate that gets its tokens %s", a.Account, endOf(a.CredentialExpires)))
		}
		for _, r := range a.Refusals {
			warnings = append(warnings, fmt.Sprintf("%s, %s, %s: %s%s", a.Account, r.Protocol, clock(r.At), r.Text, pause(r)))
		}
	}
	return warnings
}

// certificateWarnings tell which listeners' certificates end, or can't be used.
func (x *examiner) certificateWarnings() (warnings []string) {
	for _, c := range x.certificates(nil) {
		chain, err := c.Load()
		switch {
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("%s can't be used: %v", c.What, err))
		case len(chain) > 0 && isNearEnd(chain[0]):
			warnings = append(warnings, c.What+" "+endOf(chain[0].NotAfter))
		}
	}
	return warnings
}

// isNearEnd tells whether a certificate is in the last month, or in the last
// quarter of a shorter life: what renews itself is replaced before.
func isNearEnd(c *x509.Certificate) bool {
	return time.Until(c.NotAfter) < min(endsSoon, c.NotAfter.Sub(c.NotBefore)/4)
}

func endOf(end time.Time) string {
	if time.Now().After(end) {
		return "has ended, " + clock(end)
	}
	return "ends " + clock(end)
}

// mailboxWarnings tell which mailboxes are near a limit.
func mailboxWarnings(all []admin.Mailbox) (warnings []string) {
	near := func(n, limit int) bool { return limit > 0 && float64(n) >= nearly*float64(limit) }
	for _, m := range all {
		if near(m.Recipients, m.RecipientsPerDay) {
			warnings = append(warnings, fmt.Sprintf("%s: %d of %d recipients of a day are used up", m.Account, m.Recipients, m.RecipientsPerDay))
		}
		if near(m.Messages, m.MessagesPerMinute) {
			warnings = append(warnings, fmt.Sprintf("%s: %d of %d messages of a minute are used up, further ones wait", m.Account, m.Messages, m.MessagesPerMinute))
		}
	}
	return warnings
}

// mostLegacy bounds the old clients that are named one by one.
const mostLegacy = 10

// legacyWarnings name the clients that need what only legacy_tls offers.
func legacyWarnings(all []proxy.LegacyClient) (warnings []string) {
	for _, c := range all[:min(len(all), mostLegacy)] {
		warnings = append(warnings, fmt.Sprintf("%s uses old TLS (%s, %s; last %s)", c.Address, c.Version, c.Suite, clock(c.Last)))
	}
	if more := len(all) - mostLegacy; more > 0 {
		warnings = append(warnings, fmt.Sprintf("%d more clients use old TLS", more))
	}
	return warnings
}

package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/proxy"
	"oauthproxy/tokens"
)

// signIns are the accounts of a configuration with what people have signed in
// for. One process at a time can have them open, if people have to sign in at
// all: for applications alone there is nothing to keep.
type signIns struct {
	broker  *tokens.Broker
	store   *tokens.Store     // nil where nobody has to sign in
	persons map[string]string // who has to sign in, by account
	// refusals tells what the mail servers have refused; nil where no proxy runs.
	refusals func(account string) []proxy.Refusal
}

// openSignIns opens the store. The error is tokens.ErrLocked while another
// process has it open.
func openSignIns(c *config.Config, roots *x509.CertPool, log *slog.Logger) (*signIns, error) {
	s := &signIns{persons: make(map[string]string)}
	for _, a := range c.Accounts {
		if c.Apps[a.App].HasPerson() {
			s.persons[a.Mailbox] = a.Person()
		}
	}
	warnOfApps(c, log)
	options := tokens.Options{HTTPClient: entraClient(roots, c.HTTPProxy), Log: log}
	if err := s.openStore(c, log); err != nil {
		return nil, err
	}
	if s.store != nil {
		options.Store = s.store
	}
	broker, err := tokens.NewBroker(tokenAccounts(c), options)
	if err != nil {
		s.closeStore()
		return nil, err
	}
	s.broker = broker
	return s, nil
}

// openStore opens the store if somebody has to sign in, or has at some time.
func (s *signIns) openStore(c *config.Config, log *slog.Logger) error {
	isNeeded := len(s.persons) > 0
	if !isNeeded && !tokens.HasSignIns(c.StateDirectory) {
		return nil
	}
	store, err := openUsable(c, log)
	switch {
	case err == nil:
		s.store = store
	case isNeeded:
		return err
	default:
		log.Warn("can't look at sign-ins that are kept for nothing", "reason", err)
	}
	return nil
}

// openUsable opens the store, or one that waits for its key: whoever needs
// nothing of it is served meanwhile.
func openUsable(c *config.Config, log *slog.Logger) (*tokens.Store, error) {
	store, err := openStore(c, log)
	if errors.As(err, new(*tokens.KeyTrouble)) {
		log.Error("what people have signed in for can't be used", "reason", err)
		return tokens.NewStore(c.StateDirectory, tokens.EnvironmentKey(c.Store.KeyFile), log), nil
	}
	return store, err
}

func openStore(c *config.Config, log *slog.Logger) (*tokens.Store, error) {
	return tokens.OpenStore(c.StateDirectory, tokens.EnvironmentKey(c.Store.KeyFile), log)
}

// notConfigured is the state of an account that only the store knows.
const notConfigured = "not configured"

// Accounts tells how all accounts stand, and which sign-ins are kept for
// nothing.
func (s *signIns) Accounts(context.Context) ([]admin.Account, error) {
	var all []admin.Account
	known := make(map[string]bool)
	for _, status := range s.broker.Accounts() {
		a := s.describe(status)
		all = append(all, a)
		known[strings.ToLower(a.Account)] = a.Person != ""
	}
	if s.store == nil {
		return all, nil
	}
	kept, _ := s.store.Accounts() // where it fails, each account says so
	for _, account := range kept {
		if !known[account] {
			all = append(all, admin.Account{Account: account, State: notConfigured,
				Text: "a sign-in is kept, but nobody signs in for such an account of the configuration",
				Next: "to remove it, run: " + tokens.CommandLine("logout", account)})
		}
	}
	return all, nil
}

// SignIn lets a person sign in, or fetches a token where none is needed.
func (s *signIns) SignIn(ctx context.Context, account string, d tokens.Dialog) (admin.Account, error) {
	status, err := s.broker.SignIn(ctx, account, d)
	return s.describe(status), err
}

// SignOut forgets a sign-in, also one that the configuration has no use for.
func (s *signIns) SignOut(_ context.Context, account string) error {
	if s.persons[account] != "" || s.store == nil {
		return s.broker.SignOut(account)
	}
	_, err := s.store.Load(account)
	wasKept := !errors.Is(err, tokens.ErrNotFound)
	if err := s.store.Delete(account); err != nil {
		return fmt.Errorf("what is kept for %s can't be removed: %w", account, err)
	}
	if _, isKnown := s.broker.Account(account); wasKept && !isKnown {
		return nil
	}
	return s.broker.SignOut(account)
}

// Close ends everything under way and lets go of the store.
func (s *signIns) Close() {
	s.broker.Close()
	s.closeStore()
}

func (s *signIns) closeStore() {
	if s.store != nil {
		_ = s.store.Close()
	}
}

func (s *signIns) describe(status tokens.Status) admin.Account {
	return admin.Account{
		Refusals:          s.refusalsOf(status.Account),
		Account:           status.Account,
		Flow:              string(status.Flow),
		Person:            s.persons[status.Account],
		SignedInAs:        status.SignedInAs,
		TokenExpires:      status.TokenExpires,
		RefreshedAt:       status.RefreshedAt,
		CredentialExpires: status.CredentialExpires,
		Thumbprint:        status.Thumbprint,
		State:             string(status.State),
		Text:              status.Text,
		Next:              status.Next,
	}
}

func (s *signIns) refusalsOf(account string) []admin.Refusal {
	if s.refusals == nil {
		return nil
	}
	var all []admin.Refusal
	for _, r := range s.refusals(account) {
		all = append(all, admin.Refusal{Protocol: r.Protocol, At: r.At, Until: r.Until, Text: r.Text})
	}
	return all
}

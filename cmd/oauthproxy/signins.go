package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/proxy"
	"oauthproxy/tokens"
)

// signIns are the accounts of a configuration with what people have signed in
// for. One process at a time can have them open, if people have to sign in at
// all: for applications alone there is nothing to keep.
type signIns struct {
	broker *tokens.Broker

	mu      sync.Mutex        // over what a reload replaces
	store   *tokens.Store     // nil where nobody has to sign in
	persons map[string]string // who has to sign in, by account

	// refusals tells what the mail servers have refused; nil where no proxy runs.
	refusals func(account string) []proxy.Refusal
}

// openSignIns opens the store. The error is tokens.ErrLocked while another
// process has it open.
func openSignIns(c *config.Config, roots *x509.CertPool, log *slog.Logger) (*signIns, error) {
	s := &signIns{}
	store, err := s.neededStore(c, log)
	if err != nil {
		return nil, err
	}
	warnOfApps(c, log)
	if s.broker, err = tokens.NewBroker(tokenAccounts(c), tokenOptions(c, roots, store, log)); err != nil {
		closeStore(store)
		return nil, err
	}
	s.store, s.persons = store, personsOf(c)
	return s, nil
}

// update lets the accounts be those of another configuration. Those that are the
// same go on as they are. After an error nothing has changed.
func (s *signIns) update(c *config.Config, roots *x509.CertPool, same func(mailbox string) bool, log *slog.Logger) error {
	before := s.storeNow()
	store, err := s.neededStore(c, log)
	if err != nil {
		return err
	}
	if err := s.broker.Update(tokenAccounts(c), tokenOptions(c, roots, store, log), same); err != nil {
		if store != before {
			closeStore(store)
		}
		return err
	}
	warnOfApps(c, log)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store, s.persons = store, personsOf(c)
	return nil
}

func tokenOptions(c *config.Config, roots *x509.CertPool, store *tokens.Store, log *slog.Logger) tokens.Options {
	options := tokens.Options{HTTPClient: entraClient(roots, c.HTTPProxy), Log: log}
	if store != nil {
		options.Store = store
	}
	return options
}

// personsOf says who has to sign in, by account.
func personsOf(c *config.Config) map[string]string {
	persons := make(map[string]string)
	for _, a := range c.Accounts {
		if c.Apps[a.App].HasPerson() {
			persons[a.Mailbox] = a.Person()
		}
	}
	return persons
}

// person is who has to sign in for the account; "" where nobody does.
func (s *signIns) person(account string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.persons[account]
}

func (s *signIns) storeNow() *tokens.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// neededStore returns the store that is open; else it opens one if somebody has
// to sign in, or has at some time.
func (s *signIns) neededStore(c *config.Config, log *slog.Logger) (*tokens.Store, error) {
	if open := s.storeNow(); open != nil {
		return open, nil
	}
	isNeeded := len(personsOf(c)) > 0
	if !isNeeded && !tokens.HasSignIns(c.StateDirectory) {
		return nil, nil
	}
	store, err := openUsable(c, log)
	if err != nil && !isNeeded {
		log.Warn("can't look at sign-ins that are kept for nothing", "cause", err)
		return nil, nil
	}
	return store, err
}

// openUsable opens the store, or one that waits for its key: whoever needs
// nothing of it is served meanwhile.
func openUsable(c *config.Config, log *slog.Logger) (*tokens.Store, error) {
	store, err := openStore(c, log)
	if errors.As(err, new(*tokens.KeyTrouble)) {
		log.Error("what people have signed in for can't be used", "cause", err)
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
	store := s.storeNow()
	if store == nil {
		return all, nil
	}
	kept, _ := store.Accounts() // where it fails, each account says so
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
	store := s.storeNow()
	if s.person(account) != "" || store == nil {
		return s.broker.SignOut(account)
	}
	_, err := store.Load(account)
	wasKept := !errors.Is(err, tokens.ErrNotFound)
	if err := store.Delete(account); err != nil {
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
	closeStore(s.storeNow())
}

func closeStore(store *tokens.Store) {
	if store != nil {
		_ = store.Close()
	}
}

func (s *signIns) describe(status tokens.Status) admin.Account {
	return admin.Account{
		Refusals:          s.refusalsOf(status.Account),
		Account:           status.Account,
		Flow:              string(status.Flow),
		Person:            s.person(status.Account),
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

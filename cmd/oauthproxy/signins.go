package main

import (
	"context"
	"crypto/x509"
	"log/slog"

	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/tokens"
)

// signIns are the accounts of a configuration with what people have signed in
// for. One process at a time can have them open, if people have to sign in at
// all: for applications alone there is nothing to keep.
type signIns struct {
	broker  *tokens.Broker
	store   *tokens.Store     // nil where nobody has to sign in
	persons map[string]string // who has to sign in, by account
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
	if len(s.persons) > 0 {
		store, err := openStore(c, log)
		if err != nil {
			return nil, err
		}
		s.store, options.Store = store, store
	}
	broker, err := tokens.NewBroker(tokenAccounts(c), options)
	if err != nil {
		s.closeStore()
		return nil, err
	}
	s.broker = broker
	return s, nil
}

func openStore(c *config.Config, log *slog.Logger) (*tokens.Store, error) {
	return tokens.OpenStore(c.StateDirectory, tokens.EnvironmentKey(c.Store.KeyFile), log)
}

// Accounts tells how all accounts stand.
func (s *signIns) Accounts(context.Context) ([]admin.Account, error) {
	var all []admin.Account
	for _, status := range s.broker.Accounts() {
		all = append(all, s.describe(status))
	}
	return all, nil
}

// SignIn lets a person sign in, or fetches a token where none is needed.
func (s *signIns) SignIn(ctx context.Context, account string, d tokens.Dialog) (admin.Account, error) {
	status, err := s.broker.SignIn(ctx, account, d)
	return s.describe(status), err
}

// SignOut forgets a sign-in.
func (s *signIns) SignOut(_ context.Context, account string) error {
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

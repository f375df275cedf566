package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"oauthproxy/config"
	"oauthproxy/doctor"
	"oauthproxy/internal/remedy"
	"oauthproxy/tokens"
)

// checkedTokens gets the access tokens of one check. An application that acts by
// itself is asked for once: its tokens are alike for all of its accounts, and a
// thousand requests in a row would have Entra ID ask for a pause.
type checkedTokens struct {
	broker *tokens.Broker
	shared map[string]*sharedToken // by account; nil where a person signs in
}

// sharedToken is what Entra ID has last said of an app.
type sharedToken struct {
	mu    sync.Mutex // held during a request: whoever else wants to know waits
	token doctor.Token
	err   error
}

func newCheckedTokens(broker *tokens.Broker, accounts []config.Account, apps map[string]config.App) *checkedTokens {
	type kind struct{ app, scopes string }
	c := &checkedTokens{broker: broker, shared: make(map[string]*sharedToken)}
	known := make(map[kind]*sharedToken)
	for _, a := range accounts {
		if app := apps[a.App]; app.HasPerson() {
			continue
		}
		k := kind{a.App, strings.Join(a.Scopes, " ")}
		if known[k] == nil {
			known[k] = &sharedToken{}
		}
		c.shared[a.Mailbox] = known[k]
	}
	return c
}

// get returns an access token by the account's flow.
func (c *checkedTokens) get(ctx context.Context, mailbox string) (doctor.Token, error) {
	s := c.shared[mailbox]
	if s == nil {
		return c.ask(ctx, mailbox)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isFinal() {
		s.token, s.err = c.ask(ctx, mailbox)
	}
	return s.token, s.err
}

// isFinal tells whether asking again would be of no use: the token is good for
// another account's logins, or somebody has to mend something first.
func (s *sharedToken) isFinal() bool {
	if e, ok := errors.AsType[*doctor.TokenError](s.err); ok {
		return e.Class == remedy.SetUp || e.Class == remedy.Administrator
	}
	return s.err == nil && time.Until(s.token.Expires) > time.Minute
}

// ask gets a new token: one that is kept says nothing of the credentials or the
// sign-in.
func (c *checkedTokens) ask(ctx context.Context, mailbox string) (doctor.Token, error) {
	if _, err := c.broker.Renew(ctx, mailbox); err != nil {
		return doctor.Token{}, tokenError(err)
	}
	token, err := c.broker.Token(ctx, mailbox)
	if err != nil {
		return doctor.Token{}, tokenError(err)
	}
	return doctor.Token{Value: token.Value, Expires: token.Expires}, nil
}

// tokenError tells the doctor why there is no token.
func tokenError(err error) error {
	e, ok := errors.AsType[*tokens.Error](err)
	if !ok {
		return err
	}
	return &doctor.TokenError{
		AADSTS: e.AADSTS, Class: remedyClasses[e.Class], Text: e.Text, TraceID: e.TraceID, CorrelationID: e.CorrelationID,
	}
}

var remedyClasses = map[tokens.Class]remedy.Class{
	tokens.TryLater:            remedy.Later,
	tokens.PersonNeeded:        remedy.Person,
	tokens.AdministratorNeeded: remedy.Administrator,
	tokens.SetUpWrong:          remedy.SetUp,
}

package stage

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// tokenText is the part that all access tokens of a stage have in common.
const tokenText = "EwBwA8l6Yt0qVd7-xN2uGh5kSr9jM3cP"

// Tokens hands out access tokens: the same one until it is refused.
type Tokens struct {
	failure *proxy.Failure
	noFresh bool

	mu       sync.Mutex
	number   int
	account  string
	requests int
}

func newTokens(o Options) *Tokens {
	t := &Tokens{number: 1, noFresh: o["fresh token"] == "none"}
	switch o["token"] {
	case "sign-in required":
		t.failure = &proxy.Failure{Kind: proxy.SignInRequired, Text: "run: oauthproxy login " + Mailbox, Cause: errors.New("AADSTS50173")}
	case "unavailable":
		t.failure = &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: errors.New("HTTP 503")}
	}
	return t
}

// AccessToken returns the account's token or what is wrong with it.
func (t *Tokens) AccessToken(_ context.Context, account string) (proxy.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	t.account = account
	if t.failure != nil {
		return proxy.Token{}, t.failure
	}
	return proxy.Token{Value: wire.NewSecret(t.text())}, nil
}

// Refused makes the next token another one.
func (t *Tokens) Refused(context.Context, string, wire.Secret) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.noFresh {
		return &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: errors.New("no fresh token")}
	}
	t.number++
	return nil
}

// Requests returns how often a token has been asked for.
func (t *Tokens) Requests() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// last returns who asked last and what the token is now.
func (t *Tokens) last() (account, token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.account, t.text()
}

func (t *Tokens) text() string { return tokenText + "-" + strconv.Itoa(t.number) }

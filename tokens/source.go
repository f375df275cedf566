package tokens

import (
	"context"
	"net/http"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// maxLife is more than Entra ID gives any token; a day is the most.
	maxLife = 48 * time.Hour
	// assumedLife is for a token whose end can't be true. Entra ID's tokens
	// live for an hour at least.
	assumedLife = time.Hour
	// minLife is how long a token must live to be of use. Shorter ones would
	// be asked for without end.
	minLife = 10 * time.Second
)

// source is a way to one token. Each call asks Entra ID: keeping tokens and
// sparing requests is the entry's work. The error lacks only the account.
type source interface {
	fetch(ctx context.Context) (Token, *Error)
}

// newSource returns the source for the account's flow, also as the delegated
// one where a person signs in. The app has been checked.
func newSource(account Account, client *http.Client, o Options) (source, *delegated) {
	app := account.App
	client = confined(client, app)
	switch {
	case app.Flow == FlowManagedIdentity:
		return &managedIdentity{app: app, client: guardedLocal(o.HTTPClient)}, nil
	case app.Flow.hasPerson():
		person := &delegated{account: account, client: client, store: o.Store, log: o.Log}
		return person, person
	}
	return &application{app: app, client: client}, nil
}

// newToken is the token in an answer; MSAL doesn't find fault with all answers
// that have none. An end that is too far away, e.g. one in milliseconds, would
// mean that the token is never renewed.
func newToken(value string, expires time.Time) (Token, *Error) {
	if value == "" {
		return Token{}, &Error{Class: TryLater, Text: "the answer holds no access token: " + somethingBetween}
	}
	if now := time.Now(); expires.Sub(now) > maxLife {
		expires = now.Add(assumedLife)
	}
	return Token{Value: wire.NewSecret(value), Expires: expires}, nil
}

// isOfUse tells whether the token lives long enough to be used.
func (t Token) isOfUse(now time.Time) bool { return !hasEnded(t, now.Add(minLife)) }

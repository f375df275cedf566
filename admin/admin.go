// Package admin lets commands speak to the running service: over a Unix socket
// that only the service's own user, and root, can open.
//
// A Server gives access to a Running service; a Client is the same from afar.
// One connection carries one request. Both sides write lines of JSON: the
// client a request, the server a message for each thing to show or to ask, the
// client its answers, and the server the result. A client that goes away
// cancels what it asked for.
package admin

import (
	"context"
	"time"

	"oauthproxy/doctor"
	"oauthproxy/tokens"
)

// Service is what can be asked for. Errors are for people, and hold no secret.
type Service interface {
	// Accounts tells how all accounts stand, in the order of the configuration.
	Accounts(ctx context.Context) ([]Account, error)
	// SignIn lets the account's person sign in. For an account without a
	// person it fetches a token.
	SignIn(ctx context.Context, account string, d tokens.Dialog) (Account, error)
	// SignOut forgets the account's sign-in and tokens.
	SignOut(ctx context.Context, account string) error
	// Check looks for what doesn't work, and tells o. The error says why it
	// could not be looked for, or not to the end.
	Check(ctx context.Context, e Examination, o doctor.Observer) error
}

// Running is what only a running service can be asked for besides.
type Running interface {
	Service
	// Reload reads the configuration again. What is wrong with that is in the
	// answer; after it, or an error, nothing has changed.
	Reload(ctx context.Context) (Reloaded, error)
	// Status tells what the service does.
	Status(ctx context.Context) (Status, error)
}

// Reloaded is what came of a reload.
type Reloaded struct {
	// Summary says what holds now.
	Summary string `json:"summary,omitempty"`
	// Notes say what hasn't changed although the configuration has.
	Notes []string `json:"notes,omitempty"`
	// Problems are those of the configuration.
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is one of a configuration: where and what it is, and what to do.
type Problem struct {
	Where string `json:"where"`
	Hint  string `json:"hint,omitempty"`
}

// Examination is what to look at.
type Examination struct {
	// Accounts are those that are meant, in capitals or not; none means all.
	Accounts []string `json:"accounts,omitempty"`
	// Send is the address for a test message; empty: none is sent.
	Send string `json:"send,omitempty"`
}

// IsZero is for omitzero.
func (e Examination) IsZero() bool { return len(e.Accounts) == 0 && e.Send == "" }

// Account tells how an account stands. Times are zero, and texts empty, where
// there is nothing to tell.
type Account struct {
	Account string `json:"account"`
	Flow    string `json:"flow"`
	// Person is the address of whoever has to sign in.
	Person string `json:"person,omitempty"`
	// SignedInAs is the address of whoever did.
	SignedInAs string `json:"signed_in_as,omitempty"`
	// TokenExpires is when the access token ends.
	TokenExpires time.Time `json:"token_expires,omitzero"`
	// RefreshedAt is when Entra ID last gave a token.
	RefreshedAt time.Time `json:"refreshed_at,omitzero"`
	// CredentialExpires is when the certificate ends.
	CredentialExpires time.Time `json:"credential_expires,omitzero"`
	// Thumbprint is the certificate's SHA-1, as Entra ID's portal shows it.
	Thumbprint string `json:"thumbprint,omitempty"`
	State      string `json:"state"`
	// Text says in plain words what is wrong, Next what to do.
	Text string `json:"text,omitempty"`
	Next string `json:"next,omitempty"`
	// Refusals tell what has last gone wrong with the mail servers.
	Refusals []Refusal `json:"refusals,omitempty"`
}

// Refusal is a login that a mail server has refused, or a session that it has
// ended, after which none has succeeded.
type Refusal struct {
	Protocol string    `json:"protocol"`
	At       time.Time `json:"at"`
	// Until is when the mail server is asked again; until then clients get
	// the same answer.
	Until time.Time `json:"until,omitzero"`
	// Text says in plain words what it was, and what to do.
	Text string `json:"text"`
}

// Package accounts knows the local logins: who may use which mailbox, over
// which protocol, from where.
//
// Whoever tries to log in learns one bit. A wrong password, an unknown user,
// a login used from the wrong network or over the wrong protocol all look the
// same and cost the same work; the reason is for the log alone.
package accounts

import (
	"errors"
	"net/netip"

	"oauthproxy/internal/wire"
)

// Account is a mailbox and the logins that may use it.
type Account struct {
	Mailbox string
	Logins  []Login
}

// Login is one way into an account: a user with a password, or, without
// both, a device known by its address alone.
type Login struct {
	// User is the name that the client gives. Case doesn't matter. Empty: a
	// login by address.
	User string
	// PasswordHash is what Hash returns, or a bcrypt hash; see CheckHash.
	PasswordHash string
	// Networks are those that the login may be used from; empty: all. A login
	// by address needs at least one.
	Networks []netip.Prefix
	// Protocols are those that the login may be used over; empty: all.
	Protocols []string
	// Device marks a machine that needs its mail repaired. It is only handed on.
	Device bool
	// Sending are the rules for what the login sends, or nil. They are only
	// handed on.
	Sending *Sending
}

// Attempt is a client trying to log in.
type Attempt struct {
	Protocol string
	User     string
	Password wire.Secret
	Address  netip.Addr
}

// Grant is the leave to use an account.
type Grant struct {
	// Account is the mailbox name as configured.
	Account string
	// Login is a name for logs: the user as configured, or the network of a
	// login by address, e.g. 192.168.10.22/32.
	Login   string
	Device  bool
	Sending *Sending
}

// ErrRefused is the one answer to everything that is wrong with an attempt.
// The reason, for the log, is in the Refusal that wraps it.
var ErrRefused = errors.New("login refused")

// ErrBusy says that too many passwords wait to be checked already. It tells
// nothing about the password; the client should come back later.
var ErrBusy = errors.New("too many logins at once, try again later")

// Refusal is an ErrRefused with its reason. The reason is for the log and must
// not reach the client; it never holds a password.
type Refusal struct{ Reason string }

// Error returns the reason.
func (r *Refusal) Error() string { return "login refused: " + r.Reason }

// Unwrap returns ErrRefused.
func (r *Refusal) Unwrap() error { return ErrRefused }

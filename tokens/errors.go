package tokens

import (
	"fmt"
	"time"
)

// Class tells who has to act before a token can be had again.
type Class int

// The classes of token errors.
const (
	// TryLater passes by itself: network, throttling, an outage at Microsoft.
	TryLater Class = iota
	// PersonNeeded asks the account's owner to sign in again.
	PersonNeeded
	// AdministratorNeeded asks the tenant's administrator: a policy or a consent.
	AdministratorNeeded
	// SetUpWrong asks whoever wrote the configuration or the app registration.
	SetUpWrong
)

// String names the class in plain words.
func (c Class) String() string {
	switch c {
	case TryLater:
		return "try later"
	case PersonNeeded:
		return "person needed"
	case AdministratorNeeded:
		return "administrator needed"
	case SetUpWrong:
		return "set-up wrong"
	}
	return fmt.Sprintf("class %d", int(c))
}

// Error says why there is no token. It is safe to log and to show: it holds
// our own words and parts of Entra's answer that were checked, never the raw
// text of an answer, which may contain a token.
type Error struct {
	Class   Class
	Account string
	// AADSTS is Entra's own number for the error, 0 when it gave none.
	AADSTS int
	// Text says in plain words what is wrong and what to do.
	Text string
	// Remedy is the ID of what package remedy knows about it; empty: nothing.
	Remedy string
	// TraceID and CorrelationID are what Microsoft's support asks for.
	TraceID, CorrelationID string
	// RetryAfter is for how long no new request will be made, counted from
	// the moment of this error; 0 where only a sign-in helps.
	RetryAfter time.Duration
	// Err is the cause where that is a context's error, or that of a file or
	// the store; else nil.
	Err error
}

// Error returns the account, the text and the identifiers for support.
func (e *Error) Error() string {
	text := fmt.Sprintf("no access token for %s: %s", e.Account, e.Text)
	if e.TraceID != "" {
		text += fmt.Sprintf(" (trace ID %s, correlation ID %s)", e.TraceID, e.CorrelationID)
	}
	return text
}

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

func unknownAccount(account string) *Error {
	return &Error{Class: SetUpWrong, Account: account, Text: "there is no such account"}
}

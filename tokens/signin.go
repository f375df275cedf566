package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// signInTimeout is how long a person may take, the second factor included.
	signInTimeout = 10 * time.Minute
	// deviceCodeTimeout bounds the life of a device code, which has an end of
	// its own: Entra ID's are good for 15 minutes.
	deviceCodeTimeout = 15 * time.Minute
)

// DeviceCode is what a person needs to sign in on another machine.
type DeviceCode struct {
	// URL is the page where the person enters UserCode.
	URL, UserCode string
	// Expires is when the code ends.
	Expires time.Time
}

// Dialog is how a person is spoken to while signing in. Each flow needs a part
// of it: FlowDeviceCode Code; FlowBrowser Address, Pasted and PasteAgain;
// FlowPassword Password; the flows without a person nothing, not even a Dialog.
type Dialog interface {
	// Code shows where to enter which code.
	Code(code DeviceCode)
	// Address shows, and perhaps opens, the address where to sign in.
	Address(url string)
	// Pasted returns a channel of what the person pastes: the address where
	// the browser ended, or the part of it after the question mark. It is
	// called once; nil means that nobody can paste.
	Pasted() <-chan string
	// PasteAgain says why what was pasted last can't be used. The sign-in goes
	// on, and the person may paste something else.
	PasteAgain(reason string)
	// Password asks for the person's password with Microsoft.
	Password(ctx context.Context) (wire.Secret, error)
}

// SignIn lets the account's person sign in, and keeps the sign-in. It takes as
// long as the person does, at most ten minutes (with a device code 15); the
// tokens there are go on being used meanwhile. Who signed in is compared with
// who should have; after any refusal the old sign-in is kept. For an account
// without a person it fetches a token, now. Only one person at a time can sign
// in for an account. The error is always an *Error; the status is what came
// of it.
func (b *Broker) SignIn(ctx context.Context, account string, d Dialog) (Status, error) {
	e := b.entry(account)
	if e == nil {
		return Status{}, unknownAccount(account)
	}
	if failure := e.signIn(ctx, d); failure != nil {
		named := *failure // others may have the original
		named.Account = account
		return e.status(), &named
	}
	return e.status(), nil
}

// SignOut forgets the account's sign-in and tokens, in memory and in the
// store. Where no person takes part it only forgets the access token. When
// the store can't forget, nothing is forgotten.
func (b *Broker) SignOut(account string) error {
	e := b.entry(account)
	if e == nil {
		return fmt.Errorf("not signed out of %s: there is no such account", account)
	}
	return e.signOut()
}

func (e *entry) signIn(ctx context.Context, d Dialog) *Error {
	if e.person == nil {
		return e.fetchNow(ctx)
	}
	if failure := e.enterSignIn(); failure != nil {
		return failure
	}
	defer e.leaveSignIn()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)() // ends with the broker as well
	in, failure := e.person.signIn(ctx, d)
	if failure != nil {
		return e.signInEnded(ctx, failure)
	}
	e.person.install(in)
	e.signedIn(in.AccessToken.Token)
	e.log.Info("signed in", "account", e.account.Name, "signed_in_as", in.SignedInAs)
	return nil
}

// signInEnded logs why a sign-in came to nothing.
func (e *entry) signInEnded(ctx context.Context, failure *Error) *Error {
	if e.ctx.Err() != nil {
		return &Error{Class: TryLater, Text: "the program is shutting down", Err: context.Canceled}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		failure = errGivenUp(context.Canceled)
	}
	e.log.Warn("not signed in", "account", e.account.Name, "reason", failure.Class.String(), "cause", failure.Text,
		"trace_id", failure.TraceID, "correlation_id", failure.CorrelationID)
	return failure
}

func errGivenUp(cause error) *Error {
	return &Error{Class: PersonNeeded, Text: "the sign-in was given up", Err: cause}
}

// enterSignIn keeps a second person out and Close waiting.
func (e *entry) enterSignIn() *Error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return &Error{Class: TryLater, Text: "the program is shutting down", Err: context.Canceled}
	case e.signingIn:
		return &Error{Class: TryLater, Text: "somebody is signing in for this account already: wait until that has ended"}
	}
	e.signingIn = true
	e.flights.Add(1)
	return nil
}

func (e *entry) leaveSignIn() {
	e.mu.Lock()
	e.signingIn = false
	e.mu.Unlock()
	e.flights.Done()
}

// fetchNow asks for a token without regard to earlier failures: somebody has
// repaired something and wants to see whether it helped.
func (e *entry) fetchNow(ctx context.Context) *Error {
	e.mu.Lock()
	e.notBefore = time.Time{}
	e.mu.Unlock()
	_, failure := e.newer(ctx, e.held.Load())
	return failure
}

// signedIn makes token, which may have ended, the account's own. Whoever waits
// for a request made by the old sign-in gets it as well.
func (e *entry) signedIn(token Token) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures, e.failure, e.notBefore = 0, nil, time.Time{}
	now := time.Now()
	if !token.isOfUse(now) {
		return // the next session renews it
	}
	e.settle(e.obtained(token, now), nil)
}

func (e *entry) signOut() error {
	if e.person != nil {
		if err := e.person.forget(); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held.Store(nil)
	if e.renewal != nil {
		e.renewal.Stop()
	}
	if e.person != nil {
		e.refreshedAt = time.Time{}
		e.failures, e.failure = 1, e.named(errNobody())
		e.settle(nil, e.failure)
	}
	e.log.Info("signed out", "account", e.account.Name)
	return nil
}

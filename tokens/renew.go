package tokens

import (
	"context"
	"time"
)

// Renew asks Entra ID for a token now, however good the one there is: whether it
// would still give one is known only then. For a person it redeems the refresh
// token, and asks nobody. It waits for a request under way rather than make a
// second one, and makes none while Entra ID wants to be left alone or only a
// person can help: that failure is the answer then. After a failure the token
// and the sign-in there are stay. The error is always an *Error; the status is
// what came of it.
func (b *Broker) Renew(ctx context.Context, account string) (Status, error) {
	e := b.entry(account)
	if e == nil {
		return Status{}, unknownAccount(account)
	}
	if failure := e.askNow(ctx); failure != nil {
		return e.status(), failure
	}
	return e.status(), nil
}

// askNow is fetchNow, but for the pauses that Entra ID has asked for.
func (e *entry) askNow(ctx context.Context) *Error {
	if failure := e.throttled(); failure != nil {
		return failure
	}
	return e.fetchNow(ctx)
}

// throttled returns the last failure while Entra ID wants to be left alone.
func (e *entry) throttled() *Error {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := time.Until(e.leaveAlone)
	if e.failure == nil || left <= 0 {
		return nil
	}
	failure := *e.failure
	failure.RetryAfter = left
	return &failure
}

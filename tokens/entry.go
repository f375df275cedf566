package tokens

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// requestTimeout bounds one request, however many sessions wait for it.
	requestTimeout = 30 * time.Second
	// patience is how long a session waits for a newer token while it could
	// use the one there is.
	patience = 5 * time.Second
	// replaceEvery is how often a refusal by the upstream may cost a request.
	replaceEvery = 5 * time.Minute
)

// entry is the token of one account and what it takes to keep it fresh.
type entry struct {
	account Account
	source  source
	person  *delegated // the source, where a person signs in; else nil
	log     *slog.Logger
	ctx     context.Context // the broker's: requests belong to it, not to a session
	flights *sync.WaitGroup // requests and sign-ins under way

	// held is nil until the first token, and after signing out.
	held atomic.Pointer[held]

	mu          sync.Mutex // never held during a request
	closed      bool
	signingIn   bool
	flight      *flight // the request under way; nil: none
	failures    int     // in a row
	failure     *Error  // the last one, while failures > 0
	notBefore   time.Time
	leaveAlone  time.Time // until then, as Entra ID wishes
	renewal     *time.Timer
	refreshedAt time.Time // when Entra ID last gave a token
	refusedAt   time.Time // when a refusal by the upstream last led to a request
	tended      time.Time // when the sign-in was last to be renewed by age
	renewals    uint64    // requests that have brought a token
	unrenewed   uint64    // requests that haven't
}

// flight is one token request. done is closed when it has landed; then either
// held or failure is set.
type flight struct {
	done    chan struct{}
	held    *held
	failure *Error
}

// token returns a token that is good now, renewed if it can be.
func (e *entry) token(ctx context.Context) (Token, error) {
	h := e.held.Load()
	switch h.stage(time.Now()) {
	case stageEnded:
		newer, failure := e.newer(ctx, h)
		if failure != nil {
			return Token{}, failure
		}
		h = newer
	case stageEnding:
		short, cancel := context.WithTimeout(ctx, min(patience, h.left(time.Now())/2))
		defer cancel()
		newer, failure := e.newer(short, h)
		switch {
		case failure == nil:
			h = newer
		case h.stage(time.Now()) == stageEnded:
			return Token{}, failure
		}
	case stageDue:
		e.begin(h)
	}
	return h.use(), nil
}

// newer waits for a token to replace old. The waiter may leave, the request
// goes on.
func (e *entry) newer(ctx context.Context, old *held) (*held, *Error) {
	f, failure := e.begin(old)
	if failure != nil {
		return nil, failure
	}
	return e.await(ctx, f)
}

func (e *entry) await(ctx context.Context, f *flight) (*held, *Error) {
	select {
	case <-f.done:
		return f.held, f.failure
	case <-ctx.Done():
		return nil, &Error{Class: TryLater, Account: e.account.Name, Text: "Entra ID didn't answer before the session gave up", Err: ctx.Err()}
	}
}

// begin makes sure that old is being replaced: it returns the request under
// way, or a new one, or one that has landed meanwhile. After a failure there
// is none for a while, and the failure is returned.
func (e *entry) begin(old *held) (*flight, *Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.beginLocked(old)
}

// beginLocked is begin for who holds mu.
func (e *entry) beginLocked(old *held) (*flight, *Error) {
	if e.flight != nil {
		return e.flight, nil
	}
	if h := e.held.Load(); h != nil && h != old {
		landed := &flight{done: make(chan struct{}), held: h}
		close(landed.done)
		return landed, nil
	}
	if e.closed {
		return nil, &Error{Class: TryLater, Account: e.account.Name, Text: "the program is shutting down", Err: context.Canceled}
	}
	if failure := e.blocked(); failure != nil {
		return nil, failure
	}
	e.flight = &flight{done: make(chan struct{})}
	e.flights.Add(1)
	go e.fetch(e.flight)
	return e.flight, nil
}

// blocked returns the last failure while no request may be made: until some
// time has passed or, where a person is needed, until that person has signed in.
func (e *entry) blocked() *Error {
	if e.failure == nil {
		return nil
	}
	failure := *e.failure
	if !e.waitsForPerson() {
		failure.RetryAfter = time.Until(e.notBefore)
		if failure.RetryAfter <= 0 {
			return nil
		}
	}
	return &failure
}

// waitsForPerson tells whether only a sign-in can help.
func (e *entry) waitsForPerson() bool {
	return e.person != nil && e.failure != nil && e.failure.Class == PersonNeeded
}

// fetch makes one request and lets everybody know how it went, unless a
// sign-in or sign-out has done so meanwhile.
func (e *entry) fetch(f *flight) {
	defer e.flights.Done()
	ctx, cancel := context.WithTimeout(e.ctx, requestTimeout)
	defer cancel()
	token, failure := e.source.fetch(ctx)

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.flight != f {
		return
	}
	now := time.Now()
	if failure == nil && !token.isOfUse(now) {
		failure = &Error{Class: TryLater, Text: "Entra ID sent an access token that was to end at " +
			token.Expires.Format(time.DateTime) + ": check this machine's clock"}
	}
	if failure == nil {
		e.settle(e.obtained(token, now), nil)
	} else {
		e.settle(nil, e.failed(failure, now))
	}
}

// settle ends the request under way, if there is one, and tells all who wait.
func (e *entry) settle(h *held, failure *Error) {
	f := e.flight
	if f == nil {
		return
	}
	e.flight = nil
	f.held, f.failure = h, failure
	close(f.done)
}

func (e *entry) obtained(token Token, now time.Time) *held {
	e.failures, e.failure, e.notBefore = 0, nil, time.Time{}
	e.refreshedAt = now.Round(0)
	e.renewals++
	h := e.keep(token, now)
	e.log.Info("access token obtained", "account", e.account.Name, "expires", h.Expires)
	return h
}

// keep makes the token the account's own and plans its renewal.
func (e *entry) keep(token Token, now time.Time) *held {
	h := newHeld(token, now)
	e.held.Store(h)
	e.renewAfter(h.left(now) - h.renewal)
	return h
}

func (e *entry) failed(failure *Error, now time.Time) *Error {
	e.failures++
	e.failure = e.named(failure)
	e.leaveAlone = now.Add(min(failure.RetryAfter, maxRetryAfter))
	var wait time.Duration // none where time doesn't help
	if !e.waitsForPerson() {
		wait = pause(failure, e.failures)
		e.notBefore = now.Add(wait)
	}
	failure.RetryAfter = wait
	if e.ctx.Err() != nil {
		return failure // shutting down: nobody's failure
	}
	e.unrenewed++
	e.log.Warn("no new access token", "account", e.account.Name, "reason", failure.Class.String(), "cause", failure.Text,
		"trace_id", failure.TraceID, "correlation_id", failure.CorrelationID, "retry_after_s", int(math.Ceil(wait.Seconds())))
	if wait > 0 && e.held.Load().left(now) > wait {
		e.renewAfter(wait)
	}
	return failure
}

// named says in the failure whose it is.
func (e *entry) named(failure *Error) *Error {
	failure.Account = e.account.Name
	return failure
}

// renewAfter sets the time of the next renewal in the background.
func (e *entry) renewAfter(wait time.Duration) {
	if e.closed {
		return
	}
	if e.renewal != nil {
		e.renewal.Stop()
	}
	e.renewal = time.AfterFunc(wait, e.renew)
}

// renew renews a token that is in use. One that nobody has used since it was
// obtained is left to end; whoever comes for it next starts renewing again.
func (e *entry) renew() {
	if h := e.held.Load(); h != nil && h.used.Load() {
		e.begin(h)
	}
}

// refused replaces a token that the upstream refused; see Broker.Refused.
func (e *entry) refused(ctx context.Context, token wire.Secret) *Error {
	f, failure := e.beginRefused(token)
	if f == nil {
		return failure
	}
	next, failure := e.await(ctx, f)
	if failure == nil && next.Value == token { // a machine in Azure keeps its tokens
		failure = &Error{Class: TryLater, Account: e.account.Name, Text: "Entra ID gave the same access token again"}
	}
	return failure
}

// beginRefused makes sure that a refused token is being replaced: it returns
// the request under way or a new one. There is none, and no failure, where the
// next token is there already or is what a session waits for.
func (e *entry) beginRefused(token wire.Secret) (*flight, *Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, now := e.held.Load(), time.Now()
	switch {
	case old == nil || old.Value != token:
		return nil, nil
	case e.flight != nil:
		return e.flight, nil
	case e.failure != nil: // asking goes on in the background
		failure := *e.failure
		return nil, &failure
	case !e.refusedAt.IsZero() && now.Sub(e.refusedAt) < replaceEvery:
		return nil, &Error{Class: TryLater, Account: e.account.Name, Text: "the upstream refused the access token before this one as well"}
	}
	e.refusedAt = now
	e.log.Info("the upstream refused the access token, asking for another one", "account", e.account.Name)
	return e.beginLocked(old)
}

// close stops renewing. It doesn't wait for a request under way.
func (e *entry) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.renewal != nil {
		e.renewal.Stop()
	}
}

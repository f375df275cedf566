package proxy

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// summaryEvery is how often the log tells of refusals that go on for the same
// cause. In between they are told at the level debug alone.
const summaryEvery = 10 * time.Minute

// repeats are the refusals of the logins' mailboxes, as far as their cause is
// not over: forty devices that try again and again make one line for the first,
// a summary now and then, and one for the end. Accounts, protocols and causes
// are closed lists: that bounds it.
type repeats struct {
	log *slog.Logger

	mu     sync.Mutex
	closed bool
	all    map[repeatKey]*repeat
}

// repeatKey is what refusals have in common. cause is the remedy's ID, or else
// the kind's name.
type repeatKey struct {
	refusalKey
	kind  Kind
	cause string
}

type repeat struct {
	since time.Time // the first refusal
	times int       // in all
	left  int       // of them those that no line has told of
	quiet bool      // there was none for summaryEvery
	last  *Failure
	timer *time.Timer
}

// RefusalLevel counts a refusal and is the level to log it at: debug for one of
// many.
func (s *Session) RefusalLevel(f *Failure) slog.Level {
	switch {
	case s.isMailboxes(f) && s.server.repeats.add(s.refusalKey(), f):
		return slog.LevelDebug
	case f.Kind == Internal:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// isMailboxes tells whether a refusal is about the mailbox, so that all its
// clients meet it, and not about this client alone.
func (s *Session) isMailboxes(f *Failure) bool { return s.Account != "" && !f.Kind.isClients() }

// isClients tells whether a refusal is about the client that meets it.
func (k Kind) isClients() bool {
	return slices.Contains([]Kind{BadCredentials, TLSRequired, TooManyAttempts, ShuttingDown}, k)
}

func (s *Session) refusalKey() refusalKey { return refusalKey{s.Account, s.Protocol()} }

// add counts a refusal, and tells whether it is one of many. What is about a
// client alone isn't counted.
func (r *repeats) add(key refusalKey, f *Failure) (isRepeat bool) {
	if f.Kind.isClients() {
		return false
	}
	full := repeatKey{key, f.Kind, f.cause()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	known := r.all[full]
	if known == nil {
		if r.all == nil {
			r.all = make(map[repeatKey]*repeat)
		}
		r.all[full] = &repeat{since: time.Now(), times: 1, last: f,
			timer: time.AfterFunc(summaryEvery, func() { r.sum(full) })}
		return false
	}
	known.times++
	if !f.again {
		known.last = f
	}
	if known.quiet {
		known.quiet = false
		known.timer.Reset(summaryEvery)
		return false
	}
	known.left++
	return true
}

// sum tells what has come since the last line, and waits for more.
func (r *repeats) sum(key repeatKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.all[key]
	if known == nil || r.closed {
		return
	}
	if known.quiet = known.left == 0; known.quiet {
		return
	}
	r.tell(key, known)
	known.timer.Reset(summaryEvery)
}

// tell writes a summary; r.mu is held.
func (r *repeats) tell(key repeatKey, known *repeat) {
	attrs := []any{"protocol", key.protocol, "account", key.account, "reason", key.kind.String(), "times", known.left,
		"since", known.since, "cause", known.last.Cause}
	known.left = 0
	r.log.Log(context.Background(), slog.LevelWarn, "still refused", append(attrs, known.last.Attributes(key.account)...)...)
}

// ended is for a login that has succeeded: what kept others out is over.
func (r *repeats) ended(account, protocol string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var since time.Time
	times := 0
	for key, known := range r.all {
		if key.refusalKey != (refusalKey{account, protocol}) || !key.kind.isMailboxes() {
			continue
		}
		known.timer.Stop()
		delete(r.all, key)
		times += known.times
		if since.IsZero() || known.since.Before(since) {
			since = known.since
		}
	}
	if times > 0 {
		r.log.Info("works again", "protocol", protocol, "account", account, "times", times, "since", since)
	}
}

// isMailboxes tells whether a login that succeeds shows that such a cause is
// over.
func (k Kind) isMailboxes() bool {
	return slices.Contains([]Kind{SignInRequired, TokenUnavailable, UpstreamRefused, UpstreamProtocol, UpstreamUnreachable}, k)
}

// close tells what has not been told.
func (r *repeats) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for key, known := range r.all {
		known.timer.Stop()
		if known.left > 0 {
			r.tell(key, known)
		}
	}
}

// cause is a name for what is behind the failure, as far as it is known.
func (f *Failure) cause() string {
	if f.Remedy.IsZero() {
		return f.Kind.String()
	}
	return f.Remedy.ID
}

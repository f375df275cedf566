package proxy

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"time"

	"oauthproxy/accounts"
)

const (
	// freeFailures of a login at a client have no consequence: a person
	// mistypes, and a few programs try a wrong password at once.
	freeFailures = 5
	// freeNames are the logins that may fail at one client before all that
	// are not known there have to wait: a guess at many names. Single devices
	// with a wrong password delay nobody else behind the same address.
	freeNames = 10
	// A login is known at a client for knownFor after its last success.
	knownFor = time.Hour
	maxKnown = 4096
	// turnPatience is how long an attempt waits for its turn after earlier
	// failures. With verifyTimeout and openTimeout it makes a minute, the
	// time that clients wait for the answer to their credentials.
	turnPatience = 30 * time.Second
	// maxAhead is what a client may say while it waits.
	maxAhead = 4 << 10
)

// guard slows down the guessing of passwords. An attempt waits before it is
// looked at, right or wrong, so that no time spent tells which it was. Failures
// count for the login at this client, and for the client where they are of many
// logins: nobody who guesses from one address delays another.
type guard struct {
	seed    maphash.Seed
	logins  *gates[loginAt]
	clients *gates[netip.Prefix]
	known   *notebook[loginAt, time.Time]
}

// loginAt is a user name, known or not, as one client shows it.
type loginAt struct {
	name   uint64 // its hash: names are as long as a client likes
	client netip.Prefix
}

func newGuard() guard {
	return guard{
		seed:    maphash.MakeSeed(),
		logins:  newGates[loginAt](freeFailures, false),
		clients: newGates[netip.Prefix](freeNames, true),
		known:   newNotebook[loginAt, time.Time](maxKnown),
	}
}

func (g *guard) key(user string, address netip.Addr) loginAt {
	return loginAt{maphash.String(g.seed, accounts.FoldUser(user)), accounts.ClientOf(address)}
}

// turn is the right to have one attempt looked at.
type turn struct {
	guard  *guard
	at     loginAt
	shared bool // the client's turn too
}

// enter waits for the attempt's turn. Whoever has the client's turn waits for
// nobody's login, so that nobody waits for himself.
func (g *guard) enter(at loginAt, p patience) (*turn, error) {
	if err := g.logins.enter(at, p); err != nil {
		return nil, err
	}
	t := &turn{guard: g, at: at, shared: !g.knows(at)}
	if !t.shared {
		return t, nil
	}
	if err := g.clients.enter(at.client, p); err != nil {
		g.logins.leave(at)
		return nil, err
	}
	return t, nil
}

func (g *guard) knows(at loginAt) bool {
	last, ok := g.known.read(at)
	return ok && time.Since(last) < knownFor
}

// end gives the turn back. err is what has come of the attempt: only a refusal
// is a failure. A success forgets those of the login, and not those of the
// client: who guesses may have a login of his own.
func (t *turn) end(err error) {
	g := t.guard
	if t.shared {
		if errors.Is(err, accounts.ErrRefused) {
			g.clients.fail(t.at.client, t.at.name)
		}
		g.clients.leave(t.at.client)
	}
	switch {
	case err == nil:
		g.logins.succeed(t.at)
		g.known.write(t.at, func(last *time.Time) { *last = time.Now() })
	case errors.Is(err, accounts.ErrRefused):
		g.logins.fail(t.at, t.at.name)
	}
	g.logins.leave(t.at)
}

// turn waits for the turn of an attempt, as long as the client is there and the
// session need not make way.
func (s *Session) turn(user string) (*turn, *Failure) {
	g := &s.server.guard
	at := g.key(user, s.address)
	if t, err := g.enter(at, patience{}); err == nil {
		return t, nil
	}
	s.setPhase("waiting because of earlier failures")
	until := time.Now().Add(turnPatience)
	if end := s.started.Add(loginTimeout); end.Before(until) {
		until = end
	}
	for {
		away := s.Client.Watch()
		t, err := g.enter(at, patience{until, away})
		_, gone := s.Client.Unwatch()
		if err == nil {
			return t, nil
		}
		if failure := s.notItsTurn(err, gone); failure != nil {
			return nil, failure
		}
	}
}

// notItsTurn says why the wait is over; nil: the client has only said something
// more, and goes on waiting.
func (s *Session) notItsTurn(err, gone error) *Failure {
	switch {
	case s.Client.Interrupted() && s.server.stopping():
		s.Client.Farewell(time.Second)
		return &Failure{Kind: ShuttingDown, Cause: errAway}
	case s.Client.Interrupted(), gone != nil:
		s.Client.Farewell(time.Second)
		return &Failure{Kind: Busy, Cause: errAway}
	case errors.Is(err, errAway) && s.Client.Ahead() < maxAhead:
		return nil
	}
	return &Failure{Kind: Busy, Text: "too many failed logins from this address, try again in a minute", Cause: errPatience}
}

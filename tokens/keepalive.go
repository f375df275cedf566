package tokens

import (
	"context"
	"time"
)

const (
	// tendEvery is how often the broker looks after the sign-ins.
	tendEvery = 10 * time.Minute
	// tendAtMost is how many sign-ins it renews each time, so that thousands
	// which are due at once don't become a storm.
	tendAtMost = 20
	// tendPause is how long it leaves an account alone whose sign-in couldn't
	// be renewed. There are weeks to try in.
	tendPause = time.Hour
)

// takeUpSignIns loads what people have signed in for, but for the entries that
// were there before, and looks after it until the broker closes.
func (b *Broker) takeUpSignIns(before []*entry) {
	known := make(map[*entry]bool, len(before))
	for _, e := range before {
		known[e] = true
	}
	hasPersons := false
	for _, e := range b.all() {
		if e.person != nil {
			hasPersons = true
			if !known[e] {
				e.takeUp()
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if hasPersons && !b.tending {
		b.tending = true
		b.flights.Go(func() { b.tendUntil(b.ctx) })
	}
}

func (b *Broker) tendUntil(ctx context.Context) {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			b.tend(time.Now())
		}
	}
}

// tend saves what couldn't be saved, and renews the sign-ins that are due by
// their age, whether anybody uses them or not.
func (b *Broker) tend(now time.Time) {
	renewals := 0
	for _, e := range b.all() {
		e.saveAgain()
		if renewals < tendAtMost && e.isDue(now) {
			renewals++
			_, _ = e.begin(e.held.Load()) // a failure is logged, and is in the status
		}
	}
}

// takeUp begins with the sign-in in the store, and with its access token if
// that is still good: after a restart nobody has to wait for Entra ID.
func (e *entry) takeUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	in, failure := e.person.load()
	if failure != nil {
		e.failures, e.failure = 1, e.named(failure)
		if failure.Err != nil {
			e.log.Error("stored sign-in not taken up", "account", e.account.Name, "cause", failure.Err)
		}
		return
	}
	e.refreshedAt = in.RefreshedAt
	if token, found := e.person.stored(in); found {
		e.keep(token, time.Now())
	}
}

// isDue tells whether to renew the sign-in now, and remembers having said so.
func (e *entry) isDue(now time.Time) bool {
	if e.person == nil || !e.person.isDue(now) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waitsForPerson() || now.Sub(e.tended) < tendPause {
		return false
	}
	e.tended = now
	return true
}

func (e *entry) saveAgain() {
	if e.person != nil {
		e.person.saveAgain()
	}
}

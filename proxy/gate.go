package proxy

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// failureMemory is how long a failure counts.
	failureMemory = 10 * time.Minute
	// maxGates bounds the gates whose failures are remembered, of each sort:
	// those that have failed least recently are forgotten.
	maxGates = 4096
)

// pauses follow a failure, from the first one that isn't free on. The longest
// leaves room for the rest of a login within a client's minute.
var pauses = [...]time.Duration{
	1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 25 * time.Second,
}

// Errors of waiting at a gate.
var (
	errPatience = errors.New("its turn after earlier failures did not come in time")
	errAway     = errors.New("ended while waiting for its turn after earlier failures")
)

// patience bounds the wait at a gate: it ends at a time, and when away is
// closed. The zero value doesn't wait at all.
type patience struct {
	until time.Time
	away  <-chan struct{}
}

// gates let attempts by: those with the same key one after the other, in the
// order in which they came, and with a pause behind each failure but the first
// few.
type gates[K comparable] struct {
	free   int  // failures that no pause follows, one at least
	byName bool // the failures of one name count as one

	mu     sync.Mutex
	all    map[K]*gate
	failed list.List // of K: the gates with failures, the latest at the back
}

// gate stands for one key, as long as somebody is at it or it has failures.
type gate struct {
	turn   chan struct{} // full while an attempt is let by
	users  int           // waiting or let by
	recent []failedTry   // the latest at the end
	place  *list.Element // in failed; nil without failures
}

type failedTry struct {
	name uint64
	at   time.Time
}

func newGates[K comparable](free int, byName bool) *gates[K] {
	return &gates[K]{free: free, byName: byName, all: make(map[K]*gate)}
}

// enter waits for its turn, which lasts until leave. The error is errPatience
// or errAway, and then there is no turn.
func (g *gates[K]) enter(key K, p patience) error {
	own := g.approach(key)
	if err := p.take(own.turn); err != nil {
		g.depart(key, own)
		return err
	}
	if err := p.sleep(time.Until(g.due(own))); err != nil {
		g.leave(key)
		return err
	}
	return nil
}

// leave ends a turn.
func (g *gates[K]) leave(key K) {
	g.mu.Lock()
	own := g.all[key]
	g.mu.Unlock()
	<-own.turn
	g.depart(key, own)
}

func (g *gates[K]) approach(key K) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.all[key]
	if own == nil {
		own = &gate{turn: make(chan struct{}, 1)}
		g.all[key] = own
	}
	own.users++
	return own
}

func (g *gates[K]) depart(key K, own *gate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own.users--
	g.drop(key, own)
}

// drop forgets a gate that nobody needs.
func (g *gates[K]) drop(key K, own *gate) {
	if own.users == 0 && own.place == nil {
		delete(g.all, key)
	}
}

// fail notes the failure of the attempt whose turn it is.
func (g *gates[K]) fail(key K, name uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own, now := g.all[key], time.Now()
	own.recent = slices.DeleteFunc(own.recent, func(f failedTry) bool {
		return now.Sub(f.at) >= failureMemory || g.byName && f.name == name
	})
	own.recent = append(own.recent, failedTry{name, now})
	if len(own.recent) > g.free+len(pauses) { // more make no difference
		own.recent = slices.Delete(own.recent, 0, 1)
	}
	if own.place != nil {
		g.failed.MoveToBack(own.place)
		return
	}
	own.place = g.failed.PushBack(key)
	if g.failed.Len() > maxGates {
		key := g.failed.Front().Value.(K)
		g.forget(key, g.all[key])
	}
}

// succeed forgets the failures behind the attempt whose turn it is.
func (g *gates[K]) succeed(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(key, g.all[key])
}

func (g *gates[K]) forget(key K, own *gate) {
	own.recent = nil
	if own.place != nil {
		g.failed.Remove(own.place)
		own.place = nil
	}
	g.drop(key, own)
}

// due is when the attempt whose turn it is may be let by.
func (g *gates[K]) due(own *gate) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	count := 0
	for _, f := range own.recent {
		if time.Since(f.at) < failureMemory {
			count++
		}
	}
	if count < g.free {
		return time.Time{}
	}
	last := own.recent[len(own.recent)-1].at
	return last.Add(pauses[min(count-g.free, len(pauses)-1)])
}

// take waits for room in the turn. Those who wait get it in their order.
func (p patience) take(turn chan<- struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(p.until))
	defer timer.Stop()
	select {
	case turn <- struct{}{}:
		return nil
	case <-p.away:
		return errAway
	case <-timer.C:
		return errPatience
	}
}

// sleep waits for d, if there is patience for that.
func (p patience) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	left := time.Until(p.until)
	timer := time.NewTimer(min(d, left))
	defer timer.Stop()
	select {
	case <-p.away:
		return errAway
	case <-timer.C:
	}
	if left < d {
		return errPatience
	}
	return nil
}

package proxy

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// refusalMemory is how long a refusal, or one that silence led to, is
	// given again without asking, so that forty retrying scanners don't
	// become forty attempts.
	refusalMemory = 10 * time.Second
	// maxBackoff bounds the time for which the mail server can have us keep
	// away: Exchange asks for five minutes at the most (reported).
	maxBackoff = 5 * time.Minute
)

// Refusal is the last thing that has gone wrong between us and an account's
// mail server: a login refused, a session ended.
type Refusal struct {
	Protocol string
	At       time.Time
	// Until is when it is asked again; logins before get the same answer.
	// Zero: there is no pause.
	Until time.Time
	// Text says what it was and what to do, in plain words.
	Text string
}

// refusals are the last ones of each account and protocol, until a login
// succeeds.
type refusals struct {
	mu   sync.Mutex
	last map[refusalKey]refusal
}

type refusalKey struct{ account, protocol string }

type refusal struct {
	failure   *Failure
	at, until time.Time
}

// note keeps a failure, to be given again for a while, or for as long as the
// mail server asks, and returns what to tell the client.
func (r *refusals) note(key refusalKey, f *Failure, again time.Duration) *Failure {
	now := time.Now()
	if f.RetryAfter > 0 {
		again = min(f.RetryAfter, maxBackoff)
		f = f.waiting(again)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make(map[refusalKey]refusal)
	}
	r.last[key] = refusal{failure: f, at: now, until: now.Add(again)}
	return f
}

// forget is for a login that has succeeded.
func (r *refusals) forget(key refusalKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, key)
}

// again returns the failure that is to be given again without asking, or nil.
func (r *refusals) again(key refusalKey) *Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.last[key]
	left := time.Until(last.until)
	if !ok || left <= 0 {
		return nil
	}
	again := *last.failure
	again.again = true
	again.Cause = fmt.Errorf("not asked again within %v: %w", last.until.Sub(last.at), last.failure.Cause)
	if again.RetryAfter > 0 {
		return again.waiting(left)
	}
	return &again
}

// waiting returns the failure with the time that the client should wait.
func (f *Failure) waiting(wait time.Duration) *Failure {
	waiting := *f
	waiting.RetryAfter = wait
	waiting.Text = fmt.Sprintf("the mail server asks for a pause, try again in %d seconds", int(math.Ceil(wait.Seconds())))
	return &waiting
}

// of returns an account's refusals, by protocol.
func (r *refusals) of(account string) []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Refusal
	for key, last := range r.last {
		if key.account != account {
			continue
		}
		refusal := Refusal{Protocol: key.protocol, At: last.at, Text: last.failure.forPeople(account)}
		if last.until.After(last.at) {
			refusal.Until = last.until
		}
		all = append(all, refusal)
	}
	slices.SortFunc(all, func(a, b Refusal) int { return cmp.Compare(a.Protocol, b.Protocol) })
	return all
}

// forPeople says what it was and what to do, in plain words where there are
// any.
func (f *Failure) forPeople(account string) string {
	if f.Remedy.IsZero() {
		return f.Error()
	}
	r := f.Remedy.Fill(map[string]string{"mailbox": account})
	return fmt.Sprintf("%s: %s (%s)", r.Says, r.Advice(), f.Error())
}

var backoffForm = regexp.MustCompile(`(?i)suggested backoff time: (\d{1,9}) milliseconds`)

// Backoff finds how long Exchange asks to be left alone ("Request is throttled.
// Suggested Backoff Time: 92415 milliseconds"); 0: it doesn't.
func Backoff(text string) time.Duration {
	m := backoffForm.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	milliseconds, _ := strconv.Atoi(m[1]) // nine digits fit
	return time.Duration(milliseconds) * time.Millisecond
}

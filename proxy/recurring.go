package proxy

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"oauthproxy/accounts"
)

const (
	// refusalsEvery is how often refusals of one sort are told.
	refusalsEvery = time.Minute
	// maxRecurring bounds the sorts that are told apart.
	maxRecurring = 1000
)

// recurring keeps refusals that come again and again out of the log: the first
// has a line of its own, and then one line a minute tells how many more there
// were.
type recurring struct {
	log *slog.Logger

	mu    sync.Mutex
	sorts map[refusalSort]*recurrence
	over  bool
}

// refusalSort is what makes refusals the same. The zero value stands for all
// that find no room.
type refusalSort struct {
	client          netip.Prefix
	protocol, login string
	kind            Kind
}

// recurrence is what has not been told yet of a sort.
type recurrence struct {
	times int
	last  []any // attributes
	timer *time.Timer
}

func newRecurring(log *slog.Logger) recurring {
	return recurring{log: log, sorts: make(map[refusalSort]*recurrence)}
}

// isNew tells whether a refusal is to have a line of its own; else it is
// counted.
func (r *recurring) isNew(s *Session, login string, f *Failure) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	sort := refusalSort{accounts.ClientOf(s.address), s.Protocol(), login, f.Kind}
	known := r.sorts[sort]
	switch {
	case r.over:
		return true
	case known == nil && len(r.sorts) < maxRecurring:
		r.begin(sort)
		return true
	case known == nil:
		known = r.sorts[refusalSort{}]
		if known == nil {
			known = r.begin(refusalSort{})
		}
	}
	known.times++
	known.last = append([]any{"client", s.address, "login", login, "session", s.ID,
		"reason", f.Kind.String(), "cause", f.Cause}, f.Attributes(s.Account)...)
	return false
}

func (r *recurring) begin(sort refusalSort) *recurrence {
	one := &recurrence{timer: time.AfterFunc(refusalsEvery, func() { r.minute(sort) })}
	r.sorts[sort] = one
	return one
}

// minute tells of a sort, or forgets it if there is nothing to tell.
func (r *recurring) minute(sort refusalSort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.sorts[sort]
	if r.over {
		return
	}
	if one.times == 0 {
		delete(r.sorts, sort)
		return
	}
	r.tell(sort, one)
	one.timer.Reset(refusalsEvery)
}

func (r *recurring) tell(sort refusalSort, one *recurrence) {
	attrs := []any{"times", one.times}
	if sort == (refusalSort{}) {
		attrs = append(attrs, "summary", "many more clients and logins")
	} else {
		attrs = append(attrs, "protocol", sort.protocol)
	}
	r.log.Warn("refused again", append(attrs, one.last...)...)
	one.times, one.last = 0, nil
}

// stop tells what is left.
func (r *recurring) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for sort, one := range r.sorts {
		one.timer.Stop()
		if one.times > 0 {
			r.tell(sort, one)
		}
	}
	clear(r.sorts)
}

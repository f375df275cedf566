package tokens

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// renewAhead is how long before its end a token is renewed, at least; a
	// fifth of its life if that is longer.
	renewAhead = 10 * time.Minute
	// closeToEnd is when a session no longer starts with the token if a newer
	// one can be had: an upstream may check it again a little later.
	closeToEnd = 5 * time.Minute
)

// stage is how far a token's life has gone.
type stage int

const (
	stageFresh  stage = iota
	stageDue          // good, and to be renewed in the background
	stageEnding       // good, but better renewed before it is used
	stageEnded
)

// held is a token in the broker's hands.
type held struct {
	Token
	// end is Expires by the monotonic clock. Expires itself is wall clock
	// alone. The earlier one counts: the wall clock goes on while a laptop
	// sleeps, the monotonic one while somebody corrects the time.
	end time.Time
	// renewal and ending are how long before the end those stages begin.
	renewal, ending time.Duration
	// used tells whether anybody got this token since it was obtained.
	used atomic.Bool
}

// newHeld starts the token's life. Tokens that live shorter than renewAhead
// are renewed at half time, else they would be renewed without end.
func newHeld(token Token, now time.Time) *held {
	token.Expires = token.Expires.Round(0) // drops the monotonic clock
	if token.Obtained.IsZero() {
		token.Obtained = now.Round(0)
	}
	life := token.Expires.Sub(now.Round(0))
	renewal := min(max(renewAhead, life/5), life/2)
	return &held{
		Token: token,
		end:   now.Add(life),
		// The jitter keeps a hundred accounts that started together apart.
		renewal: renewal + jitter(renewal/4),
		ending:  min(closeToEnd, renewal/2),
	}
}

// hasEnded goes by the wall clock, like Expires.
func hasEnded(token Token, now time.Time) bool {
	return !token.Expires.Round(0).After(now.Round(0))
}

// left is how long the token lives on; nothing held has ended.
func (h *held) left(now time.Time) time.Duration {
	if h == nil {
		return 0
	}
	return min(h.Expires.Sub(now), h.end.Sub(now))
}

func (h *held) stage(now time.Time) stage {
	left := h.left(now)
	switch {
	case left <= 0:
		return stageEnded
	case left <= h.ending:
		return stageEnding
	case left <= h.renewal:
		return stageDue
	}
	return stageFresh
}

// use hands the token out.
func (h *held) use() Token {
	if !h.used.Load() { // a plain read keeps the cache line shared
		h.used.Store(true)
	}
	return h.Token
}

// jitter returns a random duration below most.
func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}

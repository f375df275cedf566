package smtp

import "time"

// bucket is a token bucket. A rate.Limiter of x/time can't take back a token
// whose time has come, and a message that isn't sent after all has had one.
type bucket struct {
	size     float64       // tokens in a full one
	interval time.Duration // in which a token comes
	tokens   float64       // at the time
	at       time.Time
}

// newBucket returns a full bucket for so many tokens a minute, all at once if
// need be.
func newBucket(perMinute int) *bucket {
	return &bucket{
		size:     float64(perMinute),
		interval: time.Minute / time.Duration(perMinute),
		tokens:   float64(perMinute),
		at:       time.Now(),
	}
}

// left returns how many tokens there are now.
func (b *bucket) left() float64 {
	now := time.Now()
	b.tokens = min(b.size, b.tokens+float64(now.Sub(b.at))/float64(b.interval))
	b.at = now
	return b.tokens
}

// wait returns how long it takes until there are n tokens; 0 or less: there are.
func (b *bucket) wait(n int) time.Duration {
	return time.Duration((float64(n) - b.left()) * float64(b.interval))
}

// take takes a token, and put puts one back.
func (b *bucket) take() { b.tokens = b.left() - 1 }
func (b *bucket) put()  { b.tokens = min(b.size, b.left()+1) }

package tokens

import "time"

const (
	firstPause = time.Second
	maxPause   = time.Minute
	// repairPause is for what people repair: short, so that a new client
	// secret is found soon; they can't tell us when they are done.
	repairPause = time.Minute
	// maxRetryAfter bounds what a server may ask for.
	maxRetryAfter = 10 * time.Minute
)

// pause is how long no token is asked for after the given number of failures
// in a row.
func pause(failure *Error, failures int) time.Duration {
	wait := repairPause
	if failure.Class == TryLater {
		wait = maxPause
		if doublings := failures - 1; doublings < 6 { // 2^6 s is over maxPause
			wait = firstPause << doublings
		}
	}
	wait = max(wait, min(failure.RetryAfter, maxRetryAfter))
	return wait + jitter(wait/10)
}

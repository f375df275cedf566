package tokens

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

const (
	life = 75 * time.Minute // Entra ID's average
	// renewed is when a token of that life has certainly been renewed: that
	// begins 15 minutes before its end, or with jitter up to 18:45.
	renewed = life - 15*time.Minute
)

// numbered grants token-1, token-2, and so on.
func numbered(e *entra, seconds int) {
	count := 0
	e.answer(func(w http.ResponseWriter, r *http.Request) {
		count++
		grant(fmt.Sprintf("token-%d", count), seconds)(w, r)
	})
}

// inVirtualTime runs a test with a broker whose account gets numbered tokens.
func inVirtualTime(t *testing.T, test func(t *testing.T, e *entra, b *Broker)) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		numbered(e, int(life/time.Second))
		b := newTestBroker(t, e, e.client(), &logBuffer{})
		defer b.Close()
		test(t, e, b)
	})
}

func wantRequests(t *testing.T, e *entra, want int) {
	t.Helper()
	synctest.Wait()
	if got := e.requests(); got != want {
		t.Fatalf("%d token requests, want %d", got, want)
	}
}

// sleepUntilDue sleeps until the token's renewal is due, and a little more or less.
func sleepUntilDue(b *Broker, more time.Duration) {
	h := b.entries[testAccount].held.Load()
	time.Sleep(h.left(time.Now()) - h.renewal + more)
}

func TestRenewedAheadWhileInUse(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		for i := range 5 {
			wantToken(t, b, fmt.Sprintf("token-%d", i+1))
			sleepUntilDue(b, -time.Nanosecond)
			wantRequests(t, e, i+1)
			time.Sleep(time.Nanosecond)
			wantRequests(t, e, i+2) // nobody waited for it
		}
	})
}

func TestNotRenewedWhileUnused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		time.Sleep(renewed)
		wantRequests(t, e, 2)
		time.Sleep(renewed) // token-2 was given to nobody
		wantRequests(t, e, 2)
		wantToken(t, b, "token-2") // still good, and renewed behind our back
		wantRequests(t, e, 3)
		wantToken(t, b, "token-3")
		time.Sleep(renewed)
		wantRequests(t, e, 4) // in use again
		time.Sleep(24 * time.Hour)
		wantRequests(t, e, 4)
		wantToken(t, b, "token-5") // token-4 has long ended
	})
}

func TestOutageServesTheOldToken(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		e.answer(plain(http.StatusServiceUnavailable, "down"))
		time.Sleep(renewed)
		synctest.Wait()
		outage := e.requests()
		if outage < 2 {
			t.Fatal("no renewal was tried")
		}
		for range 14 { // the last minute before the end included
			time.Sleep(time.Minute)
			wantToken(t, b, "token-1")
		}
		if tried := e.requests() - outage; tried < 10 || tried > 30 {
			t.Errorf("%d requests in 14 minutes", tried)
		}
		time.Sleep(time.Minute)
		wantFailure(t, t.Context(), b, TryLater, "Entra ID has a fault (status 503)")
		e.answer(grant("afterwards", 4500))
		time.Sleep(maxPause + maxPause/10)
		wantToken(t, b, "afterwards")
	})
}

// A renewal that fails in the background is tried again there.
func TestRenewalIsRetriedInTheBackground(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		e.answer(plain(http.StatusServiceUnavailable, "down"))
		time.Sleep(renewed)
		e.answer(grant("token-2", 4500))
		time.Sleep(maxPause + maxPause/10)
		requests := e.requests()
		wantToken(t, b, "token-2")
		wantRequests(t, e, requests)
	})
}

// Near its end a token is renewed before it is handed out, but nobody waits
// long for that while the old one is good.
func TestNearTheEnd(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		time.Sleep(renewed)
		wantRequests(t, e, 2)
		time.Sleep(life - closeToEnd) // token-2 was unused and is near its end
		wantToken(t, b, "token-3")

		time.Sleep(renewed) // token-4 comes, and stays unused
		wantRequests(t, e, 4)
		e.answer(hang)
		time.Sleep(life - closeToEnd)
		start := time.Now()
		wantToken(t, b, "token-4")
		if took := time.Since(start); took != patience {
			t.Errorf("waited %v", took)
		}
		time.Sleep(requestTimeout) // that request has failed
		start = time.Now()
		wantToken(t, b, "token-4")
		if took := time.Since(start); took > patience {
			t.Errorf("waited %v", took)
		}
		time.Sleep(closeToEnd)
		wantFailure(t, t.Context(), b, TryLater, "no answer in time")
	})
}

// In the last seconds of its life a token isn't waited to death.
func TestLastSeconds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		time.Sleep(renewed)
		wantRequests(t, e, 2)
		e.answer(hang)
		h := b.entries[testAccount].held.Load()
		time.Sleep(h.left(time.Now()) - patience/2)
		start := time.Now()
		wantToken(t, b, "token-2")
		if took := time.Since(start); took != patience/4 {
			t.Errorf("waited %v", took)
		}
	})
}

func TestShortLivedTokens(t *testing.T) {
	for _, seconds := range []int{11, 30, 299, 600} {
		t.Run(fmt.Sprintf("%d seconds", seconds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEntra()
				numbered(e, seconds)
				b := newTestBroker(t, e, e.client(), &logBuffer{})
				defer b.Close()
				lives := time.Duration(seconds) * time.Second
				for range 20 {
					wantToken(t, b, "token-1")
					time.Sleep(lives / 1000)
				}
				wantRequests(t, e, 1)
				time.Sleep(lives)
				wantRequests(t, e, 2) // renewed once; nobody used that one
			})
		})
	}
}

// Tokens that would be asked for again at once are no tokens.
func TestTokenThatEndsAtOnce(t *testing.T) {
	for _, seconds := range []int{-60, 0, 1, 10} {
		t.Run(fmt.Sprintf("%d seconds", seconds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEntra()
				e.answer(grant(testToken, seconds))
				b := newTestBroker(t, e, e.client(), &logBuffer{})
				defer b.Close()
				wantFailure(t, t.Context(), b, TryLater, "was to end at")
				wantFailure(t, t.Context(), b, TryLater, "check this machine's clock")
				wantRequests(t, e, 1)
			})
		})
	}
}

func TestBackOff(t *testing.T) {
	tests := []struct {
		name     string
		answer   http.HandlerFunc
		failures int
		min      time.Duration // and at most a tenth more
	}{
		{"first fault", plain(503, ""), 1, time.Second},
		{"second fault", plain(503, ""), 2, 2 * time.Second},
		{"sixth fault", plain(503, ""), 6, 32 * time.Second},
		{"seventh fault", plain(503, ""), 7, time.Minute},
		{"hundredth fault", plain(503, ""), 100, time.Minute},
		{"throttled", plain(429, "Too Many Requests", "Retry-After", "90"), 1, 90 * time.Second},
		{"throttled, by date", func(w http.ResponseWriter, r *http.Request) {
			plain(429, "", "Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))(w, r)
		}, 1, 90 * time.Second},
		{"throttled, no time given", plain(429, "Too Many Requests"), 1, time.Second},
		{"throttled, for years", plain(429, "", "Retry-After", "99999999999"), 1, maxRetryAfter},
		{"throttled, for longer than a number", plain(429, "", "Retry-After", "99999999999999999999999"), 1, maxRetryAfter},
		{"throttled, nonsense", plain(429, "", "Retry-After", "soon"), 1, time.Second},
		{"throttled, in the past", plain(429, "", "Retry-After", "-5"), 1, time.Second},
		{"throttled for less than our own pause", plain(503, "", "Retry-After", "1"), 7, time.Minute},
		{"set-up wrong", refusal(401, "invalid_client", 7000215, "Invalid client secret provided."), 1, time.Minute},
		{"set-up wrong again", refusal(401, "invalid_client", 7000215, "Invalid client secret provided."), 9, time.Minute},
		{"administrator", refusal(400, "invalid_grant", 53003, "Blocked by Conditional Access."), 1, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
				e.answer(test.answer)
				var failure *Error
				for range test.failures {
					if failure != nil {
						time.Sleep(failure.RetryAfter)
					}
					_, err := b.Token(t.Context(), testAccount)
					failure = err.(*Error)
				}
				wantRequests(t, e, test.failures)
				if failure.RetryAfter < test.min || failure.RetryAfter > test.min*11/10 {
					t.Errorf("pauses %v, want %v", failure.RetryAfter, test.min)
				}
				wantNoRequestWithin(t, e, b, failure)
				e.answer(grant("afterwards", 4500))
				time.Sleep(failure.RetryAfter)
				wantToken(t, b, "afterwards")
			})
		})
	}
}

// A success ends a series of failures: the next one begins with a short pause.
func TestSuccessEndsTheBackOff(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		for range 3 {
			e.answer(plain(503, ""))
			failure := wantFailure(t, t.Context(), b, TryLater, "")
			if failure.RetryAfter > 2*firstPause {
				t.Errorf("pauses %v", failure.RetryAfter)
			}
			time.Sleep(failure.RetryAfter)
			e.answer(grant("token", 4500))
			wantToken(t, b, "token")
			time.Sleep(life + time.Hour)
		}
	})
}

// A session that saw the old token before it was replaced takes the new one.
func TestLateForTheRequest(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		newer, failure := b.entries[testAccount].newer(t.Context(), nil) // nil: it saw none
		if failure != nil || newer.Value.Reveal() != "token-1" {
			t.Errorf("got %v", failure)
		}
		wantRequests(t, e, 1)
	})
}

// wantNoRequestWithin: while the pause lasts the failure is repeated at once,
// with the time that remains.
func wantNoRequestWithin(t *testing.T, e *entra, b *Broker, failure *Error) {
	t.Helper()
	requests, start := e.requests(), time.Now()
	again := wantFailure(t, t.Context(), b, failure.Class, failure.Text)
	if again.RetryAfter != failure.RetryAfter {
		t.Errorf("%v remain of %v at once", again.RetryAfter, failure.RetryAfter)
	}
	time.Sleep(failure.RetryAfter / 2)
	again = wantFailure(t, t.Context(), b, failure.Class, failure.Text)
	if again.RetryAfter != failure.RetryAfter-failure.RetryAfter/2 {
		t.Errorf("%v remain of %v at half time", again.RetryAfter, failure.RetryAfter)
	}
	if took := time.Since(start); took != failure.RetryAfter/2 {
		t.Errorf("a session waited: %v", took)
	}
	time.Sleep(-time.Since(start.Add(failure.RetryAfter)) - time.Nanosecond)
	wantFailure(t, t.Context(), b, failure.Class, failure.Text)
	wantRequests(t, e, requests)
}

func TestEndThatCannotBeTrue(t *testing.T) {
	now := time.Now().Unix()
	tests := map[string]struct {
		answer map[string]any
		lives  time.Duration
	}{
		"milliseconds":                    {map[string]any{"expires_on": now * 1000}, assumedLife},
		"milliseconds as text":            {map[string]any{"expires_on": fmt.Sprint(now * 1000)}, assumedLife},
		"milliseconds beside a good life": {map[string]any{"expires_on": now * 1000, "expires_in": 3600}, assumedLife},
		"years":                           {map[string]any{"expires_in": 1e8}, assumedLife},
		"a day":                           {map[string]any{"expires_in": 86400}, 24 * time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEntra()
			e.answer(func(w http.ResponseWriter, _ *http.Request) {
				test.answer["token_type"], test.answer["access_token"] = "Bearer", testToken
				answerJSON(w, http.StatusOK, test.answer)
			})
			b := newTestBroker(t, e, e.client(), &logBuffer{})
			wantToken(t, b, testToken)
			status, _ := b.Account(testAccount)
			if lives := time.Until(status.TokenExpires); lives > test.lives || lives < test.lives-time.Minute {
				t.Errorf("lives for %v, want %v", lives, test.lives)
			}
		})
	}
}

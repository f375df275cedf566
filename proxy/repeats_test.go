package proxy

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/remedy"
)

// TestRepeats: each cause of an account and protocol has a line, a summary while
// it goes on, and one when it comes back after a pause; what is about the client
// alone is told every time.
func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := repeats{log: slog.New(slog.NewTextHandler(&log, nil))}
		alice, bob := refusalKey{"alice", "imap"}, refusalKey{"bob", "imap"}
		outage := &Failure{Kind: TokenUnavailable, Cause: errors.New("down")}
		refused := &Failure{Kind: UpstreamRefused, Cause: errors.New("no"), Remedy: remedy.Named("not-connected")}
		other := &Failure{Kind: UpstreamRefused, Cause: errors.New("no, but otherwise")}
		step := func(name string, key refusalKey, f *Failure, isRepeat bool, lines int) {
			t.Helper()
			synctest.Wait() // for a summary that is due
			if got := r.add(key, f); got != isRepeat {
				t.Errorf("%s: it is a repeat: %v", name, got)
			}
			r.mu.Lock() // under which the log is written
			defer r.mu.Unlock()
			if got := strings.Count(log.String(), "\n"); got != lines {
				t.Errorf("%s: %d lines, want %d:\n%s", name, got, lines, &log)
			}
		}
		step("the first", alice, outage, false, 0)
		step("another cause", alice, refused, false, 0)
		step("one without a remedy", alice, other, false, 0)
		step("another account", bob, outage, false, 0)
		for range 1000 {
			step("a repeat", alice, outage, true, 0)
		}
		for _, kind := range []Kind{BadCredentials, TLSRequired, TooManyAttempts, ShuttingDown} {
			step("the client's own", alice, &Failure{Kind: kind}, false, 0)
			step("the client's own again", alice, &Failure{Kind: kind}, false, 0)
		}
		time.Sleep(summaryEvery + time.Second)
		step("after a summary", alice, outage, true, 1)
		time.Sleep(2 * summaryEvery)
		step("after another and a pause", alice, outage, false, 2)
		r.ended("bob", "smtp") // another protocol
		r.ended("bob", "imap")
		r.ended("alice", "imap")
		step("after a login", alice, outage, false, 4)
		step("a repeat of that", alice, outage, true, 4)
		r.close()
		if got := log.String(); strings.Count(got, "\n") != 5 || !strings.Contains(got, `msg="still refused" protocol=imap account=alice reason="token unavailable" times=1000 `) ||
			!strings.Contains(got, `msg="works again" protocol=imap account=bob times=1 `) || !strings.Contains(got, `msg="works again" protocol=imap account=alice times=1005 `) {
			t.Errorf("log:\n%s", got)
		}
		time.Sleep(time.Hour) // no timer is left that writes
		step("after the end", alice, outage, false, 5)
	})
}

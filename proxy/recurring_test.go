package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// byName is a protocol by name alone.
type byName struct{ Protocol }

func (byName) Name() string { return "pop3" }

func (r *recurring) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sorts)
}

// More sorts of refusals than are told apart share a line, and once a minute
// has passed without any, the next is told at once.
func TestManySortsOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newRecurring(slog.New(slog.NewTextHandler(&log, nil)))
		s := newArrival("192.0.2.1", "", "")
		s.ID, s.Listener = "7Q3F", &Listener{Protocol: byName{}}
		f := &Failure{Kind: BadCredentials, Cause: errors.New("unknown user")}
		news := 0
		for i := range maxRecurring + 50 {
			if r.isNew(s, fmt.Sprint("nobody", i), f) {
				news++
			}
		}
		if n := r.count(); news != maxRecurring || n != maxRecurring+1 {
			t.Errorf("%d are told of, %d sorts", news, n)
		}
		time.Sleep(refusalsEvery)
		synctest.Wait()
		if want := `msg="refused again" times=50 summary="many more clients and logins" client=192.0.2.1 login=nobody1049 session=7Q3F`; strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("the log is:\n%s", log.String())
		}
		time.Sleep(refusalsEvery)
		synctest.Wait()
		if n := r.count(); n != 0 {
			t.Errorf("%d sorts are left", n)
		}
		if !r.isNew(s, "nobody1049", f) {
			t.Error("a new one isn't told of")
		}
		r.stop()
	})
}

// What hasn't been told is told at the end, and nothing after it.
func TestRefusalsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newRecurring(slog.New(slog.NewTextHandler(&log, nil)))
		s := newArrival("192.0.2.1", "", "")
		s.Listener = &Listener{Protocol: byName{}}
		for range 3 {
			r.isNew(s, "alice", &Failure{Kind: BadCredentials})
		}
		r.isNew(s, "alice", &Failure{Kind: Busy}) // of another kind
		r.stop()
		time.Sleep(2 * refusalsEvery)
		if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "times=2 ") {
			t.Errorf("the log is:\n%s", log.String())
		}
		if !r.isNew(s, "alice", &Failure{Kind: BadCredentials}) {
			t.Error("one behind the end is kept back")
		}
	})
}

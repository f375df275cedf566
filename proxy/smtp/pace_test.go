package smtp

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func sleep(d time.Duration, sooner <-chan struct{}) error {
	select {
	case <-time.After(d):
	case <-sooner:
	}
	return nil
}

func TestMessagesArePacedByTheMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 30})
		started := time.Now()
		for range 30 {
			if err := p.message(0, sleep); err != nil {
				t.Fatalf("a message within the burst: %v", err)
			}
		}
		if waited := time.Since(started); waited != 0 {
			t.Fatalf("the burst has waited for %v", waited)
		}
		for i := range 10 {
			if err := p.message(time.Minute, sleep); err != nil {
				t.Fatalf("message %d after the burst: %v", i, err)
			}
		}
		if waited := time.Since(started).Round(time.Millisecond); waited != 20*time.Second {
			t.Errorf("10 messages after the burst took %v, want 20s", waited)
		}
	})
}

// Those who can't wait for so long are told at once, and use nothing up.
func TestMessageBeyondPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 1})
		if err := p.message(0, sleep); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := p.message(59*time.Second, sleep); !errors.Is(err, errTooFast) {
				t.Fatalf("got %v, want errTooFast", err)
			}
		}
		if err := p.message(time.Minute, sleep); err != nil {
			t.Errorf("refused clients have used up the minute: %v", err)
		}
	})
}

func TestWaitingMessagesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 60})
		for range 60 {
			_ = p.message(0, sleep)
		}
		var mu sync.Mutex
		var order []int
		for i := range 20 {
			go func() {
				if err := p.message(time.Minute, sleep); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for i, n := range order {
			if i != n {
				t.Fatalf("order is %v", order)
			}
		}
		if len(order) != 20 {
			t.Errorf("%d of 20 went", len(order))
		}
	})
}

func TestClientThatGoesAwayWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 1})
		_ = p.message(0, sleep)
		gone := errors.New("gone")
		if err := p.message(time.Hour, func(time.Duration, <-chan struct{}) error { return gone }); err != gone {
			t.Errorf("got %v", err)
		}
		started := time.Now()
		if err := p.message(time.Hour, sleep); err != nil || time.Since(started).Round(time.Second) != time.Minute {
			t.Errorf("the next one waited for %v, %v: the place of the one that went away is lost", time.Since(started), err)
		}
	})
}

// The places of clients that go away while they wait are those of the others.
func TestClientsThatGoAwayAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 6})
		for range 6 {
			_ = p.message(0, sleep)
		}
		started := time.Now()
		gone := errors.New("gone")
		hangUp := make(chan struct{})
		var leaving sync.WaitGroup
		for range 4 {
			leaving.Go(func() {
				_ = p.message(time.Hour, func(time.Duration, <-chan struct{}) error { <-hangUp; return gone })
			})
			synctest.Wait()
		}
		var waited [3]time.Duration
		for i := range waited {
			leaving.Go(func() {
				if err := p.message(2*time.Minute, sleep); err != nil {
					t.Error(err)
				}
				waited[i] = time.Since(started)
			})
			synctest.Wait()
		}
		close(hangUp)
		leaving.Wait()
		for i, got := range waited {
			if want := time.Duration(i+1) * 10 * time.Second; got.Round(time.Millisecond) != want {
				t.Errorf("message %d of those that stayed waited for %v, want %v", i, got, want)
			}
		}
	})
}

func TestExchangeSlowsTheMailboxDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{})
		wait := func() time.Duration {
			started := time.Now()
			if err := p.message(time.Hour, sleep); err != nil {
				t.Fatal(err)
			}
			return time.Since(started)
		}
		for i, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 2 * time.Minute, 2 * time.Minute} {
			p.slowDown()
			p.slowDown() // of the same moment
			if got := wait(); got != want {
				t.Errorf("pause %d is %v, want %v", i, got, want)
			}
		}
		p.slowDown()
		if err := p.message(time.Second, sleep); !errors.Is(err, errTooFast) {
			t.Errorf("an impatient one: %v, want errTooFast", err)
		}
		wait()
		time.Sleep(time.Second)
		p.delivered()
		p.slowDown()
		if got := wait(); got != 5*time.Second {
			t.Errorf("after a delivery the pause is %v, want 5s", got)
		}
	})
}

func TestRecipientsOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{RecipientsPerDay: 100})
		reserve := func(n int) (got int) {
			for range n {
				if p.reserve() {
					got++
				}
			}
			return got
		}
		if got := reserve(60); got != 60 {
			t.Errorf("%d of 60", got)
		}
		time.Sleep(12 * time.Hour)
		if got := reserve(60); got != 40 {
			t.Errorf("%d more, want 40", got)
		}
		p.release(10)
		if got := reserve(60); got != 10 {
			t.Errorf("%d after 10 came to nothing", got)
		}

		restarted := newPacer(Pace{RecipientsPerDay: 100})
		restarted.restore(p.counts())
		if restarted.reserve() {
			t.Error("a restart gives a new day")
		}
		p = restarted
		time.Sleep(12 * time.Hour)
		if got := reserve(100); got != 60 {
			t.Errorf("%d a day after the first 60, want 60", got)
		}
		time.Sleep(48 * time.Hour)
		if got := reserve(200); got != 100 {
			t.Errorf("%d two days later, want 100", got)
		}
		if n := len(p.counts()); n > day+1 {
			t.Errorf("%d hours are remembered", n)
		}
	})
}

func TestWarnsOnceAt80Percent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 10, RecipientsPerDay: 10})
		var warnings []string
		for range 10 {
			_ = p.message(0, sleep)
			p.reserve()
			warnings = append(warnings, p.warnings()...)
		}
		if len(warnings) != 2 {
			t.Errorf("got %q, want one warning of each kind", warnings)
		}
		time.Sleep(25 * time.Hour)
		if w := p.warnings(); len(w) != 0 {
			t.Errorf("a day later: %q", w)
		}
		for range 9 {
			p.reserve()
		}
		if w := p.warnings(); len(w) != 1 {
			t.Error("no warning on the next day")
		}
	})
}

// The turn of a message that isn't sent after all is that of the next, which
// may wait for it already; a bucket doesn't overflow by that.
func TestTurnsThatAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 2})
		started := time.Now()
		_, _ = p.message(0, sleep), p.message(0, sleep)
		var waited time.Duration
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := p.message(time.Minute, sleep); err != nil {
				t.Error(err)
			}
			waited = time.Since(started)
		})
		time.Sleep(10 * time.Second)
		p.giveBack()
		if waiting.Wait(); waited != 10*time.Second {
			t.Errorf("one that waited went after %v", waited)
		}
		time.Sleep(time.Hour)
		p.giveBack()
		for i, want := range []error{nil, nil, errTooFast} {
			if err := p.message(0, sleep); err != want {
				t.Errorf("message %d: %v, want %v", i, err, want)
			}
		}
	})
}

// TestSetPace: what has been sent in the last minute counts on, whatever the
// limit is then.
func TestSetPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{MessagesPerMinute: 30})
		send := func() error { return p.message(0, nil) }
		for range 10 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		p.setPace(Pace{MessagesPerMinute: 10})
		if err := send(); !errors.Is(err, errTooFast) {
			t.Errorf("the eleventh, of ten a minute: %v", err)
		}
		p.setPace(Pace{MessagesPerMinute: 12})
		if err := send(); err != nil {
			t.Errorf("of twelve: %v", err)
		}
		p.setPace(Pace{})
		for range 100 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

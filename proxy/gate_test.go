package proxy

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// try has an attempt let by, and returns how long that took.
func try(t *testing.T, g *gates[string], key string, fails bool) time.Duration {
	t.Helper()
	start := time.Now()
	if err := g.enter(key, patience{until: start.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	if fails {
		g.fail(key, uint64(start.UnixNano()))
	} else {
		g.succeed(key)
	}
	g.leave(key)
	return took
}

// The pauses grow with the failures of one key. A success, or ten minutes, ends
// that.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGates[string](2, false)
		want := func(seconds ...time.Duration) {
			t.Helper()
			for i, n := range seconds {
				if took := try(t, g, "a", true); took != n*time.Second {
					t.Errorf("failure %d came after %v, want %v s", i+1, took, int(n))
				}
				if took := try(t, g, "b", false); took != 0 {
					t.Errorf("another waits for %v", took)
				}
			}
		}
		want(0, 0, 1, 2, 4, 8, 16, 25, 25)
		if took := try(t, g, "a", false); took != 25*time.Second {
			t.Errorf("the success came after %v", took)
		}
		want(0, 0, 1, 2)
		time.Sleep(failureMemory)
		want(0, 0, 1)
		time.Sleep(20 * time.Second)
		want(0) // the pause is over already
	})
}

// Where failures count by name, one name is one failure.
func TestFailuresByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGates[string](3, true)
		for i := range 100 {
			if err := g.enter("a", patience{}); err != nil {
				t.Fatalf("attempt %d: %v", i, err)
			}
			g.fail("a", uint64(i%2))
			g.leave("a")
		}
		_ = g.enter("a", patience{})
		g.fail("a", 2)
		g.leave("a")
		if err := g.enter("a", patience{}); err != errPatience {
			t.Errorf("a third name makes nobody wait: %v", err)
		}
	})
}

// Those who wait are let by in the order in which they came; whoever has no
// patience left, or is away, is not, and keeps nobody up.
func TestOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGates[string](5, false)
		if err := g.enter("a", patience{}); err != nil {
			t.Fatal(err)
		}
		away := make(chan struct{})
		var mu sync.Mutex
		var came []string
		var all sync.WaitGroup
		for i := range 6 {
			p := patience{until: time.Now().Add(time.Hour)}
			switch i {
			case 2:
				p.until = time.Now().Add(time.Second)
			case 4:
				p.away = away
			}
			all.Go(func() {
				err := g.enter("a", p)
				mu.Lock()
				came = append(came, fmt.Sprintf("%d %v", i, err))
				mu.Unlock()
				if err == nil {
					g.leave("a")
				}
			})
			synctest.Wait() // so that they come in order
		}
		time.Sleep(2 * time.Second)
		close(away)
		synctest.Wait()
		g.leave("a")
		all.Wait()
		want := fmt.Sprintf("[2 %v 4 %v 0 <nil> 1 <nil> 3 <nil> 5 <nil>]", errPatience, errAway)
		if got := fmt.Sprint(came); got != want {
			t.Errorf("they came as %v, want %v", got, want)
		}
		if len(g.all) != 0 {
			t.Errorf("%d gates are left", len(g.all))
		}
	})
}

// A pause is cut short by the same.
func TestNoPatienceForAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGates[string](1, false)
		for range len(pauses) {
			try(t, g, "a", true)
		}
		away := make(chan struct{})
		time.AfterFunc(2*time.Second, func() { close(away) })
		if err := g.enter("a", patience{until: time.Now().Add(time.Second)}); err != errPatience {
			t.Errorf("enter = %v", err)
		}
		if err := g.enter("a", patience{until: time.Now().Add(time.Hour), away: away}); err != errAway {
			t.Errorf("enter = %v", err)
		}
		if took := try(t, g, "a", false); took != 23*time.Second {
			t.Errorf("the next waits for %v", took)
		}
	})
}

// However many keys fail, those that failed last are remembered and no more;
// whoever is at a gate that is forgotten meanwhile isn't harmed.
func TestGatesAreBounded(t *testing.T) {
	g := newGates[int](1, false)
	if err := g.enter(-1, patience{}); err != nil {
		t.Fatal(err)
	}
	g.fail(-1, 0)
	for i := range 3 * maxGates {
		if err := g.enter(i, patience{}); err != nil {
			t.Fatal(err)
		}
		g.fail(i, 0)
		g.leave(i)
	}
	if len(g.all) != maxGates+1 || g.failed.Len() != maxGates {
		t.Errorf("%d gates, %d with failures", len(g.all), g.failed.Len())
	}
	g.leave(-1)
	if g.all[-1] != nil || g.all[0] != nil || g.all[2*maxGates] == nil {
		t.Error("not the ones that failed first are forgotten")
	}
}

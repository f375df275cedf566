package proxy

import (
	"maps"
	"slices"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	var d durations
	for _, took := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 5 * time.Minute, time.Hour} {
		d.add(took)
	}
	f := d.figures()
	if f.Count != 5 || f.Sum != time.Hour+5*time.Minute+2*time.Millisecond+1 {
		t.Errorf("got %+v", f)
	}
	for bound, want := range map[time.Duration]uint64{time.Millisecond: 2, 5 * time.Millisecond: 3, 2 * time.Minute: 3, 5 * time.Minute: 4} {
		if got := f.UpTo[bound]; got != want {
			t.Errorf("%d up to %v, want %d", got, bound, want)
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(f.UpTo)), bounds[:]) {
		t.Errorf("the bounds are %v", f.UpTo)
	}
}

// Counting costs the sessions no memory.
func TestCountingAllocatesNothing(t *testing.T) {
	tallies := new(tallies)
	tallies.of("imap")
	s := &Session{}
	if allocations := testing.AllocsPerRun(100, func() {
		s.tally = tallies.of("imap")
		s.tally.sessions.Add(1)
		s.tally.phases[PhaseLogIn].add(time.Second)
		s.CountMessage(Accepted, 1, time.Second, time.Minute)
	}); allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

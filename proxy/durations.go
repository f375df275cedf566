package proxy

import (
	"slices"
	"sync/atomic"
	"time"
)

// bounds are those of the classes that durations are counted in: from a token
// at hand to a message that waits for its mailbox's turn.
var bounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 25 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute,
}

// durations counts how long something has taken, each time.
type durations struct {
	classes [len(bounds) + 1]atomic.Uint64 // up to each of the bounds, and beyond
	sum     atomic.Int64                   // nanoseconds
}

func (d *durations) add(took time.Duration) {
	class, _ := slices.BinarySearch(bounds[:], took)
	d.classes[class].Add(1)
	d.sum.Add(int64(took))
}

// Durations tell how long something has taken, each time.
type Durations struct {
	// UpTo counts those that took no longer, by duration; it holds the same
	// durations each time.
	UpTo  map[time.Duration]uint64
	Count uint64
	Sum   time.Duration
}

func (d *durations) figures() Durations {
	f := Durations{UpTo: make(map[time.Duration]uint64, len(bounds)), Sum: time.Duration(d.sum.Load())}
	for class := range d.classes {
		f.Count += d.classes[class].Load()
		if class < len(bounds) {
			f.UpTo[bounds[class]] = f.Count
		}
	}
	return f
}

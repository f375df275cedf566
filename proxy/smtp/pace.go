package smtp

import (
	"container/list"
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	// Exchange's pause after it has said that a mailbox sends too much isn't
	// documented; these are ours.
	firstPause = 5 * time.Second
	maxPause   = 2 * time.Minute
	// day is the window of the recipients' limit: it is a rolling one
	// (Microsoft's page on Exchange Online limits, 2026-11).
	day = 24
)

// Pace is what a mailbox may send. Zero means no limit.
type Pace struct {
	MessagesPerMinute int
	RecipientsPerDay  int
}

// pacer holds a mailbox to its pace. It is shared by all sessions of the
// mailbox.
type pacer struct {
	pace     Pace
	messages *bucket // nil: no limit

	denials denials

	mu      sync.Mutex
	waiting list.List     // of messages, the first first
	until   time.Time     // Exchange wants a pause
	pause   time.Duration // the last one
	hours   map[int64]int // recipients by hours since 1970
	warned  struct{ minute, day bool }
}

// errTooFast means that a message would have to wait for longer than its
// client does.
var errTooFast = errors.New("the mailbox has sent as many messages as Exchange allows")

func newPacer(p Pace) *pacer {
	paced := &pacer{pace: p, hours: make(map[int64]int)}
	if p.MessagesPerMinute > 0 {
		paced.messages = newBucket(p.MessagesPerMinute)
	}
	return paced
}

// setPace changes the pace. What has been sent in the last minute counts on.
func (p *pacer) setPace(pace Pace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := newPacer(pace).messages
	if p.messages != nil && fresh != nil {
		fresh.tokens -= p.messages.size - p.messages.left()
	}
	p.messages = fresh
	p.pace = pace
}

// message waits until one more message may be sent, for at most patience: what
// would take longer gives errTooFast at once. Messages go in the order in which
// they came; one whose client leaves takes nothing from the others. sleep waits
// for a time or until something comes by the channel, and its error ends the
// wait.
func (p *pacer) message(patience time.Duration, sleep func(time.Duration, <-chan struct{}) error) error {
	deadline := time.Now().Add(patience)
	place, err := p.arrive(patience)
	if err != nil {
		return err
	}
	defer p.leave(place)
	for {
		wait, first := p.wait(place)
		switch left := time.Until(deadline); {
		case first && wait <= 0:
			return nil
		case left <= 0 || first && wait > left:
			return errTooFast
		case !first:
			wait = left
		}
		if err := sleep(wait, place.Value.(chan struct{})); err != nil {
			return err
		}
	}
}

// arrive takes a place in the queue, which is a channel by which it hears that
// it has become the first, or may go sooner.
func (p *pacer) arrive(patience time.Duration) (*list.Element, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := time.Until(p.until)
	if p.messages != nil {
		wait = max(wait, p.messages.wait(p.waiting.Len()+1))
	}
	if wait.Truncate(time.Millisecond) > patience {
		return nil, errTooFast
	}
	return p.waiting.PushBack(make(chan struct{}, 1)), nil
}

// leave makes way for the next in the queue.
func (p *pacer) leave(place *list.Element) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := place.Prev() == nil
	if p.waiting.Remove(place); first {
		p.rouse()
	}
}

// rouse has the first in the queue look again. p is locked.
func (p *pacer) rouse() {
	if first := p.waiting.Front(); first != nil {
		select {
		case first.Value.(chan struct{}) <- struct{}{}:
		default: // it will
		}
	}
}

// giveBack takes back the turn of a message that wasn't sent after all.
func (p *pacer) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.messages != nil {
		p.messages.put()
		p.rouse()
	}
}

// wait tells whether a place is the first, and then how long its message has
// to wait; if not at all, the message counts as sent.
func (p *pacer) wait(place *list.Element) (wait time.Duration, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place.Prev() != nil {
		return 0, false
	}
	if wait = time.Until(p.until); p.messages == nil {
		return wait, true
	}
	if wait = max(wait, p.messages.wait(1)); wait <= 0 {
		p.messages.take()
	}
	return wait, true
}

// slowDown notes that Exchange has refused something because the mailbox sends
// too much. Each refusal in a row doubles the pause.
func (p *pacer) slowDown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.until) {
		return // one of those that were under way already
	}
	p.pause = min(max(2*p.pause, firstPause), maxPause)
	p.until = now.Add(p.pause)
}

// delivered notes that Exchange has taken a message.
func (p *pacer) delivered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(p.until) {
		p.pause = 0
	}
}

// reserve counts one more recipient, unless the day's limit is reached.
func (p *pacer) reserve() (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pace.RecipientsPerDay > 0 && p.today() >= p.pace.RecipientsPerDay {
		return false
	}
	p.hours[hour()]++
	return true
}

// release takes back n recipients that came to nothing.
func (p *pacer) release(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h := hour(); n > 0 && h > hour()-day; h-- {
		taken := min(n, p.hours[h])
		p.hours[h] -= taken
		n -= taken
	}
}

// today returns the recipients of the last 24 hours.
func (p *pacer) today() int {
	sum := 0
	oldest := hour() - day
	for h, n := range p.hours {
		if h <= oldest || h > oldest+day {
			delete(p.hours, h) // long ago, or counted before the clock was set back
			continue
		}
		sum += n
	}
	return sum
}

func hour() int64 { return time.Now().Unix() / 3600 }

// warnings returns which limits have newly been used up to 80 %, in words for
// the log.
func (p *pacer) warnings() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const most = 0.8
	crossed := func(warned *bool, near bool, text string) {
		if near && !*warned {
			all = append(all, text)
		}
		*warned = near
	}
	crossed(&p.warned.day, p.pace.RecipientsPerDay > 0 && float64(p.today()) >= most*float64(p.pace.RecipientsPerDay),
		"80 % of the recipients of a day are used up")
	crossed(&p.warned.minute, p.messages != nil && p.messages.left() <= (1-most)*p.messages.size,
		"80 % of the messages of a minute are used up, further ones will have to wait")
	return all
}

// counts returns the recipients by hours since 1970, to be kept over a
// restart.
func (p *pacer) counts() map[int64]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.today() // forgets what is long ago
	return maps.Clone(p.hours)
}

// restore takes up counts of an earlier run.
func (p *pacer) restore(hours map[int64]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := hour()
	for h, n := range hours {
		if h > now-day && h <= now {
			p.hours[h] += n
		}
	}
}

package smtp

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"oauthproxy/proxy"
)

const (
	// maxConnections is how many SMTP connections Exchange allows a mailbox
	// at one time (Microsoft, "Message storage and concurrent connection
	// throttling for SMTP Authenticated Submission", June 2025).
	maxConnections = 3
	// maxWaiting bounds the clients of a mailbox that wait for one of them.
	maxWaiting = 200
	// crowdedFor is how long fewer are used, after Exchange has refused one
	// because other programs use the mailbox too.
	crowdedFor = time.Minute
	// crowdedOutFor is how long it isn't asked again, when none of ours is
	// left: those who wait aren't all to try in vain.
	crowdedOutFor = 10 * time.Second
)

var (
	// errCrowded is the cause of a refusal because the mailbox has too many
	// connections, of ours or of others.
	errCrowded = errors.New("too many connections to this mailbox")
	// errQueueFull means that too many wait already.
	errQueueFull = errors.New("too many clients wait for a connection to this mailbox")
)

// opener opens a connection and logs in.
type opener func(ctx context.Context) (*upstream, error)

// pool holds the connections to one mailbox, for all sessions of all
// listeners. A transaction waits its turn for one, in the order of arrival, and
// gives it back after its verdict. Each connection has a slot from the dial to
// the close; there are as many slots as Exchange allows.
type pool struct {
	mu       sync.Mutex
	slots    int         // as many as there may be now
	dialing  int         // slots of connections that haven't logged in yet
	accepted int         // slots of those that have
	leaving  int         // slots of those that say goodbye
	kept     []*upstream // those of them that nobody uses, the latest last
	leased   map[*upstream]lease
	silent   []*loan     // what others may have, silent for longest first
	waiting  list.List   // of *turn, the first first; empty while anything is free
	crowded  time.Time   // when there are all slots again; zero: now
	out      error       // why none is opened, until
	outUntil time.Time   // then
	offered  []string    // what the upstream has shown last, in answer to EHLO
	first    *attempt    // the login that shows whether Exchange accepts us
	timer    *time.Timer // for what is due
	closed   bool
	parting  sync.WaitGroup // connections that say goodbye
}

func newPool() *pool { return &pool{slots: maxConnections, leased: make(map[*upstream]lease)} }

// turn is a place in the queue. What is granted is a kept connection or, as
// nil, a slot: the right and the duty to call open.
type turn struct {
	granted chan *upstream
	place   *list.Element // nil once granted
}

// arrive takes a place in the queue, at its head if the client has waited
// already. Whatever is free is granted at once.
func (p *pool) arrive(again bool) (*turn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting.Len() >= maxWaiting && !again {
		return nil, errQueueFull
	}
	t := &turn{granted: make(chan *upstream, 1)}
	if again {
		t.place = p.waiting.PushFront(t)
	} else {
		t.place = p.waiting.PushBack(t)
	}
	p.grant()
	return t, nil
}

// leave gives a place in the queue up, or what has been granted meanwhile.
func (p *pool) leave(t *turn) {
	p.mu.Lock()
	if t.place != nil {
		defer p.mu.Unlock()
		p.waiting.Remove(t.place)
		return
	}
	p.mu.Unlock()
	if up := <-t.granted; up != nil {
		p.keep(up)
		return
	}
	p.settle(nil, nil)
}

// grant gives what is free to those who wait. p is locked, as for all that
// follow without saying so.
func (p *pool) grant() {
	for p.waiting.Len() > 0 {
		up, ok := p.free()
		if !ok {
			break
		}
		t := p.waiting.Remove(p.waiting.Front()).(*turn)
		t.place = nil
		t.granted <- up
	}
	p.schedule()
}

// free returns a kept connection that is alive or, as nil, a free slot: at worst
// those of a client that has been silent for long.
func (p *pool) free() (up *upstream, ok bool) {
	for n := len(p.kept); n > 0; n = len(p.kept) {
		up = p.kept[n-1]
		p.kept = p.kept[:n-1]
		if time.Now().Before(up.due()) && up.rouse() == nil {
			return up, true
		}
		p.remove(up)
	}
	for p.inUse() >= p.slots {
		if len(p.silent) == 0 {
			return nil, false
		}
		if up = p.take(); up != nil {
			return up, true
		}
	}
	p.dialing++
	return nil, true
}

// inUse counts the slots that aren't free.
func (p *pool) inUse() int { return p.dialing + p.accepted + p.leaving }

// open opens a connection in a slot that has been granted.
func (p *pool) open(ctx context.Context, open opener) (up *upstream, err error) {
	defer func() { p.settle(up, err) }() // though it panics
	if err := p.crowdedOut(); err != nil {
		return nil, err
	}
	return open(ctx)
}

func (p *pool) crowdedOut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.outUntil) {
		return p.out
	}
	return nil
}

// settle ends the dialing in a slot: with a connection, or without one and the
// slot is free again.
func (p *pool) settle(up *upstream, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing--
	if up != nil {
		up.pool = p
		p.accepted++
		p.offered = up.offered
	}
	if errors.Is(err, errCrowded) {
		p.crowd()
		if now := time.Now(); p.accepted == 0 && now.After(p.outUntil) {
			p.out, p.outUntil = err, now.Add(crowdedOutFor)
		}
	}
	p.grant()
}

// crowd makes do with the slots in use for a while.
func (p *pool) crowd() {
	p.slots = max(1, p.accepted)
	p.crowded = time.Now().Add(crowdedFor)
}

// drop closes a connection at once: nothing may be said on it any more.
func (p *pool) drop(up *upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discard(up)
	p.accepted--
	p.grant()
}

// replace closes a connection that has turned out to be dead and opens another
// in its slot.
func (p *pool) replace(ctx context.Context, dead *upstream, open opener) (*upstream, error) {
	p.mu.Lock()
	p.discard(dead)
	p.accepted--
	p.dialing++
	p.mu.Unlock()
	return p.open(ctx, open)
}

func (p *pool) discard(up *upstream) {
	up.conn.Abort()
	p.unlend(up)
}

// overrun makes do with fewer slots, because Exchange has refused a message on
// up as one connection too many, and closes it.
func (p *pool) overrun(up *upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discard(up)
	p.accepted--
	p.crowd()
	p.grant()
}

// isKnown tells whether Exchange has accepted the mailbox on a connection that
// is alive.
func (p *pool) isKnown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sift(func(up *upstream) bool { return up.isAlive() })
	return p.accepted > 0
}

// attempt is a login that several clients wait for.
type attempt struct {
	done chan struct{}
	err  error // valid once done is closed
}

// introduce returns nil once Exchange has accepted the mailbox. It opens a
// connection only when none is alive, one for all clients that ask meanwhile.
// Where transactions are opening as many as there may be, their login stands
// for this one: what fails later is temporary.
func (p *pool) introduce(ctx context.Context, open opener) error {
	if p.isKnown() {
		return nil
	}
	p.mu.Lock()
	if a := p.first; a != nil {
		p.mu.Unlock()
		<-a.done // within openTimeout
		return a.err
	}
	if p.inUse() >= p.slots {
		p.mu.Unlock()
		return nil
	}
	a := &attempt{done: make(chan struct{}), err: proxy.Fail(proxy.Internal, "the login that others waited for was broken off")}
	p.first = a
	p.dialing++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.first = nil
		p.mu.Unlock()
		close(a.done)
	}()
	up, err := p.open(ctx, open)
	if a.err = err; err == nil {
		p.keep(up)
	}
	return err
}

// offers returns what the upstream offers, as its connections have shown, or
// nil.
func (p *pool) offers() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.offered
}

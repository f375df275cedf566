package proxy

import (
	"container/list"
	"net/netip"
	"sync"

	"oauthproxy/accounts"
)

const (
	// maxArriving bounds the connections that are not logged in. When one more
	// comes another makes way, of the client that has most of them: idle
	// connections can't shut others out.
	maxArriving = 1000
	// maxArrivingPerClient is enough for an office behind one address that
	// comes back all at once: as many as limits.sessions_per_address is when
	// nobody sets it.
	maxArrivingPerClient = 200
)

// census counts the sessions: those that arrive, in the order in which they
// came, and those that are logged in, against the limits.
type census struct {
	// running counts the sessions until they have ended. Nobody arrives once
	// stop has been called, so that it can be waited for then.
	running sync.WaitGroup

	mu       sync.Mutex
	limits   Limits
	stopping bool
	present  map[*Session]*list.Element  // nil once logged in
	arriving map[netip.Prefix]*list.List // of *Session, by client, the one to make way in front
	arrived  int                         // in arriving
	last     uint64                      // number of the one that came last
	loggedIn int
	byAddr   map[netip.Addr]int
	byLogin  map[loginKey]int
}

type loginKey struct{ account, login string }

func newCensus(limits Limits) census {
	return census{
		limits:   limits,
		present:  make(map[*Session]*list.Element),
		arriving: make(map[netip.Prefix]*list.List),
		byAddr:   make(map[netip.Addr]int),
		byLogin:  make(map[loginKey]int),
	}
}

// setLimits changes the limits. Who is logged in stays.
func (c *census) setLimits(limits Limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = limits
}

// arrive takes a new session in, unless the server stops; running.Done is due
// when it has ended. It returns the session that has to make way for it, if one
// has.
func (c *census) arrive(s *Session) (other *Session, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, false
	}
	own := c.arriving[accounts.ClientOf(s.address)]
	switch {
	case own != nil && own.Len() >= maxArrivingPerClient:
		other = c.expel(own)
	case c.arrived >= maxArriving:
		other = c.expel(c.largest())
	}
	c.enlist(s)
	c.running.Add(1)
	return other, true
}

// outstay returns the session that has to make way where there is no room; nil
// if nobody arrives.
func (c *census) outstay() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arrived == 0 {
		return nil
	}
	return c.expel(c.largest())
}

// hasShown puts a session that has shown credentials behind those that are
// idle.
func (c *census) hasShown(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.present[s] != nil {
		c.strike(s)
		c.enlist(s)
	}
}

// enlist notes a session as the last one that has come.
func (c *census) enlist(s *Session) {
	client := accounts.ClientOf(s.address)
	if c.arriving[client] == nil {
		c.arriving[client] = list.New()
	}
	c.last++
	s.came = c.last
	c.present[s] = c.arriving[client].PushBack(s)
	c.arrived++
}

// strike takes a session from those that arrive.
func (c *census) strike(s *Session) {
	client := accounts.ClientOf(s.address)
	own := c.arriving[client]
	own.Remove(c.present[s])
	if own.Len() == 0 {
		delete(c.arriving, client)
	}
	c.present[s] = nil
	c.arrived--
}

// expel strikes the first of the sessions and returns it.
func (c *census) expel(some *list.List) *Session {
	first := firstOf(some)
	c.strike(first)
	return first
}

// largest returns the sessions of the client that has most of them; of several
// such clients, those of the one whose first has waited longest. Somebody
// arrives.
func (c *census) largest() *list.List {
	var largest *list.List
	for _, some := range c.arriving {
		if largest == nil || some.Len() > largest.Len() ||
			some.Len() == largest.Len() && firstOf(some).came < firstOf(largest).came {
			largest = some
		}
	}
	return largest
}

func firstOf(some *list.List) *Session { return some.Front().Value.(*Session) }

// logIn counts a session as logged in, if the limits allow one more and it
// hasn't had to make way meanwhile.
func (c *census) logIn(s *Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := loginKey{s.Account, s.login}
	if c.present[s] == nil || reached(c.loggedIn, c.limits.Sessions) ||
		reached(c.byAddr[s.address], c.limits.SessionsPerAddress) ||
		reached(c.byLogin[key], c.limits.SessionsPerLogin) {
		return false
	}
	c.loggedIn++
	c.byAddr[s.address]++
	c.byLogin[key]++
	s.admitted = true
	c.strike(s)
	return true
}

// logOut takes a login back: the upstream did not accept it.
func (c *census) logOut(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncount(s)
	if place, ok := c.present[s]; ok && place == nil {
		c.enlist(s)
	}
}

// leave forgets a session.
func (c *census) leave(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncount(s)
	if c.present[s] != nil {
		c.strike(s)
	}
	delete(c.present, s)
}

func (c *census) uncount(s *Session) {
	if !s.admitted {
		return
	}
	s.admitted = false
	c.loggedIn--
	decrement(c.byAddr, s.address)
	decrement(c.byLogin, loginKey{s.Account, s.login})
}

// stop lets nobody in any more and interrupts everybody who reads commands.
func (c *census) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	for s := range c.present {
		s.Client.Interrupt()
	}
}

func reached(count, limit int) bool { return limit > 0 && count >= limit }

func decrement[K comparable](m map[K]int, key K) {
	if m[key]--; m[key] <= 0 {
		delete(m, key)
	}
}

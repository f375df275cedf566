package proxy

import (
	"container/list"
	"net/netip"
	"sync"
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
	present  map[*Session]*list.Element // nil once logged in
	arriving *list.List                 // of *Session, oldest first
	loggedIn int
	byAddr   map[netip.Addr]int
	byLogin  map[loginKey]int
}

type loginKey struct{ account, login string }

func newCensus(limits Limits) census {
	return census{
		limits:   limits,
		present:  make(map[*Session]*list.Element),
		arriving: list.New(),
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
func (c *census) arrive(s *Session) (oldest *Session, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, false
	}
	if c.arriving.Len() >= maxArriving {
		oldest = c.arriving.Remove(c.arriving.Front()).(*Session)
		c.present[oldest] = nil
	}
	c.present[s] = c.arriving.PushBack(s)
	c.running.Add(1)
	return oldest, true
}

// logIn counts a session as logged in, if the limits allow one more and it
// hasn't had to make way meanwhile.
func (c *census) logIn(s *Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.present[s]
	key := loginKey{s.Account, s.login}
	if place == nil || reached(c.loggedIn, c.limits.Sessions) ||
		reached(c.byAddr[s.address], c.limits.SessionsPerAddress) ||
		reached(c.byLogin[key], c.limits.SessionsPerLogin) {
		return false
	}
	c.loggedIn++
	c.byAddr[s.address]++
	c.byLogin[key]++
	s.admitted = true
	c.arriving.Remove(place)
	c.present[s] = nil
	return true
}

// logOut takes a login back: the upstream did not accept it.
func (c *census) logOut(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncount(s)
	if place, ok := c.present[s]; ok && place == nil {
		c.present[s] = c.arriving.PushBack(s)
	}
}

// leave forgets a session.
func (c *census) leave(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncount(s)
	if place := c.present[s]; place != nil {
		c.arriving.Remove(place)
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

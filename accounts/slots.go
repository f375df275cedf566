package accounts

import (
	"context"
	"net/netip"
	"sync"
)

const (
	maxHashings = 2   // at once; one takes 20 MB and a core
	maxQueue    = 512 // attempts hashing or waiting to
	// One client may hold half of the queue, so that it keeps nobody else out.
	maxQueuePerClient = maxQueue / 2
)

// slots shares out the right to hash a password: maxHashings at once, one per
// client, and a bounded queue.
type slots struct {
	hashing chan struct{}

	mu      sync.Mutex
	queued  int
	clients map[netip.Prefix]*clientSlot
}

// clientSlot is the one slot of a client, for as long as somebody wants it.
type clientSlot struct {
	hashing chan struct{}
	queued  int
}

func newSlots() *slots {
	return &slots{hashing: make(chan struct{}, maxHashings), clients: map[netip.Prefix]*clientSlot{}}
}

// acquire waits for a slot and returns the function that gives it back. It
// returns ErrBusy when the queue is full, or ctx's error.
func (s *slots) acquire(ctx context.Context, who netip.Prefix) (release func(), err error) {
	own, err := s.enqueue(who)
	if err != nil {
		return nil, err
	}
	// The client's own slot first: while it waits for that, it must not hold
	// one of those that others wait for.
	if err := take(ctx, own.hashing); err != nil {
		s.dequeue(who)
		return nil, err
	}
	if err := take(ctx, s.hashing); err != nil {
		<-own.hashing
		s.dequeue(who)
		return nil, err
	}
	return func() {
		<-s.hashing
		<-own.hashing
		s.dequeue(who)
	}, nil
}

func take(ctx context.Context, slot chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slots) enqueue(who netip.Prefix) (*clientSlot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.clients[who]
	if own == nil {
		own = &clientSlot{hashing: make(chan struct{}, 1)}
	}
	if s.queued == maxQueue || own.queued == maxQueuePerClient {
		return nil, ErrBusy
	}
	s.queued++
	own.queued++
	s.clients[who] = own
	return own, nil
}

func (s *slots) dequeue(who netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued--
	s.clients[who].queued--
	if s.clients[who].queued == 0 {
		delete(s.clients, who)
	}
}

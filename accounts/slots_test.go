package accounts

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
)

func clientNumber(i int) netip.Prefix {
	return ClientOf(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
}

// waiter is one acquire, running in its own goroutine.
type waiter struct {
	release func()
	err     error
	cancel  context.CancelFunc
}

func wait(s *slots, who netip.Prefix) *waiter {
	ctx, cancel := context.WithCancel(context.Background())
	w := &waiter{cancel: cancel}
	go func() { w.release, w.err = s.acquire(ctx, who) }()
	synctest.Wait()
	return w
}

func (w *waiter) state() string {
	switch {
	case w.release != nil:
		return "hashing"
	case w.err != nil:
		return w.err.Error()
	}
	return "waiting"
}

func wantState(t *testing.T, name string, w *waiter, want string) {
	t.Helper()
	synctest.Wait()
	if w.state() != want {
		t.Errorf("%s: %s, want %s", name, w.state(), want)
	}
}

func TestTwoHashingsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots()
		first, second, third := wait(s, clientNumber(1)), wait(s, clientNumber(2)), wait(s, clientNumber(3))
		wantState(t, "first", first, "hashing")
		wantState(t, "second", second, "hashing")
		wantState(t, "third", third, "waiting")
		first.release()
		wantState(t, "third, after the first", third, "hashing")
		second.release()
		third.release()
		if s.queued != 0 || len(s.clients) != 0 {
			t.Errorf("%d still queued, %d clients", s.queued, len(s.clients))
		}
	})
}

func TestOneHashingPerClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots()
		first, second, other := wait(s, clientNumber(1)), wait(s, clientNumber(1)), wait(s, clientNumber(2))
		wantState(t, "first", first, "hashing")
		wantState(t, "second of the same client", second, "waiting")
		wantState(t, "other client", other, "hashing")
		other.release()
		wantState(t, "second, after the other", second, "waiting")
		first.release()
		wantState(t, "second, after the first", second, "hashing")
		second.release()
	})
}

func TestWaitersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots()
		holders := []*waiter{wait(s, clientNumber(1)), wait(s, clientNumber(2))}
		forOwn, forAny, next := wait(s, clientNumber(1)), wait(s, clientNumber(3)), wait(s, clientNumber(3))
		forOwn.cancel()
		forAny.cancel()
		wantState(t, "waiting for its own slot", forOwn, context.Canceled.Error())
		wantState(t, "waiting for any slot", forAny, context.Canceled.Error())
		wantState(t, "after one that left", next, "waiting")
		for _, h := range holders {
			h.release()
		}
		wantState(t, "after one that left, with free slots", next, "hashing")
		next.release()
		if s.queued != 0 || len(s.clients) != 0 {
			t.Errorf("%d still queued, %d clients", s.queued, len(s.clients))
		}
	})
}

func TestCancelledBeforeTheStart(t *testing.T) {
	s := newSlots()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.acquire(ctx, clientNumber(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v with a free slot", err)
	}
	if s.queued != 0 || len(s.hashing) != 0 {
		t.Errorf("%d queued, %d hashing", s.queued, len(s.hashing))
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots()
		var waiters []*waiter
		for range maxQueuePerClient {
			waiters = append(waiters, wait(s, clientNumber(1)))
		}
		wantState(t, "one client's half is full", wait(s, clientNumber(1)), ErrBusy.Error())
		for i := range maxQueue - maxQueuePerClient {
			waiters = append(waiters, wait(s, clientNumber(2+i)))
		}
		wantState(t, "the queue is full", wait(s, clientNumber(1000)), ErrBusy.Error())
		if len(s.clients) != 1+maxQueue-maxQueuePerClient {
			t.Errorf("%d clients known", len(s.clients))
		}
		for _, w := range waiters {
			w.cancel()
		}
		synctest.Wait()
		for _, w := range waiters {
			if w.release != nil {
				w.release()
			}
		}
		if s.queued != 0 || len(s.clients) != 0 || len(s.hashing) != 0 {
			t.Errorf("%d still queued, %d clients, %d hashing", s.queued, len(s.clients), len(s.hashing))
		}
	})
}

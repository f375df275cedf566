package proxy

import (
	"net"
	"net/netip"
	"testing"

	"oauthproxy/internal/wire"
)

func newArrival(address, account, login string) *Session {
	here, _ := net.Pipe()
	return &Session{Client: wire.New(here), address: netip.MustParseAddr(address), Account: account, login: login}
}

func TestLimits(t *testing.T) {
	const a, b, c = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	tests := []struct {
		name   string
		limits Limits
		want   [4]bool // who is let in, of those below
	}{
		{"none", Limits{}, [4]bool{true, true, true, true}},
		{"sessions", Limits{Sessions: 2}, [4]bool{true, true, false, false}},
		{"per address", Limits{SessionsPerAddress: 1}, [4]bool{true, false, true, true}},
		{"per login", Limits{SessionsPerLogin: 1}, [4]bool{true, true, false, true}},
		{"all", Limits{Sessions: 3, SessionsPerAddress: 2, SessionsPerLogin: 2}, [4]bool{true, true, true, false}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			census := newCensus(test.limits)
			arrivals := []*Session{
				newArrival(a, "m1", "alice"),
				newArrival(a, "m1", "bob"),
				newArrival(b, "m1", "alice"),
				newArrival(c, "m2", "alice"), // another login: that of another account
			}
			for i, s := range arrivals {
				if _, ok := census.arrive(s); !ok {
					t.Fatal("not let in")
				}
				if got := census.logIn(s); got != test.want[i] {
					t.Errorf("%d: logIn = %v", i, got)
				}
			}
			for _, s := range arrivals {
				census.leave(s)
			}
			if census.loggedIn != 0 || len(census.byAddr) != 0 || len(census.byLogin) != 0 || len(census.present) != 0 || census.arriving.Len() != 0 {
				t.Errorf("left over: %+v", &census)
			}
		})
	}
}

// A login that the upstream refuses is taken back, and counts again as one
// that arrives.
func TestLogOut(t *testing.T) {
	census := newCensus(Limits{Sessions: 1})
	first, second := newArrival("192.0.2.1", "m", "a"), newArrival("192.0.2.1", "m", "b")
	census.arrive(first)
	census.arrive(second)
	if !census.logIn(first) || census.logIn(second) {
		t.Fatal("the limit isn't held")
	}
	census.logOut(first)
	if census.arriving.Len() != 2 {
		t.Errorf("%d arrive", census.arriving.Len())
	}
	if !census.logIn(second) {
		t.Error("the place isn't free again")
	}
	census.leave(first)
	census.leave(second)
	census.logOut(second) // has left: nothing to take back
	if census.loggedIn != 0 || census.arriving.Len() != 0 || len(census.present) != 0 {
		t.Errorf("left over: %+v", &census)
	}
}

// When too many arrive the oldest makes way, and can't log in any more.
func TestOldestMakesWay(t *testing.T) {
	census := newCensus(Limits{})
	var all []*Session
	for range maxArriving {
		s := newArrival("192.0.2.1", "m", "a")
		if oldest, ok := census.arrive(s); oldest != nil || !ok {
			t.Fatal("one had to make way too early")
		}
		all = append(all, s)
	}
	if !census.logIn(all[0]) {
		t.Fatal("the oldest can't log in")
	}
	census.logOut(all[0]) // and is the youngest now
	for i := range 3 {
		oldest, ok := census.arrive(newArrival("192.0.2.2", "m", "b"))
		if !ok || oldest != all[1+i] {
			t.Fatalf("number %d didn't make way", 1+i)
		}
		if census.logIn(oldest) {
			t.Error("one that had to make way logs in")
		}
		census.leave(oldest)
	}
	if census.arriving.Len() != maxArriving {
		t.Errorf("%d arrive", census.arriving.Len())
	}
}

func TestStop(t *testing.T) {
	census := newCensus(Limits{})
	arriving, relaying := newArrival("192.0.2.1", "m", "a"), newArrival("192.0.2.1", "m", "b")
	census.arrive(arriving)
	census.arrive(relaying)
	census.logIn(relaying)
	census.stop()
	for _, s := range []*Session{arriving, relaying} {
		if !s.Client.Interrupted() {
			t.Error("a session isn't told")
		}
	}
	if _, ok := census.arrive(newArrival("192.0.2.1", "m", "c")); ok || !census.stopping {
		t.Error("one more is let in")
	}
}

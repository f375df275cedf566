package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
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
			if census.loggedIn != 0 || len(census.byAddr) != 0 || len(census.byLogin) != 0 || len(census.present) != 0 || len(census.arriving) != 0 || census.arrived != 0 {
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
	if census.arrived != 2 {
		t.Errorf("%d arrive", census.arrived)
	}
	if !census.logIn(second) {
		t.Error("the place isn't free again")
	}
	census.leave(first)
	census.leave(second)
	census.logOut(second) // has left: nothing to take back
	if census.loggedIn != 0 || census.arrived != 0 || len(census.arriving) != 0 || len(census.present) != 0 {
		t.Errorf("left over: %+v", &census)
	}
}

// When too many of one client arrive its oldest makes way, and can't log in any more.
func TestOldestMakesWay(t *testing.T) {
	census := newCensus(Limits{})
	var all []*Session
	for range maxArrivingPerClient {
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
		oldest, ok := census.arrive(newArrival("192.0.2.1", "m", "b"))
		if !ok || oldest != all[1+i] {
			t.Fatalf("number %d didn't make way", 1+i)
		}
		if census.logIn(oldest) {
			t.Error("one that had to make way logs in")
		}
		census.leave(oldest)
	}
	if census.arrived != maxArrivingPerClient {
		t.Errorf("%d arrive", census.arrived)
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

// arriveFrom lets so many sessions of an address arrive, and returns them and
// those who had to make way.
func arriveFrom(t *testing.T, c *census, address string, n int) (came, expelled []*Session) {
	t.Helper()
	for range n {
		s := newArrival(address, "m", "a")
		other, ok := c.arrive(s)
		if !ok {
			t.Fatal("not let in")
		}
		came = append(came, s)
		if other != nil {
			expelled = append(expelled, other)
		}
	}
	return came, expelled
}

// The client that has most connections makes way for others, whoever came
// first. An IPv6 /64 is one client.
func TestLargestMakesWay(t *testing.T) {
	census := newCensus(Limits{})
	few, _ := arriveFrom(t, &census, "192.0.2.1", 10)
	var many []*Session
	for i := range 200 {
		came, _ := arriveFrom(t, &census, fmt.Sprintf("2001:db8::%x", i), 1)
		many = append(many, came...)
	}
	for i := range maxArriving - 210 {
		arriveFrom(t, &census, fmt.Sprintf("198.18.%d.%d", i/256, i%256), 1)
	}
	_, expelled := arriveFrom(t, &census, "192.0.2.2", 100)
	if !slices.Equal(expelled, many[:100]) {
		t.Fatalf("%d made way, want those of the client with most", len(expelled))
	}
	_, expelled = arriveFrom(t, &census, "192.0.2.2", 50) // which has as many now
	for _, other := range expelled {
		if other.address != netip.MustParseAddr("192.0.2.2") && other.address.Is4() {
			t.Errorf("%v made way", other.address)
		}
	}
	if census.present[few[0]] == nil {
		t.Error("one with few made way")
	}
}

// Of clients with one connection each, the one that has waited longest without
// showing credentials makes way.
func TestIdleOnesMakeWayFirst(t *testing.T) {
	census := newCensus(Limits{})
	var all []*Session
	for i := range maxArriving {
		came, _ := arriveFrom(t, &census, fmt.Sprintf("198.18.%d.%d", i/256, i%256), 1)
		all = append(all, came...)
	}
	census.hasShown(all[0])
	_, expelled := arriveFrom(t, &census, "192.0.2.1", 2)
	if !slices.Equal(expelled, all[1:3]) {
		t.Error("not the idle ones made way")
	}
	census.hasShown(all[1]) // too late
	if census.logIn(all[1]) || !census.logIn(all[0]) {
		t.Error("the wrong one logs in")
	}
	for range maxArriving - 1 {
		if census.outstay() == nil {
			t.Fatal("nobody makes way")
		}
	}
	if census.outstay() != nil || census.arrived != 0 || len(census.arriving) != 0 {
		t.Error("somebody is left")
	}
}

// BenchmarkArrive is what a flood from many addresses costs, one connection of
// each, when the census is full.
func BenchmarkArrive(b *testing.B) {
	census := newCensus(Limits{})
	arrivals := make([]*Session, 2*maxArriving)
	for i := range arrivals {
		arrivals[i] = newArrival(fmt.Sprintf("198.18.%d.%d", i/256, i%256), "m", "a")
	}
	for i := 0; b.Loop(); i++ {
		if other, _ := census.arrive(arrivals[i%len(arrivals)]); other != nil {
			census.leave(other)
		}
	}
}

package accounts

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		f := m.fingerprint("user", "password", "hash")
		if m.has(f) {
			t.Fatal("remembers what it never saw")
		}
		m.add(f)
		time.Sleep(rememberFor - time.Nanosecond)
		if !m.has(f) {
			t.Error("forgot within the hour")
		}
		m.add(f) // using it again doesn't prolong it
		time.Sleep(time.Nanosecond)
		if m.has(f) {
			t.Error("remembers after the hour")
		}
		m.add(f)
		if !m.has(f) || len(m.order) != 1 || len(m.until) != 1 {
			t.Errorf("added anew: remembered %v, %d in order, %d kept", m.has(f), len(m.order), len(m.until))
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	number := func(i int) fingerprint { return fingerprint{byte(i), byte(i >> 8), byte(i >> 16)} }
	const added = 3*maxRemembered + 7
	for i := range added {
		m.add(number(i))
	}
	if len(m.until) != maxRemembered || len(m.order) != maxRemembered {
		t.Errorf("%d kept, %d in order, want %d", len(m.until), len(m.order), maxRemembered)
	}
	if m.has(number(added - maxRemembered - 1)) {
		t.Error("kept one of the oldest")
	}
	if !m.has(number(added-maxRemembered)) || !m.has(number(added-1)) {
		t.Error("lost one of the newest")
	}
}

func TestFingerprintFieldsDontRunTogether(t *testing.T) {
	m := newMemory()
	same := m.fingerprint("ab", "c", "d")
	for _, other := range [][3]string{{"a", "bc", "d"}, {"ab", "", "cd"}, {"abc", "", "d"}, {"ab", "cd", ""}} {
		if m.fingerprint(other[0], other[1], other[2]) == same {
			t.Errorf("%q looks like another triple", other)
		}
	}
	if newMemory().fingerprint("ab", "c", "d") == same {
		t.Error("two memories share a key")
	}
}

package proxy

import (
	"slices"
	"testing"
)

// TestLedger: it forgets what has not been written for longest.
func TestLedger(t *testing.T) {
	l := newLedger[string, string](3)
	for _, key := range []string{"a", "b", "c", "a", "d", "a", "e"} {
		l.write(key, func(value *string) { *value += key })
	}
	if got, want := l.all(), []string{"e", "aaa", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(l.notes) != 3 {
		t.Errorf("%d keys are kept", len(l.notes))
	}
}

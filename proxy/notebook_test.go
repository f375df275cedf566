package proxy

import (
	"slices"
	"testing"
)

// A notebook forgets what has not been written for longest.
func TestNotebook(t *testing.T) {
	n := newNotebook[string, string](3)
	for _, key := range []string{"a", "b", "c", "a", "d", "a", "e"} {
		n.write(key, func(value *string) { *value += key })
	}
	if got, want := n.all(), []string{"e", "aaa", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(n.notes) != 3 {
		t.Errorf("%d keys are kept", len(n.notes))
	}
}

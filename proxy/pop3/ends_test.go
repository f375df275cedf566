package pop3

import (
	"strings"
	"testing"
)

// What Exchange says at the end of a session, and what we make of it.
func TestLastWords(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		left  bool
		cause string // a piece of it; "": it ended in good order
	}{
		{"after QUIT", []string{"+OK Microsoft Exchange Server POP3 server signing off."}, true, ""},
		{"a refusal", []string{"-ERR Server Unavailable. 21"}, true, "Exchange said: -ERR Server Unavailable. 21"},
		{"a refusal, and the client goes", []string{"-ERR Command is not valid in this state."}, false, ""},
		{"nothing, and the client goes", nil, false, ""},
		{"half a line", nil, true, "in the middle of a line"},
		{"in a message", []string{"Dear Alice, 4711"}, true, "without saying why"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := lastWords(test.lines, test.left)
			switch {
			case test.cause == "" && f != nil:
				t.Errorf("it counts as a failure: %v", f)
			case test.cause != "" && (f == nil || !strings.Contains(f.Error(), test.cause) || !f.Lost):
				t.Errorf("got %v, want %q", f, test.cause)
			}
			if f != nil && strings.Contains(f.Error(), "4711") {
				t.Errorf("a line of a message is told: %v", f)
			}
		})
	}
}

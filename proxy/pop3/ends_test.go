package pop3

import (
	"strings"
	"testing"
)

// What Exchange says at the end of a session, and what we make of it: nothing
// of it is repeated, as it may be a line of a message.
func TestLastWords(t *testing.T) {
	tests := []struct {
		name, said string
		cause      string // a piece of it; "": it ended in good order
	}{
		{"after QUIT", "+OK Microsoft Exchange Server POP3 server signing off.\r\n", ""},
		{"a refusal", "-ERR Server Unavailable. 4711\r\n", "behind a refusal"},
		{"a message's line like a refusal", "+OK\r\nDear Alice,\r\n-ERR Request is throttled. Suggested Backoff Time: 300000 milliseconds 4711\r\n", "or within a message"},
		{"nothing", "", "in the middle of a line"},
		{"half a line", "-ERR Server 4711", "in the middle of a line"},
		{"in a message", "Dear Alice, 4711\r\n", "without saying why"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var w lastWords
			w.Hear([]byte(test.said))
			f := w.Why(w.Lines())
			switch {
			case test.cause == "" && f != nil:
				t.Errorf("it counts as a failure: %v", f)
			case test.cause != "" && (f == nil || !strings.Contains(f.Error(), test.cause) || !f.Lost):
				t.Errorf("got %v, want %q", f, test.cause)
			}
			if f != nil && (strings.Contains(f.Error(), "4711") || f.RetryAfter > 0 || f.Generic) {
				t.Errorf("a line of a message counts: %+v", f)
			}
		})
	}
}

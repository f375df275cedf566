package proxy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"a BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds": 92415 * time.Millisecond,
		"request is THROTTLED. suggested backoff time: 1 milliseconds":           time.Millisecond,
		"Suggested Backoff Time: 999999999 milliseconds":                         999999999 * time.Millisecond,
		"Suggested Backoff Time: 9999999999 milliseconds":                        0,
		"Suggested Backoff Time: -5 milliseconds":                                0,
		"Suggested Backoff Time: 5 seconds":                                      0,
		"AUTHENTICATE failed.":                                                   0,
	} {
		if got := Backoff(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// A refusal is given again for a while, with the seconds that are left where
// the mail server has named a time; then it is only shown.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name  string
		asked time.Duration
		pause time.Duration
		text  string // after half the pause
	}{
		{"an ordinary one", 0, 10 * time.Second, "Exchange refused the login to this mailbox, ask the administrator (session X)"},
		{"throttled", 92415 * time.Millisecond, 92415 * time.Millisecond, "the mail server asks for a pause, try again in 47 seconds (session X)"},
		{"throttled for too long", time.Hour, 5 * time.Minute, "the mail server asks for a pause, try again in 150 seconds (session X)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r refusals
				key := refusalKey{"alice", "imap"}
				r.note(key, &Failure{Kind: UpstreamRefused, Cause: errors.New("no"), RetryAfter: test.asked}, refusalMemory)
				time.Sleep(test.pause / 2)
				again := r.again(key)
				if again == nil || again.Sentence("X") != test.text {
					t.Fatalf("it is %v", again)
				}
				if other := r.again(refusalKey{"alice", "smtp"}); other != nil {
					t.Errorf("the other protocol is refused: %v", other)
				}
				time.Sleep(test.pause / 2)
				if again := r.again(key); again != nil {
					t.Errorf("it is still given: %v", again)
				}
				all := r.of("alice")
				if len(all) != 1 || all[0].Text != "upstream refused: no" || all[0].Until.Sub(all[0].At) != test.pause {
					t.Errorf("shown is %+v", all)
				}
				r.forget(key)
				if all := r.of("alice"); len(all) > 0 {
					t.Errorf("after a login there is still %+v", all)
				}
			})
		})
	}
}

// The tail holds the last bytes, however they came.
func TestTail(t *testing.T) {
	text := []byte(strings.Repeat("0123456789abcdef", 40))
	for size := 1; size <= len(text); size++ {
		var kept Tail
		for part := range slices.Chunk(text, size) {
			kept.Hear(part)
		}
		if got := string(kept.kept[:kept.n]); got != string(text[len(text)-256:]) {
			t.Fatalf("in pieces of %d: %q", size, got)
		}
	}
}

func TestTailLines(t *testing.T) {
	tests := []struct {
		said string
		want []string
	}{
		{"", nil},
		{"* BYE", nil},
		{"a\r\n* BYE x\r\n", []string{"a", "* BYE x"}},
		{"* BYE bare\n", []string{"* BYE bare"}},
		{strings.Repeat("x", 300) + "\r\n* BYE x\r\n", []string{"* BYE x"}},
		{strings.Repeat("x", 300) + "\r\n", nil},
	}
	for _, test := range tests {
		var kept Tail
		kept.Hear([]byte(test.said))
		if got := kept.Lines(); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q", test.said, got)
		}
	}
}

package imap

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"oauthproxy/proxy"
)

// What Exchange says at the end of a session, and what we make of it.
func TestLastWords(t *testing.T) {
	const logout = "* BYE Microsoft Exchange Server IMAP4 server signing off."
	tests := []struct {
		name    string
		lines   []string
		cause   string // a piece of it; "" is a proper goodbye
		generic bool
		usual   bool
		pause   time.Duration
	}{
		{name: "logout", lines: []string{"* 1 EXISTS", logout, "a7 OK LOGOUT completed."}},
		{name: "expired while idle", lines: []string{"+ IDLE accepted, awaiting DONE command.", "* BYE Session invalidated - AccessTokenExpired"},
			cause: "the next login gets a fresh one", generic: true, usual: true},
		{name: "expired in a command", lines: []string{"a7 BAD Session invalidated - AccessTokenExpired"},
			cause: "the next login gets a fresh one", generic: true, usual: true},
		{name: "expired in a command, NO", lines: []string{"a7 NO Session invalidated - AccessTokenExpired"},
			cause: "the next login gets a fresh one", generic: true, usual: true},
		{name: "expired, with a tagged no behind", lines: []string{"* BYE Session invalidated - AccessTokenExpired", "a7 NO SELECT failed."},
			cause: "the next login gets a fresh one", generic: true, usual: true},
		{name: "revoked", lines: []string{"* BYE Session invalidated - Invalid"}, cause: "has revoked the session", generic: true},
		{name: "not connected", lines: []string{"a7 BAD User is authenticated but not connected."}, cause: "Set-CASMailbox"},
		{name: "too many refused", lines: []string{"a7 BAD User is authenticated but not connected.", "* BYE Connection closed. 14"},
			cause: "said: * BYE Connection closed. 14 (Exchange has refused too many commands"},
		{name: "throttled", lines: []string{"a7 BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"},
			cause: "used up what Exchange allows", pause: 92415 * time.Millisecond},
		{name: "a fault", lines: []string{"a7 BAD Server Unavailable. 15", "* BYE Connection closed."}, cause: "said: * BYE Connection closed."},
		{name: "idle", lines: []string{"* BYE Connection is closed. 13"}, cause: "was idle for too long", usual: true},
		{name: "nothing", cause: "in the middle of a line, or without a word"},
		{name: "any other line", lines: []string{"a7 OK NOOP completed."}, cause: "without saying why"},
		{name: "control characters", lines: []string{"* BYE \x1b[31mred"}, cause: "* BYE ?[31mred"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := lastWords(test.lines, true)
			if test.cause == "" {
				if f != nil {
					t.Errorf("it counts as a failure: %v", f)
				}
				return
			}
			if f == nil || !strings.Contains(f.Error(), test.cause) || f.Kind == proxy.BadCredentials {
				t.Fatalf("got %v, want %q", f, test.cause)
			}
			if f.Generic != test.generic || f.Usual != test.usual || f.RetryAfter != test.pause {
				t.Errorf("generic %v, usual %v, pause %v", f.Generic, f.Usual, f.RetryAfter)
			}
		})
	}
}

// When the client is the first to go, only a BYE tells more.
func TestLastWordsAfterTheClientLeft(t *testing.T) {
	if f := lastWords([]string{"* BYE Session invalidated - AccessTokenExpired"}, false); f == nil || !f.Generic {
		t.Errorf("BYE is %v", f)
	}
	for _, lines := range [][]string{nil, {"a7 BAD Session invalidated - AccessTokenExpired"}, {"* 1 EXISTS"}} {
		if f := lastWords(lines, false); f != nil {
			t.Errorf("%q is %v", lines, f)
		}
	}
}

// A line of a message is no word of Exchange's: none gets into the log.
func TestLastWordsAreNoMessage(t *testing.T) {
	for _, line := range []string{
		"Dear Alice, the code is 4711", "* 1 FETCH (BODY[] 4711", "a7 NO to 4711", "BYE 4711", "a7 * BYE 4711",
		"a7 NO 4711 Session invalidated - AccessTokenExpired", ")", "", " ",
	} {
		if f := lastWords([]string{line}, true); f != nil && strings.Contains(f.Error(), "4711") {
			t.Errorf("%q: %v", line, f)
		}
	}
}

// Whatever comes last, it is understood without a panic, and what is logged is
// printable and short.
func FuzzLastWords(f *testing.F) {
	f.Add([]byte("* BYE Session invalidated - AccessTokenExpired"))
	f.Add([]byte("a1 OK\n* BYE x\na2 NO Request is throttled. Suggested Backoff Time: 999999999 milliseconds"))
	f.Fuzz(func(t *testing.T, said []byte) {
		var lines []string
		for line := range bytes.SplitSeq(said, []byte("\n")) {
			lines = append(lines, string(line))
		}
		failure := lastWords(lines, true)
		if failure == nil {
			return
		}
		text := failure.Error()
		if len(text) > 2000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			t.Errorf("%q", text)
		}
	})
}

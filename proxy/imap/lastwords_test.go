package imap

import (
	"bytes"
	"slices"
	"strings"
	"testing"

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
		{name: "expired, and too many refused", lines: []string{"a7 NO Session invalidated - AccessTokenExpired", "* BYE Connection closed. 14"},
			cause: "the next login gets a fresh one", generic: true, usual: true},
		{name: "expired, untagged, and closed", lines: []string{"* BAD Session invalidated - AccessTokenExpired", "* BYE Connection closed."},
			cause: "the next login gets a fresh one", generic: true, usual: true},
		{name: "expired, and LOGOUT", lines: []string{"a7 NO Session invalidated - AccessTokenExpired", logout, "a8 OK LOGOUT completed."},
			cause: "the next login gets a fresh one", generic: true, usual: true},
		{name: "a folder of that name", lines: []string{`* LIST () "/" AccessTokenExpired`, logout, "a8 OK LOGOUT completed."}},
		{name: "revoked", lines: []string{"* BYE Session invalidated - Invalid"}, cause: "has revoked the session", generic: true},
		{name: "not connected", lines: []string{"a7 BAD User is authenticated but not connected."}, cause: "Set-CASMailbox"},
		{name: "too many refused", lines: []string{"a7 BAD User is authenticated but not connected.", "* BYE Connection closed. 14"},
			cause: "said: * BYE Connection closed. 14: Exchange has refused too many commands"},
		{name: "throttled", lines: []string{"a7 BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"},
			cause: "used up what Exchange allows"},
		{name: "a fault", lines: []string{"a7 BAD Server Unavailable. 15", "* BYE Connection closed."}, cause: "a fault at Microsoft: nothing to do here but wait"},
		{name: "a fault, and LOGOUT", lines: []string{"a7 BAD Server Unavailable. 15", logout, "a8 OK LOGOUT completed."}},
		{name: "a BYE that is not known", lines: []string{"a7 NO no such folder", "* BYE Connection closed."}, cause: "said: * BYE Connection closed."},
		{name: "idle", lines: []string{"* BYE Connection is closed. 13"}, cause: "was idle for too long", usual: true},
		{name: "nothing", cause: "in the middle of a line, or without a word"},
		{name: "any other line", lines: []string{"a7 OK NOOP completed."}, cause: "without saying why"},
		{name: "control characters", lines: []string{"* BYE \x1b[31mred"}, cause: "* BYE ?[31mred"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := new(lastWords).Why(test.lines)
			if test.cause == "" {
				if f != nil {
					t.Errorf("it counts as a failure: %v", f)
				}
				return
			}
			if f == nil || f.Kind == proxy.BadCredentials {
				t.Fatalf("got %v", f)
			}
			if text := f.Error() + ": " + f.Remedy.Says + ": " + f.Remedy.Do; !strings.Contains(text, test.cause) {
				t.Errorf("got %s, want %q", text, test.cause)
			}
			if f.Generic != test.generic || f.Usual != test.usual {
				t.Errorf("generic %v, usual %v", f.Generic, f.Usual)
			}
		})
	}
}

// A line of a message is no word of Exchange's: none gets into the log.
func TestLastWordsAreNoMessage(t *testing.T) {
	for _, line := range []string{
		"Dear Alice, the code is 4711", "* 1 FETCH (BODY[] 4711", "a7 NO to 4711", "BYE 4711", "a7 * BYE 4711",
		"a7 NO 4711 Session invalidated - AccessTokenExpired", ")", "", " ",
	} {
		if f := new(lastWords).Why([]string{line}); f != nil && strings.Contains(f.Error(), "4711") {
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
		failure := new(lastWords).Why(lines)
		if failure == nil {
			return
		}
		text := failure.Error()
		if len(text) > 2000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			t.Errorf("%q", text)
		}
	})
}

// What stands in a literal is a message's, whatever it looks like and however
// the stream is cut.
func TestLastWordsOutsideLiterals(t *testing.T) {
	const poison = "* BYE Session invalidated - AccessTokenExpired\r\n"
	tests := []struct {
		name, said string
		want       []string
	}{
		{"none", "* 1 EXISTS\r\na OK done\r\n", []string{"* 1 EXISTS", "a OK done"}},
		{"one", "* 1 FETCH (BODY[] {48}\r\n" + poison + ")\r\na OK done\r\n", []string{"* 1 FETCH (BODY[] {48}", ")", "a OK done"}},
		{"two", "* 1 FETCH (BODY[1] {48}\r\n" + poison + " BODY[2] {48}\r\n" + poison + ")\r\n",
			[]string{"* 1 FETCH (BODY[1] {48}", " BODY[2] {48}", ")"}},
		{"binary", "* 1 FETCH (BINARY[1] ~{48}\r\n" + poison + ")\r\n", []string{"* 1 FETCH (BINARY[1] ~{48}", ")"}},
		{"empty", "* 1 FETCH (BODY[] {0}\r\n)\r\n", []string{"* 1 FETCH (BODY[] {0}", ")"}},
		{"cut off", "* 1 FETCH (BODY[] {4096}\r\n" + poison, nil},
		{"cut off behind it", "* 1 FETCH (BODY[] {48}\r\n" + poison, []string{"* 1 FETCH (BODY[] {48}"}},
		{"larger than 4 GiB", "* 1 FETCH (BODY[] {99999999999}\r\n" + poison, nil},
		{"beyond any number", "* OK {99999999999999999999}\r\n" + poison, []string{"* OK {99999999999999999999}", strings.TrimSpace(poison)}},
		{"braces without a length", "* OK {-1}\r\n* OK {}\r\n* OK }\r\n", []string{"* OK {-1}", "* OK {}", "* OK }"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for size := 1; size <= len(test.said); size++ {
				var w lastWords
				for piece := range slices.Chunk([]byte(test.said), size) {
					w.Hear(piece)
				}
				if got := w.Lines(); !slices.Equal(got, test.want) {
					t.Fatalf("in pieces of %d: %q", size, got)
				}
			}
		})
	}
}

// BenchmarkLastWords is what listening costs a relay.
func BenchmarkLastWords(b *testing.B) {
	for name, said := range map[string]string{
		"literals": "* 1 FETCH (BODY[] {65000}\r\n" + strings.Repeat("Dear Alice\r\n", 65000/12+1)[:65000] + ")\r\n",
		"lines":    strings.Repeat("* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n", 1900),
	} {
		b.Run(name, func(b *testing.B) {
			var w lastWords
			p := []byte(said)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				w.Hear(p)
			}
		})
	}
}

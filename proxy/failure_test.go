package proxy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Every kind has a name for the log and a sentence for the client; the
// connection ends where the failure list says so.
func TestKinds(t *testing.T) {
	if len(kinds) != int(Internal) {
		t.Errorf("%d kinds are described, there are %d", len(kinds), int(Internal))
	}
	ends := map[Kind]bool{TooManyAttempts: true, ShuttingDown: true, Busy: true}
	for kind := BadCredentials; kind <= Internal; kind++ {
		f := &Failure{Kind: kind}
		if kind.String() == "" || f.Error() != kind.String() {
			t.Errorf("kind %d has no name", kind)
		}
		sentence := f.Sentence("7Q3F")
		if !strings.HasSuffix(sentence, " (session 7Q3F)") || len(sentence) < 30 || strings.ContainsAny(sentence, "\r\n") {
			t.Errorf("%s: the client is told %q", kind, sentence)
		}
		if f.Ends() != ends[kind] {
			t.Errorf("%s: Ends = %v", kind, f.Ends())
		}
	}
}

func TestFailure(t *testing.T) {
	cause := errors.New("HTTP 503")
	f := &Failure{Kind: TokenUnavailable, Text: "try again", Cause: cause}
	if got := f.Sentence("X"); got != "try again (session X)" {
		t.Errorf("Sentence = %q", got)
	}
	if f.Error() != "token unavailable: HTTP 503" || !errors.Is(f, cause) {
		t.Errorf("Error = %q", f)
	}
	if got := AsFailure(fmt.Errorf("while logging in: %w", f)); got != f {
		t.Errorf("AsFailure of a wrapped failure = %v", got)
	}
	if got := AsFailure(cause); got.Kind != Internal || !errors.Is(got, cause) {
		t.Errorf("AsFailure of another error = %v", got)
	}
	if strings.Contains(AsFailure(cause).Sentence("X"), "503") {
		t.Error("the client is told the cause")
	}
}

func TestSanitize(t *testing.T) {
	for text, want := range map[string]string{
		"250 ok":                 "250 ok",
		"":                       "",
		"a\r\nb\x00\x7f\xffc":    "a??b???c",
		"jürgen":                 "jürgen",
		strings.Repeat("x", 200): strings.Repeat("x", 200),
		strings.Repeat("ü", 900): strings.Repeat("ü", 200) + "…",
		strings.Repeat("x", 201): strings.Repeat("x", 200) + "…",
	} {
		if got := Sanitize([]byte(text)); got != want {
			t.Errorf("Sanitize(%.20q) = %.30q", text, got)
		}
	}
}

//go:build linux

package interop

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"oauthproxy/internal/sandbox"
)

// unmistakable is a part of every password, and of nothing else.
var unmistakable = newText(16)

// secrets are what gives a password or a token away.
var secrets = map[string]*regexp.Regexp{
	"a password":           regexp.MustCompile(unmistakable),
	"a password in base64": inBase64(unmistakable),
	// The beginning of two objects in base64url.
	"an access token": regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.eyJ`),
	// The last letter of each holds a part of what follows too.
	"an XOAUTH2 response":            regexp.MustCompile(encode("user=")[:6]),
	"an access token, in a response": inBase64("\x01auth=Bearer "),
}

// inBase64 finds a text in base64, wherever in the encoded text it stands.
func inBase64(text string) *regexp.Regexp {
	var forms []string
	for before := range 3 {
		form := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + text))
		// At both ends a letter holds a part of the neighbour too.
		first := []int{0, 2, 3}[before]
		forms = append(forms, regexp.QuoteMeta(form[first:len(form)-1]))
	}
	return regexp.MustCompile(strings.Join(forms, "|"))
}

// findSecret says what secret a log holds, or nothing.
func findSecret(log string) string {
	for what, secret := range secrets {
		if secret.MatchString(log) {
			return what
		}
	}
	return ""
}

// TestSecretsAreFound makes sure that the look into the logs sees something.
func TestSecretsAreFound(t *testing.T) {
	s := newStandIn(t)
	password := "any " + unmistakable + " thing"
	token := s.IssueToken("", sandbox.TokenOptions{})
	for name, line := range map[string]string{
		"PASS":             "PASS " + password,
		"PLAIN":            plain("a", password),
		"PLAIN, longer":    plain("ab", password),
		"PLAIN, longest":   plain("abc", password),
		"LOGIN":            encode(password),
		"token":            token,
		"XOAUTH2":          encode("user=a\x01auth=Bearer " + token + "\x01\x01"),
		"XOAUTH2, cut off": encode("user=ab\x01auth=Bearer " + token + "\x01\x01")[8:],
	} {
		if findSecret("a line "+line+" and more") == "" {
			t.Errorf("%s: nothing was found", name)
		}
	}
	// The challenge by which a server refuses a token is no secret.
	if what := findSecret("AUTH PLAIN *** + eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIn0="); what != "" {
		t.Errorf("%s was found where there is none", what)
	}
}

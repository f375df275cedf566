package tokens

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"oauthproxy/internal/wire"
)

const (
	// maxWords bounds what we quote of a description, in characters.
	maxWords = 200
	// maxWord is the length of a GUID. Nothing a person reads is longer, but
	// secrets and tokens are.
	maxWord = 36
	// longestName is the longest e-mail address (RFC 5321 section 4.5.3.1).
	longestName = 64 + 1 + 255
)

var (
	codeForm       = regexp.MustCompile(`\bAADSTS([0-9]{1,9})\b`)
	nameForm       = regexp.MustCompile(`^[^\s@]+@[^\s@]+$`)
	identifierForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// code returns Entra's number for the error, or 0.
func (t *tokenError) code() int {
	if len(t.Codes) > 0 && t.Codes[0] > 0 {
		return t.Codes[0]
	}
	if match := codeForm.FindStringSubmatch(t.Description); match != nil {
		code, _ := strconv.Atoi(match[1]) // nine digits at most
		return code
	}
	return 0
}

// identifier returns text if it is a GUID, else "".
func identifier(text string) string {
	if identifierForm.MatchString(text) {
		return text
	}
	return ""
}

// words returns the first sentence of the description, or the error's name;
// nothing of either where the answer repeats a secret it was asked with.
func (t *tokenError) words(secrets []wire.Secret) string {
	for _, secret := range secrets {
		if repeats(t.Error+" "+t.Description, secret.Reveal()) {
			return "the answer repeats a secret and isn't shown"
		}
	}
	if sentence := firstSentence(t.Description); sentence != "" {
		return quotable(sentence)
	}
	return quotable(t.Error)
}

// repeats tells whether text holds the secret in any form that it travels in.
func repeats(text, secret string) bool {
	if secret == "" {
		return false
	}
	// Without padding, so that the form is found with and without.
	for _, form := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// firstSentence cuts a description before the trace ID and at the end of its
// first sentence. Between the parts stands \r\n, or in newer answers a blank.
func firstSentence(description string) string {
	sentence, _, _ := strings.Cut(description, "\n")
	sentence, _, _ = strings.Cut(sentence, "Trace ID:")
	sentence, _, _ = strings.Cut(sentence, ". ")
	return strings.TrimRight(strings.TrimSpace(sentence), ".")
}

// quotable makes text of another's safe to show: printable, of bounded length,
// without overlong words.
func quotable(text string) string { return quote(text, maxWords, maxWord) }

// quotableName does so with a person's name. Those that look like one are kept
// whole: a tenant's guest is called bob_fabrikam.com#EXT#@contoso.onmicrosoft.com.
func quotableName(name string) string {
	if nameForm.MatchString(name) {
		return quote(name, longestName, longestName)
	}
	return quotable(name)
}

func quote(text string, most, longest int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	words := strings.Fields(text)
	for i, word := range words {
		if len(word) > longest {
			words[i] = "..."
		}
	}
	runes := []rune(strings.Join(words, " "))
	return string(runes[:min(len(runes), most)])
}

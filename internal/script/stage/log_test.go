package stage

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Whatever form a secret leaks in, a piece of it is found.
func TestPieces(t *testing.T) {
	const secret = "Zq8-fenk-Ruz!"
	for _, leak := range []string{
		"PASS " + secret,
		"PASS ..8-fenk-R...",
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte("\x00alice\x00" + secret)),
		base64.StdEncoding.EncodeToString([]byte("\x00alic\x00" + secret)),
		base64.StdEncoding.EncodeToString([]byte("\x00ali\x00" + secret + "\x00")),
	} {
		if !holds(leak, secret) {
			t.Errorf("%s is not found in %s", secret, leak)
		}
	}
	for _, harmless := range []string{"PASS ***", "Zq8-fen", base64.StdEncoding.EncodeToString([]byte("Zq8-"))} {
		if holds(harmless, secret) {
			t.Errorf("%s is found in %s", secret, harmless)
		}
	}
}

func holds(text, secret string) bool {
	for _, piece := range Pieces(secret) {
		if strings.Contains(text, piece) {
			return true
		}
	}
	return false
}

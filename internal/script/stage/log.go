package stage

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"
)

// Log keeps what the proxy logs, at debug level.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write takes a piece of the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns the log so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Check finds what must be in no log: a panic, a piece of a secret.
func (l *Log) Check(t testing.TB) {
	t.Helper()
	log := l.String()
	if strings.Contains(log, "please report it") {
		t.Error("a session panicked")
	}
	for _, secret := range secrets {
		for _, piece := range Pieces(secret) {
			if strings.Contains(log, piece) {
				t.Errorf("the log holds %q, a piece of a secret", piece)
			}
		}
	}
}

// Pieces returns what a leaked secret may look like: every 8 bytes of it as it
// is, and of its base64 wherever it stands in the encoded text.
func Pieces(secret string) []string {
	const length = 8
	var pieces []string
	cut := func(text string) {
		for i := 0; i+length <= len(text); i++ {
			pieces = append(pieces, text[i:i+length])
		}
	}
	cut(secret)
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:min(before, 2)] + secret))
		// The characters at either end hold bits of what is around.
		cut(encoded[min(len(encoded), (before*8+5)/6) : len(encoded)-2])
	}
	return pieces
}

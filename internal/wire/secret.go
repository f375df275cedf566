package wire

import (
	"fmt"
	"log/slog"
	"unique"
)

// hidden is what every Secret prints as.
const hidden = "***"

// Secret holds a password, a token or another value that must reach no log,
// error, metric or panic. Whatever prints it prints ***; the value itself
// leaves only through Reveal, so that a search for that word finds every
// place where a secret is used. Secrets of the same value are equal (==).
//
// The value stands behind a handle because fmt doesn't ask what it finds in
// unexported fields how to print it, but doesn't follow a pointer there either.
type Secret struct{ value unique.Handle[string] }

// NewSecret wraps value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{unique.Make(value)}
}

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.IsEmpty() {
		return ""
	}
	return s.value.Value()
}

// IsEmpty tells whether there is no value.
func (s Secret) IsEmpty() bool { return s == Secret{} }

// String returns ***.
func (s Secret) String() string { return hidden }

// GoString returns ***, for %#v.
func (s Secret) GoString() string { return hidden }

// Format writes ***, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText returns ***, for encoding/json and its like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns ***, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

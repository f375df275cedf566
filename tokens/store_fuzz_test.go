package tokens

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"oauthproxy/internal/wire"
)

// fuzzKey is always the same, so that a corpus keeps its meaning.
var fuzzKey = Key{Secret: wire.NewSecret(strings.Repeat("k", keySize)), source: "a test"}

// FuzzUnseal: whatever a file holds, it opens or is refused with a reason that
// shows nothing of the file but its account; and what opens is what seal wrote.
func FuzzUnseal(f *testing.F) {
	good, err := seal(fuzzKey, testAccount, []byte("content"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, length := range []int{0, 2, 3, 4, sealFixed - 1, sealFixed, sealFixed + 1, len(good) - 1} {
		f.Add(good[:length])
	}
	f.Add([]byte("OAP2 of the future"))
	f.Add(append(bytes.Clone(good[:sealFixed-2]), 0xff, 0xff))
	f.Fuzz(func(t *testing.T, data []byte) {
		blob, err := unseal(fuzzKey, "file", testAccount, data)
		if err == nil {
			if !bytes.HasPrefix(data, sealHeader(fuzzKey, testAccount)) || len(data) != len(good)-len("content")+len(blob) {
				t.Fatalf("opened %x", data)
			}
			return
		}
		isKnown := errors.As(err, new(*WrongKey)) || errors.As(err, new(*OtherFormat)) || errors.As(err, new(*Damaged))
		if !isKnown || !strings.HasPrefix(err.Error(), "file ") {
			t.Fatalf("got %T %v", err, err)
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Fatalf("the error holds control characters: %q", err)
		}
	})
}

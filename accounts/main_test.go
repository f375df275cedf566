package accounts

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cheapHash makes a hash that a test can afford.
func cheapHash(password string) string {
	h := &argon2id{memory: 64, passes: 1, lanes: 1, salt: []byte("saltsalt")}
	h.key = h.derive(password, defaultKeyLen)
	return h.String()
}

func newDirectory(t testing.TB, accounts ...Account) *Directory {
	t.Helper()
	d, err := New(accounts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// counter stands between a Directory and its hashes and notes which it used.
type counter struct{ used []hash }

func (c *counter) watch(d *Directory) {
	d.matches = func(h hash, password string) bool {
		c.used = append(c.used, h)
		return h.matches(password)
	}
}

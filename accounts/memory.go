package accounts

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	maxRemembered = 4096
	rememberFor   = time.Hour
)

// fingerprint stands for a user, a password and the hash that it matched.
type fingerprint [sha256.Size]byte

// memory remembers which passwords were found right, because a client that
// connects for every page can't pay for argon2 each time. It holds no
// password: only an HMAC under a key that lives as long as the process.
type memory struct {
	key []byte

	mu sync.Mutex
	// until says how long each success is good for; order has the same ones,
	// oldest first. All last equally long, so they also expire in this order.
	until map[fingerprint]time.Time
	order []fingerprint
}

func newMemory() *memory {
	m := &memory{key: make([]byte, sha256.Size), until: map[fingerprint]time.Time{}}
	_, _ = rand.Read(m.key) // never fails: crypto/rand ends the program instead
	return m
}

// fingerprint writes the length before each field, so that no two triples
// become the same text.
func (m *memory) fingerprint(user, password, hash string) (f fingerprint) {
	mac := hmac.New(sha256.New, m.key)
	for _, field := range []string{user, password, hash} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(field)))
		mac.Write(length[:])
		mac.Write([]byte(field))
	}
	mac.Sum(f[:0])
	return f
}

// has tells whether f was remembered less than an hour ago.
func (m *memory) has(f fingerprint) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, found := m.until[f]
	return found && time.Now().Before(until)
}

// add remembers f for an hour; when there is no room the oldest one goes.
func (m *memory) add(f fingerprint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.order) > 0 && (len(m.order) == maxRemembered || !now.Before(m.until[m.order[0]])) {
		delete(m.until, m.order[0])
		m.order = m.order[1:]
	}
	if _, found := m.until[f]; found {
		return
	}
	m.until[f] = now.Add(rememberFor)
	m.order = append(m.order, f)
}

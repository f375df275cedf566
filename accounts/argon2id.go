package accounts

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const argon2idPrefix = "$argon2id$"

// What Hash makes: OWASP's first choice where memory matters.
const (
	defaultMemory  = 19456 // KiB
	defaultPasses  = 2
	defaultLanes   = 1
	defaultSaltLen = 16
	defaultKeyLen  = 32
)

// What CheckHash allows. The lower bounds are RFC 9106's (section 3.1), where
// they aren't stricter; the upper ones keep one login from eating the machine.
const (
	maxMemory = 256 * 1024 // KiB
	maxPasses = 16
	maxLanes  = 16
	minSalt   = 8
	maxSalt   = 64
	minKey    = 16
	maxKey    = 64
)

// argon2id is a hash of RFC 9106.
type argon2id struct {
	memory, passes, lanes uint32 // memory in KiB
	salt, key             []byte
}

func newArgon2id(password string) *argon2id {
	h := &argon2id{memory: defaultMemory, passes: defaultPasses, lanes: defaultLanes, salt: make([]byte, defaultSaltLen)}
	_, _ = rand.Read(h.salt) // never fails: crypto/rand ends the program instead
	h.key = h.derive(password, defaultKeyLen)
	return h
}

func (h *argon2id) derive(password string, length int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, uint8(h.lanes), uint32(length))
}

func (h *argon2id) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.key)), h.key) == 1
}

// cost: 38,912 KiB filled took 43 ms on a 2.8 GHz Xeon.
func (h *argon2id) cost() int { return int(h.memory) * int(h.passes) * 11 / 10 }

// String returns the hash as a PHC string.
func (h *argon2id) String() string {
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", argon2idPrefix, argon2.Version, h.memory, h.passes, h.lanes,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// parseArgon2id reads $argon2id$v=19$m=...,t=...,p=...$salt$key. Only the
// canonical form passes: what String would write.
func parseArgon2id(text string) (hash, error) {
	fields := strings.Split(strings.TrimPrefix(text, argon2idPrefix), "$")
	if len(fields) != 4 {
		return nil, errors.New("the argon2id hash is incomplete or damaged, copy it whole")
	}
	if fields[0] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, fmt.Errorf("only version %d of argon2 is supported (v=%d), make a new hash with: oauthproxy passwd", argon2.Version, argon2.Version)
	}
	h, err := parseArgon2Parameters(fields[1])
	if err != nil {
		return nil, err
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(fields[2])
	h.key, keyErr = base64.RawStdEncoding.DecodeString(fields[3])
	if saltErr != nil || keyErr != nil || h.String() != text {
		return nil, errors.New("the argon2id hash is damaged, copy it whole")
	}
	return h, h.check()
}

func parseArgon2Parameters(text string) (*argon2id, error) {
	h := &argon2id{}
	names := []string{"m", "t", "p"}
	values := []*uint32{&h.memory, &h.passes, &h.lanes}
	fields := strings.Split(text, ",")
	if len(fields) != len(names) {
		return nil, errors.New("the argon2id hash needs the parameters m, t and p")
	}
	for i, field := range fields {
		digits, found := strings.CutPrefix(field, names[i]+"=")
		value, err := strconv.ParseUint(digits, 10, 32)
		if !found || err != nil {
			return nil, errors.New("the argon2id hash needs the parameters m, t and p, in this order, each a number")
		}
		*values[i] = uint32(value)
	}
	return h, nil
}

// check holds the cost within what a login can bear.
func (h *argon2id) check() error {
	switch {
	case h.passes < 1 || h.passes > maxPasses:
		return fmt.Errorf("the argon2id hash makes %d passes (t), allowed are 1 to %d", h.passes, maxPasses)
	case h.lanes < 1 || h.lanes > maxLanes:
		return fmt.Errorf("the argon2id hash has %d lanes (p), allowed are 1 to %d", h.lanes, maxLanes)
	case h.memory < 8*h.lanes || h.memory > maxMemory:
		return fmt.Errorf("the argon2id hash takes %d KiB of memory (m), allowed are %d to %d", h.memory, 8*h.lanes, maxMemory)
	case len(h.salt) < minSalt || len(h.salt) > maxSalt:
		return fmt.Errorf("the argon2id hash has a salt of %d bytes, allowed are %d to %d", len(h.salt), minSalt, maxSalt)
	case len(h.key) < minKey || len(h.key) > maxKey:
		return fmt.Errorf("the argon2id hash is %d bytes long, allowed are %d to %d", len(h.key), minKey, maxKey)
	}
	return nil
}

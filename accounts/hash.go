package accounts

import (
	"errors"
	"strings"

	"oauthproxy/internal/wire"
)

// hash is a stored password hash.
type hash interface {
	// matches hashes the password and compares. Its cost depends on the hash
	// alone, not on the password.
	matches(password string) bool
	// cost is a rough number of microseconds that matches takes, good enough
	// to tell which of two hashes is the costlier.
	cost() int
}

// Hash returns the argon2id hash of a password as a PHC string
// (RFC 9106; parameters as the OWASP password storage cheat sheet has them).
func Hash(password wire.Secret) (string, error) {
	if password.IsEmpty() {
		return "", errors.New("the password is empty")
	}
	return newArgon2id(password.Reveal()).String(), nil
}

// CheckHash tells whether hash is one that this package can check at a cost a
// login can bear: argon2id with at most 256 MiB of memory, 16 passes and 16
// lanes, or bcrypt ($2a$, $2b$, $2y$) with a cost of at most 16. The error
// never repeats the text, which may be a password put in the wrong place.
func CheckHash(hash string) error {
	_, err := parseHash(hash)
	return err
}

func parseHash(text string) (hash, error) {
	switch {
	case strings.HasPrefix(text, argon2idPrefix):
		return parseArgon2id(text)
	case strings.HasPrefix(text, "$argon2"):
		return nil, errors.New("only the argon2id kind of argon2 is supported, make a new hash with: oauthproxy passwd")
	case isBcrypt(text):
		return parseBcrypt(text)
	case strings.Contains(text, ":$2") || strings.Contains(text, ":$argon2"):
		return nil, errors.New("starts with a user name, leave out everything up to the colon")
	}
	return nil, errors.New("not a password hash (argon2id or bcrypt), make one with: oauthproxy passwd")
}

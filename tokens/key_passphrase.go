package tokens

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"

	"oauthproxy/internal/safefile"
	"oauthproxy/internal/wire"
)

// saltName is the file of the salt. Without it a passphrase is worth nothing.
const saltName = "store.salt"

// How a passphrase becomes a key: argon2id as RFC 9106 section 4 recommends it
// where memory is scarce. It is done once, when the store is opened. Other
// values would give another key, so the salt's file names this set of them.
const (
	saltKind   = "argon2id-1 "
	saltSize   = 16
	kdfPasses  = 3
	kdfMemory  = 64 * 1024 // KiB
	kdfThreads = 4
)

// PassphraseKey returns the key that the store would have by this passphrase,
// for Rekey.
func (s *Store) PassphraseKey(passphrase wire.Secret) (Key, error) {
	if passphrase.IsEmpty() {
		return Key{}, errors.New("the passphrase is empty")
	}
	return passphraseKey(passphrase, filepath.Join(s.folder, saltName), true)
}

// passphraseKey derives the key. A salt may be made where nothing that is
// sealed depends on one.
func passphraseKey(passphrase wire.Secret, saltFile string, mayMake bool) (Key, error) {
	salt, err := readSalt(saltFile)
	if errors.Is(err, fs.ErrNotExist) {
		if !mayMake {
			return Key{}, fmt.Errorf("%s, the salt of the passphrase, is missing: %w", saltFile, errSealed)
		}
		salt, err = makeSalt(saltFile)
	}
	if err != nil {
		return Key{}, err
	}
	value := argon2.IDKey([]byte(passphrase.Reveal()), salt, kdfPasses, kdfMemory, kdfThreads, keySize)
	return Key{Secret: wire.NewSecret(string(value)), source: "the passphrase in " + passphraseVariable, isServices: true}, nil
}

func readSalt(file string) ([]byte, error) {
	data, err := safefile.Read(file, maxKeyFile)
	if err != nil {
		return nil, err
	}
	text, found := strings.CutPrefix(strings.TrimSpace(string(data)), saltKind)
	salt, err := hex.DecodeString(text)
	if !found || err != nil || len(salt) != saltSize {
		return nil, fmt.Errorf("%s, the salt of the passphrase, is damaged or of another version of oauthproxy: put it back from a copy; if there is none, remove it and the files account-* beside it, and sign in again", file)
	}
	return salt, nil
}

func makeSalt(file string) ([]byte, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	return salt, safefile.Write(file, []byte(saltKind+hex.EncodeToString(salt)+"\n"), 0o600)
}

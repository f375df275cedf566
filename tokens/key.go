package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"oauthproxy/internal/safefile"
	"oauthproxy/internal/wire"
)

const (
	// keySize is the size of a key in bytes, for AES-256.
	keySize = 32
	// maxKeyFile bounds a file that ought to hold a key, in bytes.
	maxKeyFile = 4096
)

// Key is what a store is sealed with: 32 bytes. Like every Secret it prints
// as ***.
type Key struct {
	wire.Secret
	// source tells people where the key comes from, e.g. the name of its file.
	source string
	// isNew says that the key is kept nowhere yet.
	isNew bool
	// isServices says that the service's environment gives the key: commands
	// run by hand don't have it.
	isServices bool
	// isOwn says that the key's file is the store's own and may be replaced.
	isOwn bool
}

// keyID tells keys apart without telling anything about them.
type keyID [8]byte

// GenerateKey returns a new random key that is kept nowhere yet.
func GenerateKey() Key {
	value := make([]byte, keySize)
	_, _ = rand.Read(value) // never fails: crypto/rand ends the program instead
	return Key{Secret: wire.NewSecret(string(value)), source: "a new key", isNew: true}
}

// ReadKey reads a key file: 32 bytes in base64 on one line. It refuses a file
// that every user of the machine can read. The error is fs.ErrNotExist where
// there is no file.
func ReadKey(file string) (Key, error) {
	if err := checkKeyMode(file); err != nil {
		return Key{}, err
	}
	return readKey(file)
}

// MakeKey writes a new key to a file of its own, readable for its owner
// alone. The error is fs.ErrExist where there is a file already.
func MakeKey(file string) (Key, error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return Key{}, fmt.Errorf("no key is written to %s, %w; if it is a link that leads nowhere, remove it", file, fs.ErrExist)
	}
	key := Key{Secret: GenerateKey().Secret, source: file}
	return key, safefile.Write(file, key.text(), 0o600)
}

// MakeKey writes a new key to a file, as the function MakeKey does. Where root
// does so, the file becomes that of the store's owner, who has to read it.
func (s *Store) MakeKey(file string) (Key, error) {
	key, err := MakeKey(file)
	if err == nil {
		err = safefile.Give(file, s.folder)
	}
	return key, err
}

func readKey(file string) (Key, error) {
	data, err := safefile.Read(file, maxKeyFile)
	if errors.Is(err, fs.ErrPermission) {
		return Key{}, fmt.Errorf("%w: give the file to the user that oauthproxy runs as (chown)", err)
	}
	if err != nil {
		return Key{}, err
	}
	value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(value) != keySize {
		return Key{}, fmt.Errorf("%s is not a key, which is %d bytes in base64; if nothing is sealed with it yet, make one with: openssl rand -base64 %d", file, keySize, keySize)
	}
	return Key{Secret: wire.NewSecret(string(value)), source: file}, nil
}

// text returns what is in the key's file.
func (k Key) text() []byte {
	return []byte(base64.StdEncoding.EncodeToString([]byte(k.Reveal())) + "\n")
}

// checkKeyMode refuses a key that is no secret. A group may read it: so root
// can own a file that a service reads.
func checkKeyMode(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("can't read the key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file that can hold a key: name another one", file)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o027 != 0 {
		return fmt.Errorf("other users can read or replace the key in %s (mode %04o), run: chmod 600 %s", file, mode, file)
	}
	return nil
}

// id returns the key's identifier; a hash doesn't lead back to the key.
func (k Key) id() keyID {
	sum := sha256.Sum256([]byte("oauthproxy key " + k.Reveal()))
	return keyID(sum[:])
}

// aead returns AES-256-GCM with the key. The nonce is random and stands before
// what is sealed; 96 bits do for four thousand million times of saving.
func (k Key) aead() (cipher.AEAD, error) {
	if len(k.Reveal()) != keySize {
		return nil, errors.New("there is no key")
	}
	block, err := aes.NewCipher([]byte(k.Reveal()))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

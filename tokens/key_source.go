package tokens

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"oauthproxy/internal/wire"
)

const (
	// keyName is the file of the store's own key, and the name that systemd
	// has to give to the credential that holds one.
	keyName = "store.key"
	// passphraseVariable is the environment variable with a passphrase.
	passphraseVariable = "OAUTHPROXY_STORE_PASSPHRASE"
)

// KeyOptions tell where the key of a store comes from. The first of these
// that is there counts; where none is, the store makes a key of its own at
// first use and keeps it in its folder, as store.key.
type KeyOptions struct {
	// CredentialsDirectory is where systemd puts what LoadCredential= and
	// LoadCredentialEncrypted= name; a file store.key there is the key.
	CredentialsDirectory string
	// File is the key file that the configuration names.
	File string
	// Passphrase is what the key is derived from, by argon2id.
	Passphrase wire.Secret
}

// EnvironmentKey returns the options that the environment gives
// ($CREDENTIALS_DIRECTORY, $OAUTHPROXY_STORE_PASSPHRASE), and the key file
// that the configuration names, if it does.
func EnvironmentKey(file string) KeyOptions {
	return KeyOptions{
		CredentialsDirectory: os.Getenv("CREDENTIALS_DIRECTORY"),
		File:                 file,
		Passphrase:           wire.NewSecret(os.Getenv(passphraseVariable)),
	}
}

// HasCredential tells whether the key is a credential of systemd's.
func (o KeyOptions) HasCredential() bool {
	_, err := os.Stat(filepath.Join(o.CredentialsDirectory, keyName))
	return o.CredentialsDirectory != "" && err == nil
}

// find returns the key for the store in the folder. Only where the store is
// empty may a key be made: nothing that is sealed already would open with it.
func (o KeyOptions) find(folder string, isEmpty bool) (Key, error) {
	if o.CredentialsDirectory != "" {
		// The mode isn't looked at: systemd grants access by lists (ACL),
		// which show as a group's.
		key, err := readKey(filepath.Join(o.CredentialsDirectory, keyName))
		if !errors.Is(err, fs.ErrNotExist) {
			key.isServices = true
			return key, err
		}
	}
	if o.File != "" {
		key, err := ReadKey(o.File)
		if errors.Is(err, fs.ErrNotExist) {
			return Key{}, fmt.Errorf("the key file %s doesn't exist: put it back, or make a first one with: umask 077; openssl rand -base64 %d > %s", o.File, keySize, o.File)
		}
		return key, err
	}
	if !o.Passphrase.IsEmpty() {
		// With a key of its own in the folder, what is sealed needs no salt yet.
		_, err := os.Lstat(filepath.Join(folder, keyName))
		return passphraseKey(o.Passphrase, filepath.Join(folder, saltName), isEmpty || err == nil)
	}
	return ownKey(filepath.Join(folder, keyName), isEmpty)
}

// ownKey returns the key that the store keeps for itself.
func ownKey(file string, mayMake bool) (Key, error) {
	key, err := ReadKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		if !mayMake {
			return Key{}, fmt.Errorf("%s is missing, and no other key is at hand: if the service has one (a credential of systemd or a passphrase), start it, and this command goes through it; else %w", file, errSealed)
		}
		key, err = MakeKey(file)
	}
	key.isOwn = true
	return key, err
}

// errSealed is why no new key is made.
var errSealed = errors.New("put the file back, or name the key that the sign-ins in this folder are sealed with; if that is lost, remove the files account-* there and sign in again")

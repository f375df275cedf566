package tokens

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"oauthproxy/internal/wire"
)

// Every change of a file is seen, also one that breaks it and one that mends
// it; without a change nothing is decrypted.
func TestCertificateLoader(t *testing.T) {
	folder := t.TempDir()
	chain, key := filepath.Join(folder, "chain.pem"), filepath.Join(folder, "key.pem")
	put := func(file string, data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	encrypted := keyForms()["PKCS #8 encrypted"]
	asked, password := 0, testPassword
	load := CertificateLoader(chain, key, func() (wire.Secret, error) {
		asked++
		return wire.NewSecret(password), nil
	})
	first, second := goodNow(testKey()), goodNow(testKey())

	_, err := load()
	wantError(t, err, "chain.pem")
	put(chain, pemOf("CERTIFICATE", first.Raw))
	put(key, encrypted)
	certificate, err := load()
	wantCertificate(t, certificate, err, first)
	before := asked
	certificate, err = load()
	wantCertificate(t, certificate, err, first)
	if asked != before+1 {
		t.Errorf("the password was asked for %d times, want once, for the look", asked-before)
	}
	password = "wrong"
	_, err = load()
	wantError(t, err, "the password doesn't open it")
	_, err = load()
	wantError(t, err, "the password doesn't open it")
	password = testPassword
	put(chain, pemOf("CERTIFICATE", second.Raw))
	certificate, err = load()
	wantCertificate(t, certificate, err, second)
	put(key, bytes.Repeat([]byte("x"), maxCertificateFile+1))
	_, err = load()
	wantError(t, err, "too large")
	put(key, encrypted)
	certificate, err = load()
	wantCertificate(t, certificate, err, second)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	_, err = load()
	wantError(t, err, "key.pem")
}

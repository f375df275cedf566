package config

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeCheck stands in for the check of password hashes.
func fakeCheck(hash string) error {
	if strings.HasPrefix(hash, "$argon2id$") && !strings.HasSuffix(hash, "$m=19456") {
		return nil
	}
	return errors.New("not a password hash")
}

// fixture returns a folder with the files that the test configurations name,
// and an environment without the variables that Load looks at.
func fixture(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "XDG_STATE_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", folder)
	if err := os.Mkdir(filepath.Join(folder, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	certificate, key := newCertificate(t)
	_, other := newCertificate(t)
	rsaCertificate, rsaKey := certify(t, rsaPrivate())
	for name, content := range map[string]string{
		"devices.secret": "the client secret\n",
		"empty.secret":   "\n",
		"app.pem":        certificate,
		"app.key":        key,
		"app.password":   "the password\n",
		"cluster.token":  "the token\n",
		"proxy.pem":      certificate,
		"proxy.key":      key,
		"other.key":      other,
		"roots.pem":      certificate,
		"rsa.pem":        rsaCertificate,
		"rsa.key":        rsaKey,
	} {
		writeFile(t, filepath.Join(folder, name), content)
	}
	return folder
}

// newCertificate returns a self-signed certificate and its key, in PEM.
func newCertificate(t testing.TB) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, private)
}

// rsaPrivate is one for all tests: to make one takes a while.
var rsaPrivate = sync.OnceValue(func() *rsa.PrivateKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return private
})

// certify returns a self-signed certificate for the key, and that, in PEM.
func certify(t testing.TB, private crypto.Signer) (certificate, key string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	toPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return toPEM("CERTIFICATE", der), toPEM("PRIVATE KEY", keyDER)
}

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, string(data))
}

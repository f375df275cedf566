package tokens

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"oauthproxy/internal/wire"
)

// The keys of all tests: making one takes its time.
var (
	testKey  = sync.OnceValue(func() *rsa.PrivateKey { return newRSAKey() })
	otherKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSAKey() })
)

func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// newX509 returns a certificate for the key, good in the given time.
func newX509(key crypto.Signer, begin, end time.Time) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "oauthproxy"}, NotBefore: begin, NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate
}

// goodNow returns a certificate for the key that is good for a year.
func goodNow(key crypto.Signer) *x509.Certificate {
	return newX509(key, time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour))
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func passwordIs(text string) func() (wire.Secret, error) {
	return func() (wire.Secret, error) { return wire.NewSecret(text), nil }
}

// keyForms are the forms in which tools write a key; some are encrypted with
// testPassword.
func keyForms() map[string][]byte {
	key := testKey()
	plain := must(x509.MarshalPKCS8PrivateKey(key))
	//lint:ignore SA1019 old tools write it
	legacy := must(x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), []byte(testPassword), x509.PEMCipher3DES))
	scrypt := &pkcs8.Opts{Cipher: pkcs8.AES128CBC, KDFOpts: pkcs8.ScryptOpts{SaltSize: 8, CostParameter: 1 << 10, BlockSize: 8, ParallelizationParameter: 1}}
	return map[string][]byte{
		"PKCS #8":                       pemOf("PRIVATE KEY", plain),
		"PKCS #1":                       pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		"PKCS #8 encrypted":             pemOf("ENCRYPTED PRIVATE KEY", must(pkcs8.MarshalPrivateKey(key, []byte(testPassword), nil))),
		"PKCS #8 encrypted with scrypt": pemOf("ENCRYPTED PRIVATE KEY", must(pkcs8.MarshalPrivateKey(key, []byte(testPassword), scrypt))),
		"PKCS #1 encrypted":             pem.EncodeToMemory(legacy),
	}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadCertificate(t *testing.T) {
	leaf, issuer := goodNow(testKey()), goodNow(otherKey())
	chain := append(pemOf("CERTIFICATE", issuer.Raw), pemOf("CERTIFICATE", leaf.Raw)...)
	for name, key := range keyForms() {
		t.Run(name, func(t *testing.T) {
			together := write(t, "both.pem", append(bytes.Clone(key), chain...))
			certificate, err := LoadCertificate(together, "", passwordIs(testPassword))
			wantCertificate(t, certificate, err, leaf)
			apart, keyFile := write(t, "chain.pem", chain), write(t, "key.pem", key)
			certificate, err = LoadCertificate(apart, keyFile, passwordIs(testPassword))
			wantCertificate(t, certificate, err, leaf)
			if !strings.Contains(name, "encrypted") {
				return
			}
			_, err = LoadCertificate(together, "", passwordIs("wrong"))
			wantError(t, err, together+": the password doesn't open it")
			_, err = LoadCertificate(together, "", nil)
			wantError(t, err, "it is encrypted: put its password into a file")
		})
	}
	for name, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "legacy": pkcs12.LegacyDES, "old": pkcs12.LegacyRC2} {
		t.Run("PFX "+name, func(t *testing.T) {
			file := write(t, "a.pfx", must(encoder.Encode(testKey(), leaf, []*x509.Certificate{issuer}, testPassword)))
			certificate, err := LoadCertificate(file, "", passwordIs(testPassword))
			wantCertificate(t, certificate, err, leaf)
			_, err = LoadCertificate(file, "", passwordIs("wrong"))
			wantError(t, err, file+": the password doesn't open it")
			_, err = LoadCertificate(file, "", nil)
			wantError(t, err, "it is encrypted")
			empty := write(t, "b.pfx", must(encoder.Encode(testKey(), leaf, nil, "")))
			certificate, err = LoadCertificate(empty, "", nil)
			wantCertificate(t, certificate, err, leaf)
		})
	}
}

func wantCertificate(t *testing.T, got Certificate, err error, want *x509.Certificate) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !got.chain[0].Equal(want) || !got.key.Equal(testKey()) || !got.NotAfter().Equal(want.NotAfter) {
		t.Error("another certificate or key")
	}
	sum := sha256.Sum256(want.Raw)
	if len(got.SHA1()) != 40 || !strings.EqualFold(got.SHA256(), hex.EncodeToString(sum[:])) || got.String() != "certificate "+got.SHA1() {
		t.Errorf("thumbprints %s, %s", got.SHA1(), got.SHA256())
	}
	if text := fmtAll(got); strings.Contains(text, got.key.D.String()) || strings.Contains(text, got.key.D.Text(16)) {
		t.Error("the key is printed")
	}
}

func wantError(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %q", err, words)
	}
	wantNoTrace(t, "the error", fmtAll(err))
}

func TestLoadCertificateRefuses(t *testing.T) {
	leaf := pemOf("CERTIFICATE", goodNow(testKey()).Raw)
	key := keyForms()["PKCS #8"]
	curve := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	elliptic := append(pemOf("CERTIFICATE", goodNow(curve).Raw), pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(curve)))...)
	tests := []struct {
		name  string
		data  []byte
		words string
	}{
		{"nothing", nil, "neither PEM nor a PFX file"},
		{"garbage", []byte("\x00\x01garbage"), "neither PEM nor a PFX file"},
		{"a certificate in DER", goodNow(testKey()).Raw, "neither PEM nor a PFX file"},
		{"PFX, cut", must(pkcs12.Modern.Encode(testKey(), goodNow(testKey()), nil, testPassword))[:1000], "neither PEM nor a PFX file"},
		{"no key", leaf, "it holds no private key"},
		{"no certificate", key, "it holds no certificate"},
		{"two keys", append(append(leaf, key...), key...), "more than one private key"},
		{"another's key", append(pemOf("CERTIFICATE", goodNow(otherKey()).Raw), key...), "the key doesn't belong to the certificate"},
		{"an elliptic curve", elliptic, "must be an RSA key"},
		{"damaged certificate", append(pemOf("CERTIFICATE", []byte("x")), key...), "a certificate in it is damaged"},
		{"damaged key", append(bytes.Clone(leaf), pemOf("PRIVATE KEY", []byte("x"))...), "the private key in it is damaged"},
		{"damaged encrypted key", append(bytes.Clone(leaf), pemOf("ENCRYPTED PRIVATE KEY", []byte("x"))...), "can't be decrypted"},
		{"encrypted key, cut within a block", append(bytes.Clone(leaf), cutWithinABlock()...), "the private key in it is damaged"},
		{"huge", bytes.Repeat([]byte("x"), maxCertificateFile+1), "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, "c.pem", test.data)
			_, err := LoadCertificate(file, "", passwordIs(testPassword))
			wantError(t, err, test.words)
			wantError(t, err, file)
		})
	}
	t.Run("files that aren't there", func(t *testing.T) {
		_, err := LoadCertificate("/nonexistent.pem", "", nil)
		wantError(t, err, "/nonexistent.pem")
		_, err = LoadCertificate(write(t, "c.pem", leaf), "/nonexistent.key", nil)
		wantError(t, err, "/nonexistent.key")
		_, err = LoadCertificate(write(t, "c.pem", leaf), write(t, "k.pem", leaf), nil)
		wantError(t, err, "no private key in PEM form")
	})
	t.Run("a password that can't be read", func(t *testing.T) {
		fault := errors.New("permission denied")
		_, err := LoadCertificate(write(t, "k.pem", keyForms()["PKCS #8 encrypted"]), "", func() (wire.Secret, error) { return wire.Secret{}, fault })
		wantError(t, err, "its password can't be read: permission denied")
	})
}

// cutWithinABlock is an encrypted key whose length no cipher can have.
func cutWithinABlock() []byte {
	der := must(pkcs8.MarshalPrivateKey(testKey(), []byte(testPassword), nil))
	// The encrypted data is the last field: its length is lowered with the
	// sequence's, both in two bytes.
	for i := 0; i+3 < len(der); i++ {
		if der[i] == 0x30 && i == 0 || der[i] == 0x04 && der[i+1] == 0x82 && len(der)-i-4 == int(der[i+2])<<8+int(der[i+3]) {
			der[i+3]--
		}
	}
	return pemOf("ENCRYPTED PRIVATE KEY", der[:len(der)-1])
}

// What OpenSSL writes today.
func TestLoadCertificateOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl isn't installed")
	}
	folder := t.TempDir()
	run := func(arguments ...string) {
		command := exec.Command(openssl, arguments...)
		command.Dir = folder
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", arguments, err, output)
		}
	}
	run("req", "-x509", "-newkey", "rsa:2048", "-keyout", "key.pem", "-out", "cert.pem", "-days", "10", "-subj", "/CN=oauthproxy", "-passout", "pass:"+testPassword)
	run("pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-out", "both.pfx", "-passin", "pass:"+testPassword, "-passout", "pass:"+testPassword)
	in := func(name string) string { return filepath.Join(folder, name) }
	fromPEM, err := LoadCertificate(in("cert.pem"), in("key.pem"), passwordIs(testPassword))
	if err != nil {
		t.Fatal(err)
	}
	fromPFX, err := LoadCertificate(in("both.pfx"), "", passwordIs(testPassword))
	if err != nil || fromPFX.SHA1() != fromPEM.SHA1() {
		t.Errorf("got %v, %v", fromPFX, err)
	}
}

// certificateApp proves itself by what the function returns.
func (e *entra) certificateApp(read func() (Certificate, error)) App {
	return App{Authority: e.authority(), ClientID: testClientID, Flow: FlowCertificate, Scopes: []string{testScope}, Certificate: read}
}

// openApp starts a broker for the one app.
func openApp(t *testing.T, e *entra, app App) *Broker {
	t.Helper()
	b, err := NewBroker([]Account{{Name: testAccount, App: app}}, Options{HTTPClient: e.client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestCertificateSigns(t *testing.T) {
	e := newEntra()
	leaf := goodNow(testKey())
	certificate := must(newCertificate([]*x509.Certificate{leaf}, testKey()))
	b := openApp(t, e, e.certificateApp(func() (Certificate, error) { return certificate, nil }))
	if requests := e.requests(); requests != 0 {
		t.Errorf("%d requests before anybody asked", requests)
	}
	wantToken(t, b, testToken)
	assertion := strings.Split(e.sent("client_assertion"), ".")
	if len(assertion) != 3 || e.sent("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || e.sent("client_secret") != "" {
		t.Fatal("no assertion was sent")
	}
	var claims struct{ Aud, Iss, Sub string }
	_ = json.Unmarshal(must(base64.RawURLEncoding.DecodeString(assertion[1])), &claims)
	if claims.Aud != e.authority()+"/oauth2/v2.0/token" || claims.Iss != testClientID || claims.Sub != testClientID {
		t.Errorf("claims %+v", claims)
	}
	sum := sha256.Sum256([]byte(assertion[0] + "." + assertion[1]))
	if err := rsa.VerifyPSS(&testKey().PublicKey, crypto.SHA256, sum[:], must(base64.RawURLEncoding.DecodeString(assertion[2])), nil); err != nil {
		t.Error(err)
	}
	status, _ := b.Account(testAccount)
	if status.State != StateReady || status.Thumbprint != certificate.SHA1() || !status.CredentialExpires.Equal(leaf.NotAfter) {
		t.Errorf("status %+v", status)
	}
}

// A certificate that was renewed works without a restart; one that has ended
// is found without asking Entra ID.
func TestCertificateIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		now := time.Now()
		of := func(begin, end time.Time) Certificate {
			return must(newCertificate([]*x509.Certificate{newX509(testKey(), begin, end)}, testKey()))
		}
		file, fault := Certificate{}, errors.New("proxy.pem: the password doesn't open it")
		b := openApp(t, e, e.certificateApp(func() (Certificate, error) { return file, fault }))
		defer b.Close()
		wantState(t, b, StateSetUp, "the certificate can't be read: proxy.pem: the password doesn't open it", "when that is mended")
		time.Sleep(wantFailure(t, t.Context(), b, SetUpWrong, "can't be read: proxy.pem").RetryAfter)
		fault = nil
		time.Sleep(wantFailure(t, t.Context(), b, SetUpWrong, "there is no certificate").RetryAfter)
		file = of(now.Add(-48*time.Hour), now.Add(-24*time.Hour))
		time.Sleep(wantFailure(t, t.Context(), b, SetUpWrong, "the certificate ended on 1999-12-31").RetryAfter)
		wantError(t, b.entries[testAccount].account.App.CheckCertificate(), "the certificate ended on 1999-12-31: make a new one")
		status := wantState(t, b, StateSetUp, "the certificate ended", "")
		if !status.CredentialExpires.Equal(file.NotAfter()) {
			t.Errorf("status %+v", status)
		}
		file = of(now.Add(24*time.Hour), now.Add(48*time.Hour))
		time.Sleep(wantFailure(t, t.Context(), b, SetUpWrong, "check this machine's clock").RetryAfter)
		wantRequests(t, e, 0)
		file = of(now, now.Add(48*time.Hour))
		if err := b.entries[testAccount].account.App.CheckCertificate(); err != nil {
			t.Errorf("got %v", err)
		}
		wantToken(t, b, testToken)
		wantState(t, b, StateReady, "", "")
	})
}

// Our clock is an hour off: the refusal says so.
func TestClockIsOff(t *testing.T) {
	certificate := must(newCertificate([]*x509.Certificate{newX509(testKey(), time.Now().Add(-100*time.Hour), time.Now().Add(100*time.Hour))}, testKey()))
	for off, words := range map[time.Duration]string{time.Hour: "is 1h0m0s behind Entra ID's", -time.Hour: "is 1h0m0s ahead of Entra ID's", time.Minute: "check this machine's clock"} {
		t.Run(off.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEntra()
				e.answer(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
					refusal(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")(w, r)
				})
				app := e.certificateApp(func() (Certificate, error) { return certificate, nil })
				app.Flow, app.ClientSecret = FlowClientSecret, passwordIs(testSecret)
				b := openApp(t, e, app)
				defer b.Close()
				failure := wantFailure(t, t.Context(), b, SetUpWrong, words)
				if strings.Contains(failure.Text, "Entra ID's)") != (off != time.Minute) {
					t.Errorf("text %q", failure.Text)
				}
			})
		})
	}
}

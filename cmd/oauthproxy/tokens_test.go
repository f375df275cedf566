package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

var certificateKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

const lifeOfCertificate = 31 * 24 * time.Hour

// newCertificate returns a certificate for the key that ends at the time.
func newCertificate(t *testing.T, key *rsa.PrivateKey, end time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-lifeOfCertificate), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func certificatePEM(certificate *x509.Certificate, key *rsa.PrivateKey) string {
	return pemOf("CERTIFICATE", certificate.Raw) + pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

// TestCertificateThatCannotBeUsed: serve warns and serves the others; login
// and accounts tell the same.
func TestCertificateThatCannotBeUsed(t *testing.T) {
	keys, soon := certificateKeys(), time.Now().Add(time.Hour)
	good := newCertificate(t, keys[0], soon)
	pfx, err := pkcs12.Modern.Encode(keys[0], good, nil, "the right password")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, file, words string }{
		{"ended", certificatePEM(newCertificate(t, keys[0], time.Now().Add(-time.Hour)), keys[0]), "the certificate ended on "},
		{"not begun", certificatePEM(newCertificate(t, keys[0], time.Now().Add(lifeOfCertificate+48*time.Hour)), keys[0]), "check this machine's clock"},
		{"wrong password", string(pfx), "the password doesn't open it: check certificate_password_file"},
		{"another's key", certificatePEM(good, keys[1]), "the key doesn't belong to the certificate"},
		{"garbage", "garbage", "it is neither PEM nor a PFX file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, "device_code")
			s.write("app.cert", test.file)
			s.write("app.password", "a wrong password")
			s.change("flow: client_secret, client_secret_file: client.secret",
				"flow: certificate, certificate_file: app.cert, certificate_password_file: app.password")
			proxy, smtp := s.serve()
			defer proxy.end(t)
			warning := proxy.err.await(t, `level=WARN msg="the app has no certificate that can be used" app=devices accounts=1 account=scanner@contoso.example cause=(.*)\n`)
			if !strings.Contains(warning[1], test.words) {
				t.Errorf("the service warns of %s, want %q", warning[1], test.words)
			}
			s.logInByCode("alice@contoso.example", "alice@contoso.example")
			if err := sendFrom(smtp, "alice", localPassword, "alice@contoso.example"); err != nil {
				t.Errorf("the other account: %v", err)
			}
			if got := s.accounts()["scanner@contoso.example"]; got.State != "set-up wrong" || !strings.Contains(got.Text, test.words) || got.Next == "" {
				t.Errorf("accounts says %+v", got)
			}
			got := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
			if got.status != exitFailed || !strings.Contains(got.err, test.words) {
				t.Errorf("login says %+v", got)
			}
			if requests := s.TokenRequests(); requests != 1 {
				t.Errorf("%d token requests, want alice's alone", requests)
			}
			if all := proxy.err.String() + got.err; strings.Contains(all, "a wrong password") {
				t.Errorf("the password was shown:\n%s", all)
			}
		})
	}
}

// TestWarningOfPasswords: who allows the flow password is told at each start
// what breaks.
func TestWarningOfPasswords(t *testing.T) {
	for flow, warned := range map[string]bool{"password, allow_deprecated: true": true, "device_code": false} {
		s := newSite(t, flow)
		proxy, _ := s.serve()
		proxy.end(t)
		log := proxy.err.String()
		if got := strings.Contains(log, "the flow password is deprecated") && strings.Contains(log, "MFA") &&
			strings.Contains(log, "Conditional Access") && strings.Contains(log, "app=staff"); got != warned {
			t.Errorf("%s: warned %v; the log:\n%s", flow, got, log)
		}
	}
}

package tokens

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"oauthproxy/internal/wire"
)

// Certificate is a certificate with its private key; see LoadCertificate. It
// prints as its thumbprint.
type Certificate struct {
	chain []*x509.Certificate // the key's own comes first
	key   *rsa.PrivateKey
}

// newCertificate puts the certificate that belongs to the key in front.
func newCertificate(chain []*x509.Certificate, key any) (Certificate, error) {
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return Certificate{}, errors.New("the key must be an RSA key: make a new certificate with an RSA key of 2048 bits or more")
	}
	for i, certificate := range chain {
		if private.PublicKey.Equal(certificate.PublicKey) {
			ordered := []*x509.Certificate{certificate}
			ordered = append(ordered, chain[:i]...)
			return Certificate{chain: append(ordered, chain[i+1:]...), key: private}, nil
		}
	}
	return Certificate{}, errors.New("the key doesn't belong to the certificate")
}

func (c Certificate) isZero() bool { return c.key == nil }

// NotAfter is when the certificate ends.
func (c Certificate) NotAfter() time.Time { return c.chain[0].NotAfter }

// Chain returns the certificate, and behind it those that came with it.
func (c Certificate) Chain() []*x509.Certificate { return slices.Clone(c.chain) }

// SHA1 returns the SHA-1 thumbprint as Entra ID's portal shows it: hexadecimal
// digits in upper case.
func (c Certificate) SHA1() string {
	sum := sha1.Sum(c.chain[0].Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// SHA256 returns the SHA-256 thumbprint in the same form.
func (c Certificate) SHA256() string {
	sum := sha256.Sum256(c.chain[0].Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// String returns the SHA-1 thumbprint.
func (c Certificate) String() string {
	if c.isZero() {
		return "no certificate"
	}
	return "certificate " + c.SHA1()
}

// Format writes String, whatever the verb: the key must not be printed.
func (c Certificate) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// readCertificate reads the app's certificate and checks its dates, which
// Entra ID would do in less clear words. A certificate that has ended is
// returned as well.
func readCertificate(app App) (Certificate, *Error) {
	certificate, err := app.Certificate()
	if err != nil {
		return Certificate{}, errUnreadable(app.Flow, err)
	}
	if certificate.isZero() {
		return Certificate{}, &Error{Class: SetUpWrong, Text: "there is no certificate"}
	}
	now, leaf := time.Now(), certificate.chain[0]
	switch {
	case now.After(leaf.NotAfter):
		return certificate, &Error{Class: SetUpWrong, Text: fmt.Sprintf(
			"the certificate ended on %s: make a new one and upload its public part to the app registration", leaf.NotAfter.Format(time.DateOnly))}
	case now.Before(leaf.NotBefore):
		return certificate, &Error{Class: SetUpWrong, Text: fmt.Sprintf(
			"the certificate begins on %s: check this machine's clock", leaf.NotBefore.Format(time.DateOnly))}
	}
	return certificate, nil
}

// CheckCertificate tells what is wrong with the app's certificate today, as a
// token request will find it. Where there is none, nothing is wrong.
func (a App) CheckCertificate() error {
	if a.Flow != FlowCertificate {
		return nil
	}
	if _, failure := readCertificate(a); failure != nil {
		return errors.New(failure.Text)
	}
	return nil
}

// certificateCredential lets MSAL sign assertions (RFC 7523) with the key.
func certificateCredential(app App) (confidential.Credential, []wire.Secret, *Error) {
	certificate, failure := readCertificate(app)
	if failure != nil {
		return confidential.Credential{}, nil, failure
	}
	credential, err := confidential.NewCredFromCert(certificate.chain, certificate.key)
	if err != nil {
		return confidential.Credential{}, nil, &Error{Class: SetUpWrong, Text: "the certificate can't be used: make a new one with an RSA key"}
	}
	return credential, nil, nil
}

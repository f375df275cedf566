//go:build linux

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is a root, and the one server certificate that the proxy's
// listeners, Dovecot and Postfix use.
type authority struct {
	RootPEM                            []byte
	RootFile, CertificateFile, KeyFile string
}

// newAuthority makes both and writes them to the folder.
func newAuthority(folder string) (a authority, err error) {
	root := newTemplate("oauthproxy interop root")
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	rootKey, rootDER, err := sign(root, root, nil)
	if err != nil {
		return a, err
	}
	server := newTemplate("localhost")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	serverKey, serverDER, err := sign(server, root, rootKey)
	if err != nil {
		return a, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return a, err
	}
	a.RootPEM = encodePEM("CERTIFICATE", rootDER)
	for _, f := range []struct {
		path *string
		name string
		pem  []byte
	}{
		{&a.RootFile, "root.pem", a.RootPEM},
		{&a.CertificateFile, "certificate.pem", encodePEM("CERTIFICATE", serverDER)},
		{&a.KeyFile, "key.pem", encodePEM("PRIVATE KEY", keyDER)},
	} {
		*f.path = filepath.Join(folder, f.name)
		if err := os.WriteFile(*f.path, f.pem, 0o600); err != nil {
			return a, err
		}
	}
	return a, nil
}

func newTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

// sign makes a key and a certificate for it; without a signer it is signed by
// itself.
func sign(template, issuer *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	return key, der, err
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

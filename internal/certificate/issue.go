package certificate

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"oauthproxy/internal/safefile"
)

const (
	leafBits = 2048
	// leafLife is what Apple's systems accept at most (since 2020-09).
	leafLife = 397 * day
	// renewAhead leaves time to notice that it doesn't work.
	renewAhead = 30 * day
)

// Issued is a listener's certificate by the authority. It is kept in a file, so
// that a client that was told to trust just this one does so after a restart
// too, and renewed ahead of its end.
type Issued struct {
	authority *Authority
	file      string
	names     []string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	tried   time.Time // when it was last tried to renew it
}

// Issue returns the certificate of the listener on that address: the one in
// its file if that has the names, else a new one.
func (a *Authority) Issue(address string, names []string, log *slog.Logger) (*Issued, error) {
	i := &Issued{authority: a, file: filepath.Join(a.folder, fileName(address)), names: names, log: log}
	a.remind(log)
	kept, err := i.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("a new certificate takes the place of one that can't be used", "file", i.file, "cause", err)
	}
	if err == nil && i.isGood(kept) {
		i.current = kept
		return i, nil
	}
	return i, i.renew()
}

// remind tells of the end of the root in time for work at every client.
func (a *Authority) remind(log *slog.Logger) {
	if time.Until(a.Root.NotAfter) < 180*day {
		log.Warn("the root of the certificates made here ends soon", "expires", a.Root.NotAfter.UTC().Format(time.RFC3339),
			"remedy", "remove the folder "+a.folder+", restart, and install the new root in every client")
	}
}

// fileName returns the name of the file for a listener's certificate, without
// what file systems don't take.
func fileName(address string) string {
	plain := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, address)
	return "listener-" + plain + ".pem"
}

// Get returns the certificate.
func (i *Issued) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); now.After(i.current.Leaf.NotAfter.Add(-renewAhead)) && now.Sub(i.tried) >= day {
		i.tried = now
		if err := i.renew(); err != nil {
			i.log.Warn("the certificate can't be renewed", "file", i.file, "expires", i.current.Leaf.NotAfter.UTC().Format(time.RFC3339), "cause", err)
		}
	}
	return i.current, nil
}

// Names returns what the certificate is for.
func (i *Issued) Names() []string { return Names(i.current.Leaf) }

// renew makes a new certificate and keeps it.
func (i *Issued) renew() error {
	data, err := i.authority.issue(i.names)
	if err != nil {
		return err
	}
	if err := safefile.Write(i.file, data, 0o600); err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return err
	}
	i.current = &pair
	i.log.Info("certificate made", "file", i.file, "names", i.Names(), "expires", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	return nil
}

func (i *Issued) read() (*tls.Certificate, error) {
	data, err := safefile.Read(i.file, maxFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data, data)
	return &pair, err
}

// isGood tells whether a certificate that was kept does for now.
func (i *Issued) isGood(kept *tls.Certificate) bool {
	if kept.Leaf.CheckSignatureFrom(i.authority.Root) != nil || time.Until(kept.Leaf.NotAfter) < renewAhead {
		return false
	}
	for _, name := range i.names {
		if net.ParseIP(name) != nil {
			name = "[" + name + "]"
		}
		if kept.Leaf.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// issue returns a new certificate for the names, and its key.
func (a *Authority) issue(names []string) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, leafBits)
	if err != nil {
		return nil, err
	}
	begin := time.Now().Add(-backdate)
	leaf := &x509.Certificate{
		// Some old clients look for the name there and nowhere else.
		Subject:   subject(names[0]),
		NotBefore: begin,
		NotAfter:  begin.Add(leafLife),
		// RSA key exchange enciphers, and the newer ones sign.
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	if leaf.NotAfter.After(a.Root.NotAfter) {
		leaf.NotAfter = a.Root.NotAfter
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	return sign(leaf, a.Root, key, a.key)
}

// Package certificate has the certificates of listeners ready: from files,
// read again when they change, or issued by an authority of its own in the
// state directory.
package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// maxFile bounds a file with certificates or a key, in bytes.
const maxFile = 1 << 20

// Source has a listener's certificate. Its method is for
// tls.Config.GetCertificate.
type Source interface {
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Fingerprint returns the SHA-256 of a certificate in the form in which other
// programs show it.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// Names returns what a certificate is for: host names and IP addresses.
func Names(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// day is how often the same is told.
const day = 24 * time.Hour

// reminder tells of a certificate's end, once a day.
type reminder struct{ next time.Time }

// remind tells of the end of a certificate that is past or near: in the last
// two weeks, or in the last quarter of a life that is shorter than eight. Who
// renews by itself has done so before.
func (r *reminder) remind(log *slog.Logger, c *x509.Certificate, file, next string) {
	now := time.Now()
	if now.Before(r.next) || now.Before(c.NotAfter.Add(-min(14*day, c.NotAfter.Sub(c.NotBefore)/4))) {
		return
	}
	r.next = now.Add(day)
	log = log.With("file", file, "expires", c.NotAfter.UTC().Format(time.RFC3339), "remedy", next)
	if now.After(c.NotAfter) {
		log.Warn("certificate has ended")
		return
	}
	log.Warn("certificate ends soon")
}

package remedy

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"
)

// leafOf returns the server's own certificate: that of an error about an
// unknown authority may be any in the chain.
func leafOf(err error, certificate *x509.Certificate) *x509.Certificate {
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) && len(verification.UnverifiedCertificates) > 0 {
		return verification.UnverifiedCertificates[0]
	}
	return certificate
}

// microsoftDomains are those of Microsoft's mail servers and of Entra ID.
var microsoftDomains = []string{
	"office365.com", "outlook.com", "office.com", "microsoftonline.com", "microsoft.com", "windows.net",
	"office365.us", "microsoftonline.us", "apps.mil", "outlook.cn", "microsoftonline.cn", "chinacloudapi.cn",
}

// IsMicrosofts tells whether a host name is one of Microsoft's.
func IsMicrosofts(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, domain := range microsoftDomains {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

// microsoftIssuers are the organizations that sign the certificates of those
// hosts (2026).
var microsoftIssuers = []string{"digicert", "microsoft"}

// IsInspected tells whether a server's certificate is that of a proxy which
// looks into TLS: it is for a host of Microsoft's, and none of those who sign
// for these has signed it.
func IsInspected(leaf *x509.Certificate) bool {
	if leaf == nil {
		return false
	}
	issuer := strings.ToLower(strings.Join(leaf.Issuer.Organization, " "))
	for _, known := range microsoftIssuers {
		if strings.Contains(issuer, known) {
			return false
		}
	}
	for _, name := range leaf.DNSNames {
		if IsMicrosofts(name) {
			return true
		}
	}
	return false
}

// issuerOf names who has signed a certificate.
func issuerOf(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	organization := strings.Join(c.Issuer.Organization, " ")
	return shortened(cmp.Or(organization, c.Issuer.CommonName))
}

// maxNames bounds how many names of a certificate are told.
const maxNames = 3

func namesOf(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	names := c.DNSNames
	for _, address := range c.IPAddresses {
		names = append(names[:len(names):len(names)], address.String())
	}
	if len(names) > maxNames {
		names = append(names[:maxNames:maxNames], "...")
	}
	return shortened(strings.Join(names, ", "))
}

// shortened bounds a text of a certificate's.
func shortened(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

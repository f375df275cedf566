package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"oauthproxy/config"
	"oauthproxy/internal/certificate"
)

// certificates has the certificates of all listeners.
type certificates struct {
	stateDirectory string
	log            *slog.Logger
	authority      *certificate.Authority // nil until a listener needs it
}

// serverTLS returns a listener's side of TLS.
func (c *certificates) serverTLS(l config.Listener) (*tls.Config, error) {
	source, err := c.source(l)
	if err != nil {
		return nil, fmt.Errorf("the certificate of the %s listener %s: %w", l.Protocol, l.Address, err)
	}
	t := &tls.Config{
		GetCertificate: source.Get,
		MinVersion:     tls.VersionTLS12,
		// A TLS 1.3 ticket that follows the handshake of STARTTLS hangs
		// libesmtp and imaplib2 (offlineimap), before Postfix and Dovecot
		// too (measured 2026-11-22).
		SessionTicketsDisabled: true,
	}
	if l.LegacyTLS {
		t.MinVersion, t.CipherSuites = tls.VersionTLS10, legacySuites()
		unsigned := t.Clone()
		unsigned.CipherSuites = slices.DeleteFunc(legacySuites(), needsSignature)
		t.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if knowsSHA1Alone(hello) {
				return unsigned, nil
			}
			return nil, nil // t itself
		}
	}
	return t, nil
}

// source finds where the listener's certificate comes from.
func (c *certificates) source(l config.Listener) (certificate.Source, error) {
	if !l.IssuesCertificate() {
		return certificate.OpenFiles(l.CertificateFile, l.KeyFile, l.LegacyTLS, c.log)
	}
	if c.authority == nil {
		authority, err := certificate.OpenAuthority(c.stateDirectory, hostName())
		if err != nil {
			return nil, err
		}
		c.authority = authority
	}
	return c.authority.Issue(l.Address, listenerNames(l), c.log)
}

func listenerNames(l config.Listener) []string {
	return certificate.ListenerNames(l.Address, l.Names, hostName())
}

// legacySuites are all that there are in crypto/tls, but for RC4, which RFC
// 7465 forbids and which no device needs that knows TLS 1.0: that has 3DES. It
// takes the list to have those with RSA key exchange and 3DES, as it takes
// MinVersion to have TLS 1.0: settings of GODEBUG, which would hold for the
// connections to Microsoft too, are not needed.
func legacySuites() []uint16 {
	var suites []uint16
	rc4 := []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !slices.Contains(rc4, suite.ID) {
			suites = append(suites, suite.ID)
		}
	}
	return suites
}

// knowsSHA1Alone tells whether a client speaks TLS 1.2 and can verify no
// signature but those with SHA-1, as the first ones that did. crypto/tls
// signs so no more (Go 1.25), and then RSA key exchange is what is left: it has
// no signature.
func knowsSHA1Alone(hello *tls.ClientHelloInfo) bool {
	newer := func(scheme tls.SignatureScheme) bool { return slices.Contains(signatures, scheme) }
	return slices.Max(hello.SupportedVersions) == tls.VersionTLS12 && !slices.ContainsFunc(hello.SignatureSchemes, newer)
}

// signatures are those of an RSA key without SHA-1.
var signatures = []tls.SignatureScheme{
	tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512,
	tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512,
}

// needsSignature tells whether a suite's key exchange has one.
func needsSignature(suite uint16) bool {
	return !strings.HasPrefix(tls.CipherSuiteName(suite), "TLS_RSA_")
}

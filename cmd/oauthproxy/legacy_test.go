package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"oauthproxy/config"
	"oauthproxy/tokens"
)

// oldServer is a listener's side of TLS, and the roots that its clients trust.
func oldServer(t *testing.T, legacy bool) (server *tls.Config, roots *x509.CertPool) {
	t.Helper()
	c := &certificates{stateDirectory: t.TempDir(), log: newLog(io.Discard, config.Log{}, new(slog.LevelVar))}
	server, err := c.serverTLS(config.Listener{Protocol: config.SMTP, Address: "127.0.0.1:0", TLS: config.Implicit, LegacyTLS: legacy})
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(c.authority.Root)
	return server, roots
}

// shake lets a client and a server shake hands.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			defer conn.Close()
			err = tls.Server(conn, server).Handshake()
		}
		served <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, client)
	err = c.Handshake()
	if refused := <-served; err == nil {
		err = refused
	}
	return c.ConnectionState(), err
}

// TestLegacySuites: clients of just one version and one suite get in with
// legacy_tls, and without it none of those that it is for.
func TestLegacySuites(t *testing.T) {
	legacy, legacyRoots := oldServer(t, true)
	usual, usualRoots := oldServer(t, false)
	tests := []struct {
		version    uint16
		suite      uint16
		onlyLegacy bool
	}{
		{tls.VersionTLS10, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, true},
		{tls.VersionTLS10, tls.TLS_RSA_WITH_AES_128_CBC_SHA, true},
		{tls.VersionTLS10, tls.TLS_RSA_WITH_AES_256_CBC_SHA, true},
		{tls.VersionTLS10, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, true},
		{tls.VersionTLS10, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, true},
		{tls.VersionTLS11, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, true},
		{tls.VersionTLS11, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, true},
		{tls.VersionTLS12, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, true},
		{tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_CBC_SHA, true},
		{tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_CBC_SHA256, true},
		{tls.VersionTLS12, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, true},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, true},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, false},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, false},
		{tls.VersionTLS13, 0, false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(tls.VersionName(test.version), " ", tls.CipherSuiteName(test.suite)), func(t *testing.T) {
			client := &tls.Config{RootCAs: legacyRoots, ServerName: "localhost", MinVersion: test.version, MaxVersion: test.version, CipherSuites: []uint16{test.suite}}
			state, err := shake(t, legacy, client)
			if err != nil {
				t.Errorf("with legacy_tls: %v", err)
			} else if test.suite != 0 && state.CipherSuite != test.suite || state.Version != test.version {
				t.Errorf("with legacy_tls: %s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
			}
			client.RootCAs = usualRoots
			if _, err := shake(t, usual, client); (err == nil) == test.onlyLegacy {
				t.Errorf("without legacy_tls: %v", err)
			}
		})
	}
}

// TestLegacyHasNoRC4: there is an end to everything.
func TestLegacyHasNoRC4(t *testing.T) {
	for _, suite := range legacySuites() {
		if name := tls.CipherSuiteName(suite); strings.Contains(name, "RC4") || strings.Contains(name, "NULL") || strings.Contains(name, "EXPORT") {
			t.Errorf("%s is in the list", name)
		}
	}
	if !slices.Contains(legacySuites(), tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA) {
		t.Error("3DES isn't in the list")
	}
}

// TestOldTLSIsForClientsAlone: what is let in on one listener opens nothing
// towards Microsoft.
func TestOldTLSIsForClientsAlone(t *testing.T) {
	old, roots := oldServer(t, true)
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 },
		"RSA key exchange": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		},
		"3DES": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := old.Clone()
			change(server)
			if _, err := shake(t, server, &tls.Config{RootCAs: roots, ServerName: "localhost"}); err == nil {
				t.Error("the connection to Exchange takes it")
			}
			entra := httptest.NewUnstartedServer(http.NotFoundHandler())
			entra.Config.ErrorLog = log.New(io.Discard, "", 0)
			entra.TLS = server
			entra.TLS.GetConfigForClient = nil
			entra.StartTLS()
			defer entra.Close()
			address := strings.Replace(entra.URL, "127.0.0.1", "localhost", 1)
			response, err := tokens.NewHTTPClient(roots).Get(address)
			if err == nil {
				_ = response.Body.Close()
				t.Error("the connection to Entra ID takes it")
			}
		})
	}
}

// TestSHA1Alone: the first clients with TLS 1.2 verify signatures with SHA-1
// alone, which crypto/tls makes no more; they get a key exchange without one.
func TestSHA1Alone(t *testing.T) {
	hello := func(newest uint16, schemes ...tls.SignatureScheme) *tls.ClientHelloInfo {
		return &tls.ClientHelloInfo{SupportedVersions: []uint16{newest, tls.VersionTLS10}, SignatureSchemes: schemes}
	}
	tests := []struct {
		name  string
		hello *tls.ClientHelloInfo
		want  bool
	}{
		{"none told", hello(tls.VersionTLS12), true},
		{"SHA-1 alone", hello(tls.VersionTLS12, tls.PKCS1WithSHA1, tls.ECDSAWithSHA1), true},
		{"SHA-256 for other keys", hello(tls.VersionTLS12, tls.PKCS1WithSHA1, tls.ECDSAWithP256AndSHA256), true},
		{"SHA-256", hello(tls.VersionTLS12, tls.PKCS1WithSHA1, tls.PKCS1WithSHA256), false},
		{"TLS 1.1 signs in its own way", hello(tls.VersionTLS11), false},
		{"TLS 1.3", hello(tls.VersionTLS13, tls.PSSWithSHA256), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := knowsSHA1Alone(test.hello); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

package remedy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

type proxied struct {
	error
	status int
}

func (p proxied) WebProxy() (string, string, int) {
	return "proxy.example:3128", "login.microsoftonline.com:443", p.status
}
func (p proxied) Unwrap() error { return p.error }

func dialError(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
}

func listenError(err error) error {
	return &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", err)}
}

func TestByError(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no such name", &net.DNSError{Name: "mail.example", Err: "no such host", IsNotFound: true}, "name-unknown"},
		{"name server silent", &net.DNSError{Name: "mail.example", IsTimeout: true}, "name-server-silent"},
		{"name server at fault", &net.DNSError{Name: "mail.example", IsTemporary: true}, "name-server-silent"},
		{"refused", dialError(syscall.ECONNREFUSED), "port-refused"},
		{"refused on Windows", dialError(syscall.Errno(10061)), "port-refused"},
		{"no way", dialError(syscall.EHOSTUNREACH), "network-unreachable"},
		{"no way on Windows", dialError(syscall.Errno(10051)), "network-unreachable"},
		{"connect not answered", dialError(syscall.ETIMEDOUT), "connect-timeout"},
		{"connect not answered within ours", dialError(os.ErrDeadlineExceeded), "connect-timeout"},
		{"reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "connection-reset"},
		{"late", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "answer-late"},
		{"late, of a context", context.DeadlineExceeded, "answer-late"},
		{"end", io.EOF, "connection-closed"},
		{"end within", io.ErrUnexpectedEOF, "connection-closed"},
		{"not TLS", tls.RecordHeaderError{RecordHeader: [5]byte{'2', '2', '0', ' ', 'x'}}, "not-tls"},
		{"HTTP", tls.RecordHeaderError{RecordHeader: [5]byte{'H', 'T', 'T', 'P', '/'}}, "answers-http"},
		{"HTTP to HTTPS", http.ErrSchemeMismatch, "answers-http"},
		{"version, ours", errors.New("tls: server selected unsupported protocol version 301"), "tls-version"},
		{"other certificate trouble", x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, "server-certificate-bad"},
		{"no roots", x509.SystemRootsError{Err: errors.New("x")}, "server-certificate-bad"},
		{"the web proxy's password", proxied{io.EOF, 407}, "web-proxy-login"},
		{"the web proxy's no", proxied{io.EOF, 403}, "web-proxy-forbids"},
		{"the web proxy's fault", proxied{io.EOF, 502}, "web-proxy-fails"},
		{"behind the web proxy", proxied{dialError(syscall.ECONNREFUSED), 0}, "port-refused"},
		{"the web proxy's name", proxied{&net.DNSError{Name: "proxy.example", IsNotFound: true}, 0}, "web-proxy-name"},
		{"our own port", listenError(syscall.EADDRINUSE), "port-taken"},
		{"our own port on Windows", listenError(syscall.Errno(10048)), "port-taken"},
		{"our own port, forbidden", listenError(syscall.EACCES), "port-privileged"},
		{"our own address", listenError(syscall.EADDRNOTAVAIL), "address-not-here"},
		{"disk full", &os.PathError{Op: "write", Err: syscall.ENOSPC}, "disk-full"},
		{"unknown", errors.New("something"), ""},
		{"nobody's fault", context.Canceled, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, facts, found := ByError(fmt.Errorf("while asking: %w", &url.Error{Op: "Get", URL: "https://x", Err: test.err}))
			if got.ID != test.want || found != (test.want != "") {
				t.Errorf("%q, want %q", got.ID, test.want)
			}
			if strings.HasPrefix(test.want, "name-") && facts["host"] != "mail.example" {
				t.Errorf("facts %v", facts)
			}
			if strings.HasPrefix(test.want, "web-proxy-") && test.want != "web-proxy-name" && (facts["proxy"] != "proxy.example:3128" || facts["status"] == "0") {
				t.Errorf("facts %v", facts)
			}
		})
	}
}

// signed is a certificate for a name, by an issuer that nobody trusts.
func signed(t *testing.T, issuer string, from, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{issuer}},
		NotBefore: from, NotAfter: until, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TestCertificates: as a real handshake ends.
func TestCertificates(t *testing.T) {
	now := time.Now()
	const host, own = "outlook.office365.com", "mail.contoso.com"
	tests := []struct {
		name        string
		issuer      string
		from, until time.Duration
		names       []string // the first is asked for, unless it is trusted
		trusted     bool
		want        string
		fact, value string
	}{
		{"of one's own", "Contoso", -1, 1, []string{own, "mail." + host + ".contoso.com"}, false, "server-certificate-untrusted", "issuer", "Contoso"},
		{"of a proxy that looks into TLS", "Zscaler Inc.", -1, 1, []string{host, "*.office365.com"}, false, "tls-inspected", "issuer", "Zscaler Inc."},
		{"of the right issuer, and no roots here", "DigiCert Inc", -1, 1, []string{host}, false, "server-certificate-untrusted", "issuer", "DigiCert Inc"},
		{"for another name", "Contoso", -1, 1, []string{"a.example", "b.example", "c.example", "d.example"}, true, "server-certificate-name", "names", "a.example, b.example, c.example, ..."},
		{"over", "Contoso", -2, -1, []string{host}, true, "server-certificate-ended", "until", day(now.Add(-time.Hour))},
		{"to come", "Contoso", 1, 2, []string{host}, true, "server-certificate-early", "since", day(now.Add(time.Hour))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			certificate := signed(t, test.issuer, now.Add(test.from*time.Hour), now.Add(test.until*time.Hour), test.names...)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			server.StartTLS()
			defer server.Close()
			roots, asked := x509.NewCertPool(), test.names[0]
			if test.trusted {
				asked = host
				roots.AddCert(certificate.Leaf)
			}
			_, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{ServerName: asked, RootCAs: roots})
			got, facts, _ := ByError(err)
			if got.ID != test.want || facts[test.fact] != test.value {
				t.Errorf("%v: %q %v, want %q %q", err, got.ID, facts, test.want, test.value)
			}
		})
	}
}

// TestHandshakes: as those end in which the two sides have nothing in common.
func TestHandshakes(t *testing.T) {
	tests := []struct {
		name           string
		server, client *tls.Config
		want           string
	}{
		{"an old server", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, &tls.Config{}, "tls-version"},
		{"an old client", &tls.Config{}, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "tls-version"},
		{"other ciphers", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
			&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}}, "tls-refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = test.server.Clone()
			server.TLS.Certificates = []tls.Certificate{signed(t, "Contoso", time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "x")}
			server.StartTLS()
			defer server.Close()
			client := test.client.Clone()
			client.InsecureSkipVerify = true
			_, err := tls.Dial("tcp", server.Listener.Addr().String(), client)
			if got, _, _ := ByError(err); got.ID != test.want {
				t.Errorf("%v: %q, want %q", err, got.ID, test.want)
			}
		})
	}
}

func TestIsMicrosofts(t *testing.T) {
	for host, want := range map[string]bool{
		"outlook.office365.com": true, "SMTP.Office365.com.": true, "login.microsoftonline.us": true, "partner.outlook.cn": true,
		"office365.com.evil.example": false, "notoffice365.com": false, "mail.contoso.com": false, "": false,
	} {
		if IsMicrosofts(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// withListeners is the start of a configuration with those listeners; what a
// certificate needs not to be known is not there.
func withListeners(t *testing.T, listeners string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "config.yaml")
	text := "apps: {devices: {flow: client_secret, client_secret_file: for-the-service-alone}}\nstate_directory: state\nlisteners:\n" + listeners
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCertificate: the root alone goes to standard output, the same each time.
func TestCertificate(t *testing.T) {
	file := withListeners(t, `
- {protocol: smtp, address: "127.0.0.1:465", tls: implicit, names: [mail.contoso.com]}
- {protocol: imap, address: "127.0.0.1:143", tls: none}
`)
	got := runCommand(t, "", "certificate", "--config", file)
	if got.status != exitWell {
		t.Fatalf("got %+v", got)
	}
	block, rest := pem.Decode([]byte(got.out))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("standard output: %s", got.out)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !root.IsCA {
		t.Fatalf("not a root: %v", err)
	}
	for _, want := range []string{
		`SHA-256 fingerprint: ([0-9A-F]{2}:){31}[0-9A-F]{2}\n`, `good until: 20\d\d-\d\d-\d\d\n`, `Windows: .*certutil`, `Thunderbird:`,
		`the certificate of the smtp listener 127\.0\.0\.1:465 is for: mail\.contoso\.com, localhost, 127\.0\.0\.1\n`,
	} {
		if !regexp.MustCompile(want).MatchString(got.err) {
			t.Errorf("%q is missing in:\n%s", want, got.err)
		}
	}
	if again := runCommand(t, "", "certificate", "--config", file); again.out != got.out {
		t.Error("the second time it is another one")
	}
}

func TestCertificateWithoutListener(t *testing.T) {
	got := runCommand(t, "", "certificate", "--config", withListeners(t, `- {protocol: imap, address: "127.0.0.1:143"}`))
	if got.status != exitWell || !strings.Contains(got.out, "BEGIN CERTIFICATE") || !strings.Contains(got.err, "no listener has such a certificate") {
		t.Errorf("got %+v", got)
	}
}

func TestCertificateFails(t *testing.T) {
	file := withListeners(t, `- {protocol: imap, address: "127.0.0.1:143", tls: auto}`)
	authority := filepath.Join(filepath.Dir(file), "state", "tls")
	if err := os.MkdirAll(authority, 0o700); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, "", "certificate", "--config", file)
	if got.status != exitFailed || got.out != "" || !strings.Contains(got.err, "is lost") || !strings.Contains(got.err, "remove the folder "+authority) {
		t.Errorf("key lost: got %+v", got)
	}
	if os.Geteuid() == 0 {
		return // whom nothing is forbidden
	}
	if err := os.Chmod(authority, 0); err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, "", "certificate", "--config", file); got.status != exitFailed || !strings.Contains(got.err, "hint: the state directory belongs to the service") {
		t.Errorf("forbidden: got %+v", got)
	}
}

// TestServeIssues: a mail program that has installed the root sends mail over
// TLS, to a listener whose certificate nobody had to make.
func TestServeIssues(t *testing.T) {
	sandbox := start(t, "sandbox")
	defer sandbox.end(t)
	sandbox.err.await(t, "until Ctrl-C")
	text := regexp.MustCompile(`"127\.0\.0\.1:(1143|1110|1587)"`).ReplaceAllString(sandbox.out.String(), `"127.0.0.1:0"`)
	text = regexp.MustCompile(`\{protocol: smtp, address: \S+\}`).ReplaceAllString(text, `{protocol: smtp, address: "127.0.0.1:0", tls: implicit}`)
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := start(t, "serve", "--config", file)
	address := proxy.err.await(t, `msg=listening protocol=smtp address=(\S+) tls_mode=implicit`)[1]
	beside := runCommand(t, "", "certificate", "--config", file)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(beside.out)) {
		t.Fatalf("got %+v", beside)
	}
	c, err := smtp.DialTLS(address, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	proxy.end(t)
	if n := strings.Count(proxy.err.String(), "certificate made"); n != 1 {
		t.Error(fmt.Sprint(n, " certificates made:\n", proxy.err))
	}
}

//go:build linux

package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The ways to TLS, as the configuration calls them.
const (
	none     = "none"
	startTLS = "starttls"
	implicit = "implicit"
)

var (
	protocols = []string{"imap", "pop3", "smtp"}
	tlsModes  = []string{none, startTLS, implicit}
)

// oddUser and oddOtherPassword are a second login of the first mailbox: what
// IMAP can't say in a quoted string and others not in ASCII.
const (
	oddUser          = `desk "one" \ two`
	oddOtherPassword = "  päßword {3} \\\" \xff "
)

// deviceAddress is where a device is that cannot log in.
const deviceAddress = "127.0.0.9"

// oddPassword has what clients have to quote.
func oddPassword() string { return `it's "q\uoted" {5+} ` + newText(8) }

// site is a running proxy with a mail service behind it.
type site struct {
	service
	*process
	addresses map[string]string // by protocol and way to TLS
}

// onEach runs the test on each of the services, with a proxy of its own.
func onEach(t *testing.T, test func(*testing.T, *site)) {
	t.Run("sandbox", func(t *testing.T) { test(t, newSite(t, newStandIn(t))) })
	t.Run("dovecot and postfix", func(t *testing.T) { test(t, newSite(t, newRealService(t))) })
}

// newSite starts a proxy. At the end of the test it has to stop well, without
// a secret in its log.
func newSite(t *testing.T, service service) *site {
	t.Helper()
	needShared(t)
	configuration := filepath.Join(t.TempDir(), "config.yaml")
	writeConfiguration(t, configuration, service)
	serve := exec.Command(shared.program, "serve", "--config", configuration)
	// The race detector's own second at the end adds up.
	serve.Env = append(serve.Environ(), "GORACE=atexit_sleep_ms=0")
	p, err := start(serve)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{service: service, process: p}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("oauthproxy serve did not stop well: %v", err)
		}
		s.checkLog(t)
	})
	err = p.await("all ports are open", func(log []string) bool {
		s.addresses = listening(log)
		return len(s.addresses) == len(protocols)*len(tlsModes)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listening finds the addresses of the listeners in the log.
func listening(log []string) map[string]string {
	addresses := map[string]string{}
	for _, line := range log {
		var event struct{ Msg, Protocol, Address, TLS string }
		if json.Unmarshal([]byte(line), &event) == nil && event.Msg == "listening" {
			addresses[event.Protocol+" "+event.TLS] = event.Address
		}
	}
	return addresses
}

// address is where the proxy listens.
func (s *site) address(protocol, mode string) string { return s.addresses[protocol+" "+mode] }

// token is the beginning of every JSON Web Token: two objects in base64url.
var token = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.eyJ`)

// checkLog looks for secrets in the log, and shows it if the test has failed.
func (s *site) checkLog(t *testing.T) {
	log := s.text()
	for _, password := range []string{shared.password, oddOtherPassword} {
		for _, form := range []string{password, base64.StdEncoding.EncodeToString([]byte(password))} {
			if strings.Contains(log, form) {
				t.Fatal("the log holds a password")
			}
		}
	}
	if token.MatchString(log) || strings.Contains(log, base64.StdEncoding.EncodeToString([]byte("user="))[:6]) {
		t.Fatal("the log holds an access token")
	}
	if t.Failed() {
		t.Logf("the end of the proxy's log:\n%s", readable(log))
	}
}

// readable returns the end of a log as a person reads it.
func readable(log string) string {
	const most = 60
	lines := strings.Split(strings.TrimSpace(log), "\n")
	var b strings.Builder
	for _, line := range lines[max(0, len(lines)-most):] {
		var event struct{ Session, Msg, Line, While, Cause string }
		if json.Unmarshal([]byte(line), &event) != nil {
			fmt.Fprintln(&b, line) // of a panic, or of the race detector
			continue
		}
		fmt.Fprintln(&b, event.Session, event.Msg, event.Line, event.While, event.Cause)
	}
	return b.String()
}

// writeConfiguration writes a configuration with all listeners there can be,
// and the files that it names.
func writeConfiguration(t *testing.T, path string, service service) {
	t.Helper()
	entra := service.entra()
	folder := filepath.Dir(path)
	var b bytes.Buffer
	fmt.Fprintf(&b, "apps:\n  app: {tenant: %s, client_id: %s, flow: client_secret, client_secret_file: client.secret, authority: %q}\n",
		entra.TenantID(), entra.ClientID(), entra.Authority())
	b.WriteString("upstream:\n  ca_file: roots.pem\n")
	for _, protocol := range protocols {
		h := service.host(protocol)
		fmt.Fprintf(&b, "  %s: {address: %q, tls: %s}\n", protocol, h.address, h.tls)
	}
	b.WriteString("listeners:\n")
	for _, protocol := range protocols {
		for _, mode := range tlsModes {
			certificate := fmt.Sprintf(", certificate_file: %q, key_file: %q", shared.certificateFile, shared.keyFile)
			if mode == none {
				certificate = ""
			}
			fmt.Fprintf(&b, "  - {protocol: %s, address: \"127.0.0.1:0\", tls: %s%s}\n", protocol, mode, certificate)
		}
	}
	b.WriteString("accounts:\n")
	for i, mailbox := range service.mailboxes() {
		fmt.Fprintf(&b, "  - mailbox: %s\n    app: app\n    logins:\n      - {user: %s, password_hash: %q}\n", mailbox, mailbox, shared.hash)
		if i == 0 {
			fmt.Fprintf(&b, "      - {user: %q, password_hash: %q}\n", oddUser, shared.oddHash)
			fmt.Fprintf(&b, "      - {networks: [%s], protocols: [smtp], device: true}\n", deviceAddress)
		}
	}
	b.WriteString("log: {level: debug, format: json}\n")
	writeFile(t, path, b.Bytes())
	writeFile(t, filepath.Join(folder, "client.secret"), []byte(entra.ClientSecret()+"\n"))
	writeFile(t, filepath.Join(folder, "roots.pem"), append(entra.CAPEM(), shared.rootPEM...))
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

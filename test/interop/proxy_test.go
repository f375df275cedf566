//go:build linux

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// The ways to TLS, as the configuration calls them.
const (
	none     = "none"
	startTLS = "starttls"
	implicit = "implicit"
	auto     = "auto" // of a listener alone
)

var (
	protocols = []string{"imap", "pop3", "smtp"}
	tlsModes  = []string{none, startTLS, implicit}
	listeners = []string{none, startTLS, implicit, auto}
)

const (
	// oddUser is the user of the first mailbox's second login.
	oddUser = `desk "one" \ two`
	// deviceAddress is where a device is that cannot log in.
	deviceAddress = "127.0.0.9"
)

// site is a running proxy with a mail service behind it.
type site struct {
	service
	*process
	addresses map[string]string // by protocol and way to TLS
}

// onEach runs the test on each of the services, with a proxy of its own, side
// by side.
func onEach(t *testing.T, test func(*testing.T, *site)) {
	t.Run("sandbox", func(t *testing.T) {
		t.Parallel()
		test(t, newSite(t, newStandIn(t)))
	})
	t.Run("dovecot and postfix", func(t *testing.T) {
		t.Parallel()
		test(t, newSite(t, newRealService(t)))
	})
}

// newSite starts a proxy. At the end of the test it has to stop well, without
// a secret in its log.
func newSite(t *testing.T, service service) *site {
	t.Helper()
	needShared(t)
	configuration := filepath.Join(t.TempDir(), "config.yaml")
	writeConfiguration(t, configuration, service, listeners)
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
		return len(s.addresses) == len(protocols)*len(listeners)
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
		var event struct {
			Msg, Protocol, Address string
			TLS                    string `json:"tls_mode"`
		}
		if json.Unmarshal([]byte(line), &event) == nil && event.Msg == "listening" {
			addresses[event.Protocol+" "+event.TLS] = event.Address
		}
	}
	return addresses
}

// address is where the proxy listens.
func (s *site) address(protocol, mode string) string { return s.addresses[protocol+" "+mode] }

// port is the port's number, for programs that want it apart.
func (s *site) port(protocol, mode string) string {
	_, port, _ := strings.Cut(s.address(protocol, mode), ":")
	return port
}

// checkLog looks for secrets in the log, and shows it if the test has failed.
func (s *site) checkLog(t *testing.T) {
	log := s.text()
	if secret := findSecret(log); secret != "" {
		t.Fatal("the log holds ", secret)
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
		var event struct{ Session, Msg, Side, Direction, Line, Phase, Cause string }
		if json.Unmarshal([]byte(line), &event) != nil {
			fmt.Fprintln(&b, line) // of a panic, or of the race detector
			continue
		}
		fmt.Fprintln(&b, event.Session, event.Msg, event.Line, event.Phase, event.Cause)
	}
	return b.String()
}

// writeConfiguration writes a configuration with a listener for each protocol
// and way to TLS, and the files that it names.
func writeConfiguration(t *testing.T, path string, service service, modes []string) {
	t.Helper()
	entra, folder := service.entra(), filepath.Dir(path)
	hosts := map[string]host{}
	for _, protocol := range protocols {
		hosts[protocol] = service.host(protocol)
	}
	err := fill("oauthproxy.yaml", path, 0o600, map[string]any{
		"Entra": entra, "Hosts": hosts, "TLSModes": modes, "Shared": &shared,
		"Mailboxes": service.mailboxes(), "OddUser": oddUser, "OddLogins": oddLogins, "DeviceAddress": deviceAddress,
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "client.secret"), []byte(entra.ClientSecret()+"\n"))
	writeFile(t, filepath.Join(folder, "roots.pem"), append(entra.CAPEM(), shared.RootPEM...))
}

// fill writes a file from its template in testdata/configurations.
func fill(name, path string, mode os.FileMode, values map[string]any) error {
	file, err := template.ParseFiles(filepath.Join("testdata", "configurations", name))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := file.Execute(&text, values); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), mode)
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

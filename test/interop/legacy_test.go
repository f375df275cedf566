//go:build linux

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goodbye is how a client ends.
var goodbye = map[string]string{"imap": "a LOGOUT\n", "pop3": "QUIT\n", "smtp": "QUIT\n"}

// TestLegacyTLS: OpenSSL as an old device is gets in on each kind of port, and
// trusts the certificate that the proxy has made. Debian's knows 3DES no more;
// that is tested in cmd/oauthproxy, with Go's own client.
func TestLegacyTLS(t *testing.T) {
	needs(t, "openssl")
	needShared(t)
	configuration := filepath.Join(t.TempDir(), "config.yaml")
	err := fill("legacy.yaml", configuration, 0o600, map[string]any{"Protocols": protocols, "TLSModes": tlsModes[1:], "Shared": &shared})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(filepath.Dir(configuration), "client.secret"), []byte("unused\n"))
	p, err := start(exec.Command(shared.program, "serve", "--config", configuration))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("oauthproxy serve did not stop well: %v", err)
		}
	})
	var addresses map[string]string
	err = p.await("all ports are open", func(log []string) bool {
		addresses = listening(log)
		return len(addresses) == 2*len(protocols)
	})
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(filepath.Dir(configuration), "root.pem")
	printed, err := exec.Command(shared.program, "certificate", "--config", configuration).Output()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, root, printed)
	for _, device := range [][]string{
		{"TLSv1", "AES128-SHA", "-tls1"},
		{"TLSv1", "ECDHE-RSA-AES256-SHA", "-tls1"},
		{"TLSv1.1", "AES256-SHA", "-tls1_1"},
		{"TLSv1.2", "AES128-SHA", "-tls1_2"},
		{"TLSv1.2", "AES128-SHA256", "-tls1_2"},
		{"TLSv1.2", "AES256-GCM-SHA384", "-tls1_2"},
		{"TLSv1.2", "ECDHE-RSA-AES128-SHA256", "-tls1_2"},
		{"TLSv1.2", "AES256-SHA", "-tls1_2", "-sigalgs", "RSA+SHA1", "ECDHE-RSA-AES128-SHA:"},
	} {
		for port, address := range addresses {
			t.Run(device[0]+" "+device[1]+" "+port, func(t *testing.T) { visit(t, address, port, root, device) })
		}
	}
	checkLegacyLog(t, p)
}

// visit connects as a device that knows one version and one suite, or more
// that the proxy can't take, and says goodbye.
func visit(t *testing.T, address, port, root string, device []string) {
	version, suite, options := device[0], device[1], device[2:]
	offers := suite
	if last := options[len(options)-1]; strings.HasSuffix(last, ":") {
		offers, options = last+suite, options[:len(options)-1]
	}
	protocol, mode, _ := strings.Cut(port, " ")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	arguments := append([]string{"s_client", "-connect", address, "-brief", "-ign_eof", "-crlf",
		"-CAfile", root, "-verify_return_error", "-verify_hostname", "localhost", "-cipher", offers + ":@SECLEVEL=0"}, options...)
	if mode == startTLS {
		arguments = append(arguments, "-starttls", protocol)
	}
	command := exec.CommandContext(ctx, "openssl", arguments...)
	// The machine's own policy is not the device's.
	command.Env = append(os.Environ(), "OPENSSL_CONF=/dev/null")
	command.Stdin = strings.NewReader(goodbye[protocol])
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command.Args, err, out)
	}
	for _, want := range []string{"Protocol version: " + version + "\n", "Ciphersuite: " + suite + "\n", "Verification: OK", "oodbye"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("%v: %q is missing in:\n%s", command.Args, want, out)
		}
	}
}

// checkLegacyLog looks for each device in the log.
func checkLegacyLog(t *testing.T, p *process) {
	t.Helper()
	noted := map[string]int{}
	for line := range strings.Lines(p.text()) {
		var event struct {
			Msg, Client string
			Version     string `json:"tls"`
			Suite       string `json:"tls_suite"`
		}
		if json.Unmarshal([]byte(line), &event) == nil && event.Msg == "legacy TLS" && event.Client == "127.0.0.1" {
			noted[event.Version+" "+event.Suite]++
		}
	}
	for _, want := range []string{
		"TLS 1.0 TLS_RSA_WITH_AES_128_CBC_SHA", "TLS 1.0 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS 1.1 TLS_RSA_WITH_AES_256_CBC_SHA",
		"TLS 1.2 TLS_RSA_WITH_AES_128_CBC_SHA", "TLS 1.2 TLS_RSA_WITH_AES_128_CBC_SHA256", "TLS 1.2 TLS_RSA_WITH_AES_256_GCM_SHA384",
		"TLS 1.2 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "TLS 1.2 TLS_RSA_WITH_AES_256_CBC_SHA",
	} {
		if noted[want] != 2*len(protocols) {
			t.Errorf("%q is in the log %d times, want one for each port", want, noted[want])
		}
	}
}

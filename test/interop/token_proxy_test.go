//go:build linux

package interop

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"oauthproxy/internal/sandbox"
)

// webProxyUser logs in to tinyproxy, which takes letters and digits alone.
const webProxyUser = "proxyuser"

// TestTokensThroughTinyproxy: the way to Entra ID leads through a web proxy,
// which is the only one where a firewall lets nothing else out.
func TestTokensThroughTinyproxy(t *testing.T) {
	needs(t, "tinyproxy")
	needShared(t)
	s := newStandIn(t)
	byName, root := entraByName(t, s.Sandbox)
	proxy, address := startTinyproxy(t)
	refusing, refusingAddress := startTinyproxy(t, "ConnectPort 1")
	as := func(password, address string) string {
		return fmt.Sprintf("http://%s:%s@%s", webProxyUser, password, address)
	}

	tests := []struct {
		name, authority, key, environment string
		want                              string
		through                           *process // nil: no connection to Entra ID was asked for
	}{
		{"http_proxy", s.Authority(), as(unmistakable, address), "", "Entra ID gave an access token", proxy},
		{"HTTPS_PROXY", byName, "", as(unmistakable, address), "Entra ID gave an access token", proxy},
		{"http_proxy counts before HTTPS_PROXY", byName, as(unmistakable, address), as(unmistakable, refusingAddress), "Entra ID gave an access token", proxy},
		{"wrong password", s.Authority(), as("wrong", address), "", "the web proxy " + address + " wants another user name and password (status 401)", nil},
		{"no password", byName, "", "http://" + address, "the web proxy " + address + " wants another user name and password (status 407)", nil},
		{"forbidden", s.Authority(), as(unmistakable, refusingAddress), "", "the web proxy " + refusingAddress + " refuses connections to Entra ID at ", refusing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := tokenConfiguration(t, s.Sandbox, test.authority, test.key, root)
			entra, _ := url.Parse(test.authority)
			isConnect := regexp.MustCompile("CONNECT " + regexp.QuoteMeta(entra.Host) + " ").MatchString
			before := [2]int{connects(proxy, isConnect), connects(refusing, isConnect)}

			login := exec.Command(shared.program, "login", "scanner@contoso.example", "--config", config)
			login.Env = slices.DeleteFunc(login.Environ(), func(v string) bool {
				name, _, _ := strings.Cut(strings.ToUpper(v), "=")
				return name == "NO_PROXY" || name == "HTTPS_PROXY"
			})
			login.Env = append(login.Env, "HTTPS_PROXY="+test.environment)
			said, err := login.CombinedOutput()
			if !strings.Contains(string(said), test.want) || (err == nil) != strings.HasPrefix(test.want, "Entra ID gave") {
				t.Errorf("login said %s (%v), want %q", said, err, test.want)
			}
			for i, p := range []*process{proxy, refusing} {
				if got := connects(p, isConnect) > before[i]; got != (p == test.through) && test.through != nil {
					t.Errorf("web proxy %d was asked: %v; it says:\n%s", i+1, got, p.text())
				}
			}
			if secret := findSecret(string(said)); secret != "" {
				t.Error("login shows ", secret)
			}
		})
	}
}

func connects(p *process, is func(string) bool) int {
	n := 0
	log, _ := p.lines()
	for _, line := range log {
		if is(line) {
			n++
		}
	}
	return n
}

// startTinyproxy starts a web proxy for webProxyUser and returns its address.
func startTinyproxy(t *testing.T, lines ...string) (*process, string) {
	t.Helper()
	ports, err := freePorts("tinyproxy")
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports["tinyproxy"])
	lines = append([]string{fmt.Sprintf("Port %d", ports["tinyproxy"]), "Listen 127.0.0.1", "LogLevel Info",
		"BasicAuth " + webProxyUser + " " + unmistakable}, lines...)
	config := filepath.Join(t.TempDir(), "tinyproxy.conf")
	writeFile(t, config, []byte(strings.Join(lines, "\n")+"\n"))
	p, err := start(exec.Command("tinyproxy", "-d", "-c", config))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.stop() })
	err = p.await("it takes connections", func(log []string) bool {
		return slices.ContainsFunc(log, func(line string) bool { return strings.Contains(line, "Accepting connections") })
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, address
}

// entraByName makes the stand-in reachable under the machine's name, and
// returns its authority there and the root of its certificate: nobody's
// HTTPS_PROXY is asked for what is on 127.0.0.1.
func entraByName(t *testing.T, s *sandbox.Sandbox) (authority string, root []byte) {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(name, "0"))
	if err != nil || name == "localhost" {
		lacks(t, fmt.Sprintf("this machine's name %s is no address of its own (%v)", name, err))
	}
	behind, err := url.Parse(s.Authority())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) { // Host stays: the stand-in goes by that name
			r.Out.URL.Scheme, r.Out.URL.Host = behind.Scheme, behind.Host
		},
	})
	_ = front.Listener.Close()
	front.Listener = listener
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.TLS, root = serverTLS(t, name)
	front.StartTLS()
	t.Cleanup(func() {
		front.Close()
		transport.CloseIdleConnections()
	})
	port := listener.Addr().(*net.TCPAddr).Port
	return fmt.Sprintf("https://%s:%d%s", name, port, behind.Path), root
}

// serverTLS has a certificate for the host; it comes with the root of that.
func serverTLS(t *testing.T, host string) (config *tls.Config, rootPEM []byte) {
	t.Helper()
	root := newTemplate("root of " + host)
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	rootKey, rootDER, err := sign(root, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf := newTemplate(host)
	leaf.DNSNames, leaf.ExtKeyUsage = []string{host}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key, der, err := sign(leaf, root, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{certificate}}, encodePEM("CERTIFICATE", rootDER)
}

// tokenConfiguration writes a configuration with one application and returns
// the name of the file. A key of "" isn't written.
func tokenConfiguration(t *testing.T, s *sandbox.Sandbox, authority, httpProxy string, root []byte) string {
	t.Helper()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "client.secret"), []byte(s.ClientSecret()))
	writeFile(t, filepath.Join(folder, "roots.pem"), append(s.CAPEM(), root...))
	text := fmt.Sprintf(`
apps: {devices: {tenant: %s, client_id: %s, flow: client_secret, client_secret_file: client.secret, authority: %q}}
listeners: [{protocol: imap, address: "127.0.0.1:0"}]
accounts: [{mailbox: scanner@contoso.example, app: devices, logins: [{user: scanner, password_hash: %q}]}]
upstream: {ca_file: roots.pem}
state_directory: state
`, s.TenantID(), s.ClientID(), authority, shared.Hash)
	if httpProxy != "" {
		text += fmt.Sprintf("http_proxy: %q\n", httpProxy)
	}
	writeFile(t, filepath.Join(folder, "config.yaml"), []byte(text))
	return filepath.Join(folder, "config.yaml")
}

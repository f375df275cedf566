package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/admin"
	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

const localPassword = "a local password"

// site is a sandbox with a configuration for people who sign in.
type site struct {
	*sandbox.Sandbox
	t      *testing.T
	folder string
	config string // the file
}

// newSite starts a sandbox. The flow is that of alice's and the shared
// mailbox; scanner is the application's own.
func newSite(t *testing.T, flow string) *site {
	t.Helper()
	for _, name := range []string{"RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY", "OAUTHPROXY_STORE_PASSPHRASE", "DISPLAY", "WAYLAND_DISPLAY"} {
		t.Setenv(name, "")
	}
	entra, err := sandbox.Start(sandbox.Options{DeviceCodeInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = entra.Close() })
	s := &site{Sandbox: entra, t: t, folder: t.TempDir()}
	s.config = filepath.Join(s.folder, "config.yaml")
	hash, err := accounts.Hash(wire.NewSecret(localPassword))
	if err != nil {
		t.Fatal(err)
	}
	authority := strings.TrimSuffix(s.Authority(), "/"+s.TenantID())
	s.write("ca.pem", string(s.CAPEM()))
	s.write("client.secret", s.ClientSecret())
	app := fmt.Sprintf("tenant: %s, client_id: %s, authority: %q", s.TenantID(), s.ClientID(), authority)
	s.write("config.yaml", fmt.Sprintf(`
apps:
  staff: {flow: %s, %s}
  devices: {flow: client_secret, client_secret_file: client.secret, %s}
listeners:
  - {protocol: imap, address: "127.0.0.1:0"}
  - {protocol: smtp, address: "127.0.0.1:0"}
accounts:
  - {mailbox: alice@contoso.example, app: staff, logins: [{user: alice, password_hash: &hash %q}]}
  - {mailbox: shared@contoso.example, app: staff, sign_in_as: alice@contoso.example, logins: [{user: shared, password_hash: *hash}]}
  - {mailbox: scanner@contoso.example, app: devices, logins: [{user: scanner, password_hash: *hash}]}
upstream: {imap: {address: %q}, smtp: {address: %q}, ca_file: ca.pem}
state_directory: state
`, flow, app, app, hash, s.IMAP(), s.SMTP()))
	return s
}

func (s *site) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// change replaces a part of the configuration.
func (s *site) change(old, new string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil || !strings.Contains(string(text), old) {
		s.t.Fatalf("the configuration lacks %q: %v", old, err)
	}
	s.write("config.yaml", strings.ReplaceAll(string(text), old, new))
}

// serve starts the proxy and returns where it takes mail.
func (s *site) serve() (proxy *running, smtp string) {
	s.t.Helper()
	proxy = start(s.t, "serve", "--config", s.config)
	return proxy, proxy.err.await(s.t, `msg=listening protocol=smtp address=(\S+)`)[1]
}

// accounts returns what the command of that name says, by account.
func (s *site) accounts() map[string]admin.Account {
	s.t.Helper()
	got := runCommand(s.t, "", "accounts", "--json", "--config", s.config)
	var all []admin.Account
	if err := json.Unmarshal([]byte(got.out), &all); err != nil || got.status != exitWell {
		s.t.Fatalf("%v: %+v", err, got)
	}
	byName := make(map[string]admin.Account)
	for _, a := range all {
		byName[a.Account] = a
	}
	return byName
}

// logInByCode signs a person in with a device code.
func (s *site) logInByCode(account, person string) {
	s.t.Helper()
	login := start(s.t, "login", account, "--config", s.config)
	code := login.out.await(s.t, `code     (\S+)\n`)[1]
	if err := s.ApproveDeviceCode(code, person); err != nil {
		s.t.Error(err)
	}
	login.err.await(s.t, `signed in as `+person+` for `+strings.ToLower(account))
	login.wait(s.t, exitWell)
}

// wait waits until the command ends by itself.
func (r *running) wait(t *testing.T, want int) {
	t.Helper()
	if status := <-r.status; status != want {
		t.Errorf("exit status %d, want %d; it said:\n%s", status, want, r.err)
	}
}

// browse signs a person in at the address, as a browser does, and returns the
// last page; follow tells whether the browser can reach this machine.
func (s *site) browse(address, person string, follow bool) *http.Response {
	s.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	if !follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	response, err := client.PostForm(address, url.Values{"account": {person}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

package main

import (
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"

	"oauthproxy/accounts"
	"oauthproxy/internal/wire"
)

// reload lets the running proxy read its configuration again.
func (s *site) reload(want int) outcome {
	s.t.Helper()
	got := runCommand(s.t, "", "reload", "--config", s.config)
	if got.status != want {
		s.t.Errorf("reload: %+v, want status %d", got, want)
	}
	return got
}

// appOnly is a site in which nobody signs in, with bob and scanner.
func appOnly(t *testing.T) *site {
	t.Helper()
	s := newSite(t, "device_code")
	s.change("mailbox: alice@contoso.example, app: staff, logins: [{user: alice", "mailbox: bob@contoso.example, app: devices, logins: [{user: bob")
	s.change("  - {mailbox: shared@contoso.example, app: staff, sign_in_as: alice@contoso.example, logins: [{user: shared, password_hash: *hash}]}\n", "")
	return s
}

// serveAll starts the proxy and returns where its ports are.
func (s *site) serveAll() (proxy *running, imap, smtp string) {
	s.t.Helper()
	proxy, smtp = s.serve()
	return proxy, proxy.err.await(s.t, `msg=listening protocol=imap address=(\S+)`)[1], smtp
}

// TestReload: logins, accounts and ports come and go; the session that was
// there before doesn't notice, though its login has gone.
func TestReload(t *testing.T) {
	s := appOnly(t)
	proxy, imap, smtp := s.serveAll()
	bob := openIMAP(t, imap, "bob")

	s.change("user: bob", "user: robert")
	s.change(`{protocol: smtp, address: "127.0.0.1:0"}`, `{protocol: pop3, address: "127.0.0.1:0"}`)
	s.change("accounts:\n", "accounts:\n  - {mailbox: alice@contoso.example, app: devices, logins: [{user: alice, password_hash: \""+hashOf(t, localPassword)+"\"}]}\n")
	s.change("upstream: {imap", "upstream: {pop3: {address: \""+s.POP3()+"\"}, imap")
	got := s.reload(exitWell)
	if want := "reloaded: 3 accounts, 2 listeners, 1 of them new, 1 closed\n"; got.out != want || got.err != "" {
		t.Errorf("got %+v, want %q", got, want)
	}
	proxy.err.await(t, `msg=listening protocol=pop3`)
	if conn, err := net.Dial("tcp", smtp); err == nil {
		_ = conn.Close()
		t.Error("the port that has gone is still open")
	}
	if err := bob.Noop().Wait(); err != nil {
		t.Errorf("the session from before: %v", err)
	}
	for user, want := range map[string]string{"robert": "a OK", "bob": "a NO [AUTHENTICATIONFAILED]", "alice": "a OK", "scanner": "a OK"} {
		if heard := logInByIMAP(t, imap, user); !strings.HasPrefix(heard, want) {
			t.Errorf("%s hears %q, want %q", user, heard, want)
		}
	}
	proxy.end(t)
}

// TestReloadOfAWrongConfiguration changes nothing and says what is wrong.
func TestReloadOfAWrongConfiguration(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct {
		name, old, new string
		status         int
		says           string
	}{
		{"a mistake", "protocol: smtp", "protocol: smpt", exitConfig, `listeners[1].protocol: unknown value "smpt"`},
		{"a file that has gone", "client.secret", "gone.secret", exitConfig, "gone.secret: no such file or directory"},
		{"a port that is taken", "listeners:\n", "listeners:\n  - {protocol: pop3, address: \"" + taken.Addr().String() + "\"}\n", exitFailed, "address already in use"},
	}
	s := appOnly(t)
	proxy, imap, _ := s.serveAll()
	right, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s.write("config.yaml", string(right))
			s.change("user: bob", "user: robert")
			s.change(test.old, test.new)
			got := s.reload(test.status)
			if !strings.Contains(got.err, test.says) || !strings.Contains(got.err, "nothing has changed") {
				t.Errorf("got %+v", got)
			}
			if heard := logInByIMAP(t, imap, "bob"); !strings.HasPrefix(heard, "a OK") {
				t.Errorf("bob hears %q", heard)
			}
		})
	}
	proxy.end(t)
}

// TestReloadOfWhatTakesARestart says so, and does the rest.
func TestReloadOfWhatTakesARestart(t *testing.T) {
	s := appOnly(t)
	proxy, imap, _ := s.serveAll()
	s.change("user: bob", "user: robert")
	s.change("state_directory: state", "log: {format: json}\nstate_directory: state")
	got := s.reload(exitWell)
	if want := "oauthproxy: log.format has changed: that takes a restart\n"; got.err != want {
		t.Errorf("got %+v, want %q", got, want)
	}
	if heard := logInByIMAP(t, imap, "robert"); !strings.HasPrefix(heard, "a OK") {
		t.Errorf("robert hears %q", heard)
	}
	proxy.end(t)
}

// TestReloadUnderLoad: no session breaks while the configuration is read again
// and again.
func TestReloadUnderLoad(t *testing.T) {
	s := appOnly(t)
	proxy, imap, smtp := s.serveAll()
	const rounds, clients = 10, 8
	var working sync.WaitGroup
	done := make(chan struct{})
	for range clients {
		working.Go(func() {
			c := openIMAP(t, imap, "scanner")
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := c.Noop().Wait(); err != nil {
					t.Errorf("a session from before: %v", err)
					return
				}
			}
		})
	}
	working.Go(func() {
		for range 5 {
			if err := sendFrom(smtp, "bob", localPassword, "bob@contoso.example"); err != nil {
				t.Errorf("a message: %v", err)
			}
		}
	})
	for i := range rounds {
		if i%2 == 0 {
			s.change("user: bob", "user: bob, networks: [127.0.0.0/8]")
		} else {
			s.change("user: bob, networks: [127.0.0.0/8]", "user: bob")
		}
		s.reload(exitWell)
	}
	close(done)
	working.Wait()
	proxy.end(t)
}

// TestReloadTriesAReplacedSecret at once, though Entra ID has refused the one
// before.
func TestReloadTriesAReplacedSecret(t *testing.T) {
	s := appOnly(t)
	s.write("client.secret", "wrong")
	proxy, imap, _ := s.serveAll()
	if heard := logInByIMAP(t, imap, "bob"); !strings.HasPrefix(heard, "a NO [UNAVAILABLE]") {
		t.Fatalf("with a wrong secret: %q", heard)
	}
	s.write("client.secret", s.ClientSecret())
	s.reload(exitWell)
	if heard := logInByIMAP(t, imap, "bob"); !strings.HasPrefix(heard, "a OK") {
		t.Errorf("with the right one: %q", heard)
	}
	proxy.end(t)
}

func TestReloadWithoutAService(t *testing.T) {
	s := appOnly(t)
	got := s.reload(exitFailed)
	if !strings.Contains(got.err, "no service is running") || !strings.Contains(got.err, "hint: start it with: oauthproxy serve") {
		t.Errorf("got %+v", got)
	}
}

// openIMAP logs in, and out when the test ends.
func openIMAP(t *testing.T, address, user string) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Login(user, localPassword).Wait(); err != nil {
		t.Errorf("%s: %v", user, err)
	}
	return c
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := accounts.Hash(wire.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestReloadOfNoYAML: the service is found, and says what is wrong.
func TestReloadOfNoYAML(t *testing.T) {
	s := appOnly(t)
	proxy, _, _ := s.serveAll()
	s.change("listeners:", "listeners: [")
	got := s.reload(exitConfig)
	if !strings.Contains(got.err, "config.yaml:") || !strings.Contains(got.err, "nothing has changed") {
		t.Errorf("got %+v", got)
	}
	proxy.end(t)
}

package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
)

// TestLoginBesideTheService: what was refused works after a login, without a
// restart of the service, and is refused again after a logout.
func TestLoginBesideTheService(t *testing.T) {
	s := newSite(t, "device_code")
	proxy, smtp := s.serve()
	defer proxy.end(t)

	err := send(smtp, "alice", localPassword)
	if want := "run: oauthproxy login alice@contoso.example (session "; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("before: got %v, want %q", err, want)
	}
	if got := s.accounts()["alice@contoso.example"]; got.State != "sign-in needed" || got.Next != "run: oauthproxy login alice@contoso.example" {
		t.Errorf("before: %+v", got)
	}
	s.logInByCode("Alice@contoso.example", "alice@contoso.example")
	if err := sendFrom(smtp, "alice", localPassword, "alice@contoso.example"); err != nil {
		t.Errorf("after the login: %v", err)
	}
	if got := s.accounts()["alice@contoso.example"]; got.State != "ready" || got.SignedInAs != "alice@contoso.example" || got.TokenExpires.IsZero() {
		t.Errorf("after the login: %+v", got)
	}
	got := runCommand(t, "", "logout", "alice@contoso.example", "--config", s.config)
	if got.status != exitWell || !strings.Contains(got.err, "signed out of alice@contoso.example") {
		t.Errorf("logout: %+v", got)
	}
	if got := s.accounts()["alice@contoso.example"]; got.State != "sign-in needed" || got.SignedInAs != "" {
		t.Errorf("after the logout: %+v", got)
	}
}

// TestLoginByBrowser: beside a service the browser comes back to the service;
// alone, to the command.
func TestLoginByBrowser(t *testing.T) {
	for _, beside := range []bool{true, false} {
		t.Run(fmt.Sprintf("beside a service %v", beside), func(t *testing.T) {
			s := newSite(t, "browser")
			if beside {
				proxy, _ := s.serve()
				defer proxy.end(t)
			}
			login := start(t, "login", "alice@contoso.example", "--config", s.config)
			address := login.out.await(t, `(https://\S+)\n`)[1]
			page, err := io.ReadAll(s.browse(address, "alice@contoso.example", true).Body)
			if err != nil || !strings.Contains(string(page), "You are signed in as alice@contoso.example") {
				t.Errorf("the page says %s, %v", page, err)
			}
			login.wait(t, exitWell)
			if !strings.Contains(login.err.String(), "hint: if the browser is on another machine, first run there: ssh -L ") {
				t.Errorf("it said:\n%s", login.err)
			}
			if got := s.accounts()["alice@contoso.example"]; got.SignedInAs != "alice@contoso.example" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestLoginByPasting: a browser on another machine can't come back. What is
// pasted by mistake is told, and asked for again.
func TestLoginByPasting(t *testing.T) {
	for _, beside := range []bool{true, false} {
		t.Run(fmt.Sprintf("beside a service %v", beside), func(t *testing.T) {
			s := newSite(t, "browser")
			said := func() string { return "" }
			if beside {
				proxy, _ := s.serve()
				defer proxy.end(t)
				said = proxy.err.String
			}
			login, keyboard := startTyping(t, "login", "alice@contoso.example", "--config", s.config)
			address := login.out.await(t, `(https://\S+)\n`)[1]
			back := s.browse(address, "alice@contoso.example", false).Header.Get("Location")
			paste := func(line string) {
				t.Helper()
				if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
					t.Fatal(err)
				}
			}
			paste("")
			for _, wrong := range []string{strings.Repeat("\x01", 3*maxPasted), "http://localhost/?code=stolen&state=other"} {
				paste(wrong)
			}
			login.err.await(t, `what was pasted can't be used: it isn't the address [\s\S]*what was pasted can't be used: it belongs to another sign-in`)
			paste(back)
			login.wait(t, exitWell)
			ended, err := url.Parse(back)
			if err != nil {
				t.Fatal(err)
			}
			if all := login.out.String() + login.err.String() + said(); strings.Contains(all, ended.Query().Get("code")) || strings.Contains(all, "stolen") {
				t.Errorf("a code was shown:\n%s", all)
			}
		})
	}
}

func TestLoginByPassword(t *testing.T) {
	s := newSite(t, "password, allow_deprecated: true")
	proxy, _ := s.serve()
	defer proxy.end(t)
	got := runCommand(t, "wrong\n", "login", "alice@contoso.example", "--config", s.config)
	if got.status != exitFailed || !strings.Contains(got.err, "AADSTS50126") {
		t.Errorf("wrong password: %+v", got)
	}
	password := s.Password("alice@contoso.example")
	got = runCommand(t, password+"\n", "login", "alice@contoso.example", "--config", s.config)
	if got.status != exitWell || strings.Contains(got.err+got.out+proxy.err.String(), password) {
		t.Errorf("got %+v, the service:\n%s", got, proxy.err)
	}
}

// TestLoginAlone: what is signed in for without a service, a service takes up.
func TestLoginAlone(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	requests := s.TokenRequests()
	proxy, smtp := s.serve()
	defer proxy.end(t)
	if err := sendFrom(smtp, "alice", localPassword, "alice@contoso.example"); err != nil {
		t.Error(err)
	}
	if got := s.TokenRequests(); got != requests {
		t.Errorf("the service made %d token requests", got-requests)
	}
}

func TestLoginWithoutAPerson(t *testing.T) {
	s := newSite(t, "device_code")
	got := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
	if got.status != exitWell || !strings.Contains(got.err, "scanner@contoso.example needs nobody to sign in: Entra ID gave an access token, good until 20") {
		t.Errorf("got %+v", got)
	}
	s.write("client.secret", "another secret")
	got = runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
	if got.status != exitFailed || !strings.Contains(got.err, "AADSTS7000215") {
		t.Errorf("with a wrong secret: %+v", got)
	}
}

// TestLoginForASharedMailbox: IMAP and POP3 open the mailbox, SMTP logs in as
// the person, all with one token.
func TestLoginForASharedMailbox(t *testing.T) {
	s := newSite(t, "device_code")
	s.change("listeners:\n", "listeners:\n  - {protocol: pop3, address: \"127.0.0.1:0\"}\n")
	s.change("upstream: {", fmt.Sprintf("upstream: {pop3: {address: %q}, ", s.POP3()))
	proxy, smtp := s.serve()
	defer proxy.end(t)
	imap := proxy.err.await(t, `msg=listening protocol=imap address=(\S+)`)[1]
	s.logInByCode("shared@contoso.example", "alice@contoso.example")
	if err := s.GrantSendAs("alice@contoso.example", "shared@contoso.example"); err != nil {
		t.Fatal(err)
	}
	if err := sendFrom(smtp, "shared", localPassword, "shared@contoso.example"); err != nil {
		t.Error(err)
	}
	c, err := imapclient.DialInsecure(imap, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("shared", localPassword).Wait(); err != nil {
		t.Fatal(err)
	}
	inbox, err := c.Select("INBOX", nil).Wait()
	if err != nil || inbox.NumMessages != 1 {
		t.Errorf("the shared mailbox has %+v, %v", inbox, err)
	}
	pop3, err := net.Dial("tcp", proxy.err.await(t, `msg=listening protocol=pop3 address=(\S+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	defer pop3.Close()
	fmt.Fprintf(pop3, "USER shared\r\nPASS %s\r\nSTAT\r\nQUIT\r\n", localPassword)
	if heard, err := io.ReadAll(pop3); err != nil || !strings.Contains(string(heard), "\r\n+OK 1 ") {
		t.Errorf("POP3 says %q, %v", heard, err)
	}
	if n := s.TokenRequestsBy("refresh_token"); n > 0 {
		t.Errorf("%d further tokens were fetched", n)
	}
}

// TestLoginOfSomebodyElse is refused, and nothing is kept.
func TestLoginOfSomebodyElse(t *testing.T) {
	s := newSite(t, "device_code")
	login := start(t, "login", "alice@contoso.example", "--config", s.config)
	if err := s.ApproveDeviceCode(login.out.await(t, `code     (\S+)\n`)[1], "bob@contoso.example"); err != nil {
		t.Fatal(err)
	}
	login.err.await(t, "bob@contoso.example signed in, but this account needs alice@contoso.example")
	login.wait(t, exitFailed)
	if got := s.accounts()["alice@contoso.example"]; got.SignedInAs != "" {
		t.Errorf("got %+v", got)
	}
}

// TestLoginInterrupted: Ctrl-C ends it, also in the service.
func TestLoginInterrupted(t *testing.T) {
	for _, beside := range []bool{true, false} {
		t.Run(fmt.Sprintf("beside a service %v", beside), func(t *testing.T) {
			s := newSite(t, "browser")
			if beside {
				proxy, _ := s.serve()
				defer proxy.end(t)
				defer proxy.err.await(t, `msg="not signed in"`)
			}
			login := start(t, "login", "alice@contoso.example", "--config", s.config)
			login.err.await(t, "paste that page's address")
			login.stop()
			login.wait(t, exitFailed)
		})
	}
}

// TestLoginByCertificate, with what accounts tells about it.
func TestLoginByCertificate(t *testing.T) {
	s := newSite(t, "device_code")
	key, end := certificateKeys()[0], time.Now().Add(30*24*time.Hour).Truncate(time.Second)
	certificate := newCertificate(t, key, end)
	if err := s.RegisterCertificate(certificate.Raw); err != nil {
		t.Fatal(err)
	}
	s.write("app.pem", pemOf("CERTIFICATE", certificate.Raw))
	s.write("app.key", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)))
	s.change("flow: client_secret, client_secret_file: client.secret", "flow: certificate, certificate_file: app.pem, key_file: app.key")

	got := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
	if got.status != exitWell || !strings.Contains(got.err, "needs nobody to sign in") {
		t.Errorf("got %+v", got)
	}
	a := s.accounts()["scanner@contoso.example"]
	if !a.CredentialExpires.Equal(end) || len(a.Thumbprint) != 40 {
		t.Errorf("got %+v, want a certificate that ends at %v", a, end)
	}
}

func TestLoginByManagedIdentity(t *testing.T) {
	s := newSite(t, "device_code")
	endpoint, header := s.ManagedIdentity()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	file, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("config.yaml", regexp.MustCompile(`devices: \{.*\}`).ReplaceAllString(string(file), "devices: {flow: managed_identity}"))
	got := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
	if got.status != exitWell || !strings.Contains(got.err, "needs nobody to sign in") {
		t.Errorf("got %+v", got)
	}
}

package sandbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a sandbox for one test.
func start(t *testing.T, opts Options) *Sandbox {
	t.Helper()
	s, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// clientTLS trusts the sandbox's root.
func clientTLS(t *testing.T, s *Sandbox) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CAPEM()) {
		t.Fatal("CAPEM holds no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// httpClient trusts the sandbox's root and leaves no connection behind.
func httpClient(t *testing.T, s *Sandbox) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: clientTLS(t, s)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// msalToken gets an app-only token as the proxy does.
func msalToken(t *testing.T, s *Sandbox, authority, clientID, secret string) (string, error) {
	t.Helper()
	credential, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	client, err := confidential.New(authority, clientID, credential,
		confidential.WithHTTPClient(httpClient(t, s)), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	result, err := client.AcquireTokenByCredential(ctx, []string{"https://outlook.office365.com/.default"})
	return result.AccessToken, err
}

// xoauth2 is the client's half of the mechanism, written for go-sasl.
type xoauth2 struct{ user, token string }

func (x xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

func (x xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }

var _ sasl.Client = xoauth2{}

// response is the same as it stands on the wire.
func response(user, token string) string {
	_, plain, _ := xoauth2{user, token}.Start()
	return base64.StdEncoding.EncodeToString(plain)
}

const alice = "alice@contoso.example"

// TestWholeWay goes the way of the proxy: a token from Entra through MSAL, a
// message through SMTP, and the same message back through IMAP.
func TestWholeWay(t *testing.T) {
	s := start(t, Options{})
	token, err := msalToken(t, s, s.Authority(), s.ClientID(), s.ClientSecret())
	if err != nil {
		t.Fatal(err)
	}

	const message = "From: <alice@contoso.example>\r\nTo: <bob@contoso.example>\r\nSubject: hello\r\n\r\n.one dot\r\n"
	sender, err := smtp.DialStartTLS(s.SMTP(), clientTLS(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	if err := sender.Auth(xoauth2{alice, token}); err != nil {
		t.Fatal(err)
	}
	if err := sender.SendMail(alice, []string{"bob@contoso.example", "someone@fabrikam.example"}, strings.NewReader(message)); err != nil {
		t.Fatal(err)
	}
	if err := sender.Quit(); err != nil {
		t.Fatal(err)
	}
	if got := s.Messages("bob@contoso.example"); len(got) != 1 || string(got[0]) != message {
		t.Fatalf("Messages = %q, want the one that was sent", got)
	}

	reader, err := imapclient.DialTLS(s.IMAP(), &imapclient.Options{TLSConfig: clientTLS(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.Authenticate(xoauth2{"bob@contoso.example", token}); err != nil {
		t.Fatal(err)
	}
	if got := fetchAll(t, reader, inbox); len(got) != 1 || got[0] != message {
		t.Errorf("FETCH = %q, want the message that was sent", got)
	}
	if err := reader.Logout().Wait(); err != nil {
		t.Error(err)
	}
}

// fetchAll returns all messages of a folder.
func fetchAll(t *testing.T, c *imapclient.Client, folder string) []string {
	t.Helper()
	if _, err := c.Select(folder, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	all := imap.SeqSet{imap.SeqRange{Start: 1, Stop: 0}}
	messages, err := c.Fetch(all, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	var raw []string
	for _, m := range messages {
		raw = append(raw, string(m.FindBodySection(whole)))
	}
	return raw
}

func TestGreetings(t *testing.T) {
	s := start(t, Options{Greeting: "Hello there"})
	talk(t, s, s.IMAP(), "S: * OK Hello there")
	talk(t, s, s.POP3(), "S: +OK Hello there")
	talk(t, s, s.SMTP(), "S: 220 Hello there")

	garbage := start(t, Options{GarbageGreeting: true})
	for _, address := range []string{garbage.IMAP(), garbage.POP3(), garbage.SMTP()} {
		talk(t, garbage, address, "S: "+garbageLine+"\nEOF:")
	}
}

// TestServerName decodes the bracket of a greeting.
func TestServerName(t *testing.T) {
	n := serverName{"BL1PR13", "namprd13", "0001"}
	const want = "QgBMADEAUABSADEAMwBDAEEAMAAwADAAMQAuAG4AYQBtAHAAcgBkADEAMwAuAHAAcgBvAGQALgBvAHUAdABsAG8AbwBrAC4AYwBvAG0A"
	if got := n.bracket(); got != want {
		t.Errorf("bracket = %s, want %s, as in a recorded greeting", got, want)
	}
}

func TestStartFails(t *testing.T) {
	s := start(t, Options{})
	if _, err := Start(Options{SMTPAddress: s.SMTP()}); err == nil || !strings.Contains(err.Error(), s.SMTP()) {
		t.Errorf("Start on a busy address: %v, want an error that names it", err)
	}
}

// TestClose closes with every kind of session open. The leak check of TestMain
// sees what is left.
func TestClose(t *testing.T) {
	s := start(t, Options{})
	s.SetEntraFault(Hang())
	request := make(chan error, 1)
	client := httpClient(t, s)
	go func() {
		resp, err := client.PostForm(tokenEndpoint(s), goodForm(s))
		if err == nil {
			resp.Body.Close()
		}
		request <- err
	}()
	peers := []*peer{
		dial(t, s, s.SMTP()),
		talk(t, s, s.IMAP(), imapHello),
		talk(t, s, s.IMAP(), imapLogin+"C: A2 IDLE\nS: + IDLE accepted, awaiting DONE command."),
		talk(t, s, s.IMAP(), imapLogin+"C: A2 APPEND INBOX {9}\nS~ \\+ .*"),
		talk(t, s, s.IMAP(), imapHello+"C: A1 AUTHENTICATE XOAUTH2 {stall}"),
		talk(t, s, s.POP3(), pop3Login),
		talk(t, s, s.SMTP(), smtpLogin+smtpEnvelope+"C: DATA\nS~ 354 .*\nC: half"),
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for i, p := range peers {
		if _, err := io.Copy(io.Discard, p.r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d is still open", i)
		}
	}
	if err := <-request; err == nil {
		t.Error("a request that hung was answered")
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestLogHasNoSecrets goes through logins and tokens, and looks for them in
// the log.
func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	token, err := msalToken(t, s, s.Authority(), s.ClientID(), s.ClientSecret())
	if err != nil {
		t.Fatal(err)
	}
	for _, dialogue := range []string{as("alice", imapAccepted), as("refuse", imapRefused), imapHello + `
		C: A1 LOGIN alice@contoso.example top-secret-password
		S~ A1 NO .*`} {
		p := dial(t, s, s.IMAP())
		p.token = token
		p.talk(dialogue)
	}
	p := dial(t, s, s.SMTP())
	p.token = token
	p.talk(smtpLogin + smtpEnvelope + `
		C: DATA
		S~ 354 .*
		C: text
		C: .` + accepted)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token, token[len(token)-20:], s.ClientSecret(), "top-secret-password", response(alice, token)[:40]} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds a secret")
		}
	}
	for _, want := range []string{"token issued", "login accepted", "login refused", "message"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no line %q", want)
		}
	}
}

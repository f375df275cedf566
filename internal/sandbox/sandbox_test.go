package sandbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
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

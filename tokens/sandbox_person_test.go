package tokens_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
	"oauthproxy/tokens"
)

const (
	alice     = "alice@" + sandbox.Domain
	bob       = "bob@" + sandbox.Domain
	mailScope = "https://outlook.office.com/"
)

// start runs a stand-in and returns it with a client that trusts it.
func start(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, *x509.CertPool) {
	t.Helper()
	s, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM())
	return s, roots
}

// mailbox is an account in which alice signs in by the flow.
func mailbox(s *sandbox.Sandbox, flow tokens.Flow) tokens.Account {
	return tokens.Account{Name: alice, App: tokens.App{Authority: s.Authority(), ClientID: s.ClientID(), Flow: flow,
		Scopes: []string{mailScope + "IMAP.AccessAsUser.All", mailScope + "SMTP.Send", "offline_access"}}}
}

// open starts a broker with the store in the folder.
func open(t *testing.T, folder string, roots *x509.CertPool, account tokens.Account) (*tokens.Broker, func()) {
	t.Helper()
	store, err := tokens.OpenStore(folder, tokens.KeyOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := tokens.NewBroker([]tokens.Account{account}, tokens.Options{HTTPClient: tokens.NewHTTPClient(roots), Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return b, func() {
		b.Close()
		store.Close()
	}
}

// dialog does what a person would.
type dialog struct {
	code     func(tokens.DeviceCode)
	address  func(string)
	password string
}

func (d dialog) Code(c tokens.DeviceCode) { d.code(c) }
func (d dialog) Address(url string)       { d.address(url) }
func (d dialog) Pasted() <-chan string    { return nil }
func (d dialog) PasteAgain(string)        {}
func (d dialog) Password(context.Context) (wire.Secret, error) {
	return wire.NewSecret(d.password), nil
}

// people are dialogs by which alice signs in, by flow.
func people(t *testing.T, s *sandbox.Sandbox, roots *x509.CertPool) map[tokens.Flow]dialog {
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	return map[tokens.Flow]dialog{
		tokens.FlowPassword: {password: s.Password(alice)},
		tokens.FlowDeviceCode: {code: func(c tokens.DeviceCode) {
			if err := s.ApproveDeviceCode(c.UserCode, alice); err != nil {
				t.Error(err)
			}
		}},
		tokens.FlowBrowser: {address: func(address string) {
			go func() { // the stand-in signs alice in and redirects to our page
				response, err := browser.Get(address)
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("page with status %d", response.StatusCode)
				}
			}()
		}},
	}
}

// A person signs in; the program restarts; the sign-in is revoked; the person
// signs in again.
func TestSandboxPerson(t *testing.T) {
	for _, flow := range []tokens.Flow{tokens.FlowPassword, tokens.FlowDeviceCode, tokens.FlowBrowser} {
		t.Run(string(flow), func(t *testing.T) {
			o := sandbox.Options{DeviceCodeInterval: time.Second}
			if flow == tokens.FlowBrowser {
				o.AutoApprove = alice
			}
			s, roots := start(t, o)
			folder, person := t.TempDir(), people(t, s, roots)[flow]
			b, stop := open(t, folder, roots, mailbox(s, flow))
			status, err := b.SignIn(t.Context(), alice, person)
			if err != nil || status.SignedInAs != alice || status.Unsaved || status.State != tokens.StateReady {
				t.Fatalf("%+v, %v", status, err)
			}
			if s.DeviceCodePollsTooFast() != 0 {
				t.Error("polled too fast")
			}
			first, err := b.Token(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			stop()

			requests := s.TokenRequests()
			b, stop = open(t, folder, roots, mailbox(s, flow))
			defer func() { stop() }()
			if again, err := b.Token(t.Context(), alice); err != nil || again.Value != first.Value || s.TokenRequests() != requests {
				t.Errorf("after the restart: %v, %d requests", err, s.TokenRequests()-requests)
			}
			if err := b.Refused(t.Context(), alice, first.Value); err != nil {
				t.Error(err)
			}
			fresh, err := b.Token(t.Context(), alice)
			if err != nil || fresh.Value == first.Value || s.TokenRequestsBy("refresh_token") != 1 {
				t.Errorf("renewed: %v, %d requests", err, s.TokenRequestsBy("refresh_token"))
			}

			s.EndSignIns(alice, 50173)
			stop()
			b, stop = open(t, folder, roots, mailbox(s, flow))
			for range 3 {
				err = b.Refused(t.Context(), alice, fresh.Value)
				var failure *tokens.Error
				if !errors.As(err, &failure) || failure.Class != tokens.PersonNeeded || failure.AADSTS != 50173 {
					t.Errorf("revoked: %v", err)
				}
			}
			if s.TokenRequestsBy("refresh_token") != 2 {
				t.Errorf("%d refresh requests", s.TokenRequestsBy("refresh_token"))
			}
			if _, err := b.SignIn(t.Context(), alice, person); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Token(t.Context(), alice); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSandboxRefusesThePerson(t *testing.T) {
	s, roots := start(t, sandbox.Options{DeviceCodeInterval: time.Second})
	device := func(code func(tokens.DeviceCode)) dialog { return dialog{code: code} }
	tests := []struct {
		name   string
		flow   tokens.Flow
		dialog dialog
		code   int
		words  string
	}{
		{"wrong password", tokens.FlowPassword, dialog{password: "wrong"}, 50126, ""},
		{"another person's code", tokens.FlowDeviceCode, device(func(c tokens.DeviceCode) { _ = s.ApproveDeviceCode(c.UserCode, bob) }), 0, bob + " signed in, but this account needs " + alice},
		{"declined", tokens.FlowDeviceCode, device(func(c tokens.DeviceCode) { _ = s.DeclineDeviceCode(c.UserCode) }), 90120, "the sign-in was declined: start it again"},
		{"expired", tokens.FlowDeviceCode, device(func(c tokens.DeviceCode) { _ = s.ExpireDeviceCode(c.UserCode) }), 70020, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, stop := open(t, t.TempDir(), roots, mailbox(s, test.flow))
			defer stop()
			_, err := b.SignIn(t.Context(), alice, test.dialog)
			var failure *tokens.Error
			if !errors.As(err, &failure) || failure.Class != tokens.PersonNeeded || failure.AADSTS != test.code {
				t.Fatalf("got %v", err)
			}
			if !strings.HasPrefix(failure.Text, test.words) {
				t.Errorf("text %q", failure.Text)
			}
		})
	}
}

// The application proves itself in the ways that need no person.
func TestSandboxApplication(t *testing.T) {
	s, roots := start(t, sandbox.Options{})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, header := s.ManagedIdentity()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	app := tokens.App{Authority: s.Authority(), ClientID: s.ClientID(), Scopes: []string{"https://outlook.office365.com/.default"}}
	pfx := registerCertificate(t, s, key)
	app.Certificate = func() (tokens.Certificate, error) {
		return tokens.LoadCertificate(pfx, "", func() (wire.Secret, error) { return wire.NewSecret("of the file"), nil })
	}
	s.RegisterFederatedIdentity("https://cluster.example", "system:serviceaccount:mail:proxy", "", &key.PublicKey)
	app.FederatedToken = func() (wire.Secret, error) { return workloadToken(t, key), nil }
	for _, flow := range []tokens.Flow{tokens.FlowCertificate, tokens.FlowWorkloadIdentity, tokens.FlowManagedIdentity} {
		t.Run(string(flow), func(t *testing.T) {
			app := app
			app.Flow = flow
			b, stop := open(t, t.TempDir(), roots, tokens.Account{Name: "scanner@x", App: app})
			defer stop()
			for range 2 {
				token, err := b.Token(t.Context(), "scanner@x")
				if err != nil {
					t.Fatal(err)
				}
				_ = b.Refused(t.Context(), "scanner@x", token.Value)
			}
		})
	}
}

// registerCertificate makes a certificate that the stand-in knows, as a PFX file.
func registerCertificate(t *testing.T, s *sandbox.Sandbox, key *rsa.PrivateKey) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "oauthproxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RegisterCertificate(der); err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pfx, err := pkcs12.Modern.Encode(key, certificate, nil, "of the file")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "app.pfx")
	if err := os.WriteFile(file, pfx, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// workloadToken is what a cluster gives to its workload: a signed JWT.
func workloadToken(t *testing.T, key *rsa.PrivateKey) wire.Secret {
	t.Helper()
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	signed := part(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": "https://cluster.example", "sub": "system:serviceaccount:mail:proxy", "aud": sandbox.FederationAudience,
		"exp": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Add(-time.Minute).Unix(), "iat": time.Now().Unix(), "jti": rand.Text(),
	})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return wire.NewSecret(signed + "." + base64.RawURLEncoding.EncodeToString(signature))
}

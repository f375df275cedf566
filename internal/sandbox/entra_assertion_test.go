package sandbox

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// clientKey is a client's key, one for all tests.
var clientKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// newClientCertificate returns a certificate of a key that ends at a time.
func newClientCertificate(t *testing.T, key crypto.Signer, ends time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// appToken gets a token with a credential of MSAL's.
func appToken(t *testing.T, s *Sandbox, credential confidential.Credential) error {
	t.Helper()
	client, err := confidential.New(s.Authority(), s.ClientID(), credential,
		confidential.WithHTTPClient(httpClient(t, s)), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.AcquireTokenByCredential(t.Context(), []string{"https://outlook.office365.com/.default"})
	return err
}

func TestCertificateByMSAL(t *testing.T) {
	s := start(t, Options{})
	certificate := newClientCertificate(t, clientKey(), time.Now().Add(time.Hour))
	credential, err := confidential.NewCredFromCert([]*x509.Certificate{certificate}, clientKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := appToken(t, s, credential); err == nil || !strings.Contains(err.Error(), "AADSTS700027") {
		t.Errorf("not registered: %v, want AADSTS700027", err)
	}
	if err := s.RegisterCertificate(certificate.Raw); err != nil {
		t.Fatal(err)
	}
	if err := appToken(t, s, credential); err != nil {
		t.Errorf("registered: %v", err)
	}
}

func TestFederationByMSAL(t *testing.T) {
	s := start(t, Options{})
	s.RegisterFederatedIdentity("https://cluster.example", "system:serviceaccount:mail:proxy", "", &clientKey().PublicKey)
	token, err := signJWT(clientKey(), "k1", map[string]any{"iss": "https://cluster.example",
		"sub": "system:serviceaccount:mail:proxy", "aud": FederationAudience, "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	credential := confidential.NewCredFromAssertionCallback(
		func(context.Context, confidential.AssertionRequestOptions) (string, error) { return token, nil })
	for range 2 { // such a token may be used again
		if err := appToken(t, s, credential); err != nil {
			t.Error(err)
		}
	}
}

func TestRegisterCertificate(t *testing.T) {
	s := start(t, Options{})
	if err := s.RegisterCertificate([]byte("x")); err == nil {
		t.Error("took what is no certificate")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RegisterCertificate(newClientCertificate(t, key, time.Now().Add(time.Hour)).Raw); err == nil {
		t.Error("took a certificate with an elliptic key")
	}
}

// An assertion is one that a test makes by hand.
type assertion struct{ header, claims map[string]any }

// sign makes the assertion with the algorithm in its header.
func (a assertion) sign(t *testing.T) string {
	t.Helper()
	encode := func(part map[string]any) string {
		raw, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	signed := encode(a.header) + "." + encode(a.claims)
	sum := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	if a.header["alg"] == "RS256" {
		signature, err = rsa.SignPKCS1v15(nil, clientKey(), crypto.SHA256, sum[:])
	} else {
		signature, err = rsa.SignPSS(rand.Reader, clientKey(), crypto.SHA256, sum[:], nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// assertionForm is goodForm with an assertion in place of the secret.
func assertionForm(s *Sandbox, token string) url.Values {
	form := goodForm(s)
	form.Del("client_secret")
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", token)
	return form
}

func TestAssertions(t *testing.T) {
	s := start(t, Options{})
	good := newClientCertificate(t, clientKey(), time.Now().Add(time.Hour))
	expired := newClientCertificate(t, clientKey(), time.Now().Add(-time.Hour))
	for _, certificate := range []*x509.Certificate{good, expired} {
		if err := s.RegisterCertificate(certificate.Raw); err != nil {
			t.Fatal(err)
		}
	}
	long, short, old := sha256.Sum256(good.Raw), sha1.Sum(good.Raw), sha256.Sum256(expired.Raw)
	tests := []struct {
		name           string
		header, claims map[string]any // that differ
		number         int            // 0: accepted
	}{
		{"PS256, base64url", nil, nil, 0},
		{"PS256, base64", map[string]any{"x5t#S256": base64.StdEncoding.EncodeToString(long[:])}, nil, 0},
		{"RS256, x5t", map[string]any{"alg": "RS256", "x5t#S256": "", "x5t": base64.RawURLEncoding.EncodeToString(short[:])}, nil, 0},
		{"RS256, x5t in base64", map[string]any{"alg": "RS256", "x5t#S256": "", "x5t": base64.StdEncoding.EncodeToString(short[:])}, nil, 0},
		{"tenant as audience", nil, map[string]any{"aud": s.Authority() + "/v2.0"}, 0},
		{"clock two minutes ahead", nil, map[string]any{"nbf": time.Now().Add(2 * time.Minute).Unix()}, 0},
		{"no thumbprint", map[string]any{"x5t#S256": ""}, nil, 700027},
		{"expired certificate", map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(old[:])}, nil, 700027},
		{"wrong algorithm", map[string]any{"alg": "none"}, nil, 700027},
		{"signature of another algorithm", map[string]any{"alg": "PS384"}, nil, 700027},
		{"subject", nil, map[string]any{"sub": "x"}, 700027},
		{"audience", nil, map[string]any{"aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token"}, 700027},
		{"expired", nil, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, 700024},
		{"not yet", nil, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, 700024},
		{"no jti", nil, map[string]any{"jti": ""}, 700027},
		{"issuer", nil, map[string]any{"iss": "x"}, 700211},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := assertion{
				header: map[string]any{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(long[:])},
				claims: map[string]any{"iss": s.ClientID(), "sub": s.ClientID(), "aud": tokenEndpoint(s), "jti": newGUID(),
					"nbf": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()},
			}
			maps.Copy(a.header, tt.header)
			maps.Copy(a.claims, tt.claims)
			form := assertionForm(s, a.sign(t))
			status, _, body := post(t, s, tokenEndpoint(s), form)
			if tt.number != 0 {
				checkEntraError(t, body, "invalid_client", tt.number, "")
				return
			}
			if status != http.StatusOK {
				t.Fatalf("status %d: %s", status, body)
			}
			_, _, body = post(t, s, tokenEndpoint(s), form)
			checkEntraError(t, body, "invalid_client", 700027, "used before")
		})
	}
}

func TestFederatedIdentities(t *testing.T) {
	s := start(t, Options{})
	s.RegisterFederatedIdentity("https://one.example", "a", "", &clientKey().PublicKey)
	s.RegisterFederatedIdentity("https://one.example", "b", "mine", &s.issuer.key.PublicKey)
	tests := []struct {
		name                      string
		issuer, subject, audience string
		expires                   time.Time
		number                    int
	}{
		{"right", "https://one.example", "a", FederationAudience, time.Now().Add(time.Hour), 0},
		{"issuer", "https://two.example", "a", FederationAudience, time.Now().Add(time.Hour), 700211},
		{"audience", "https://one.example", "a", "https://one.example", time.Now().Add(time.Hour), 700212},
		{"subject", "https://one.example", "c", FederationAudience, time.Now().Add(time.Hour), 700213},
		{"key", "https://one.example", "b", "mine", time.Now().Add(time.Hour), 700027},
		{"expired", "https://one.example", "a", FederationAudience, time.Now().Add(-time.Hour), 700024},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, err := signJWT(clientKey(), "k1", map[string]any{
				"iss": tt.issuer, "sub": tt.subject, "aud": tt.audience, "exp": tt.expires.Unix()})
			if err != nil {
				t.Fatal(err)
			}
			status, _, body := post(t, s, tokenEndpoint(s), assertionForm(s, token))
			if tt.number != 0 {
				checkEntraError(t, body, "invalid_client", tt.number, "")
			} else if status != http.StatusOK {
				t.Errorf("status %d: %s", status, body)
			}
		})
	}
}

func TestMalformedAssertions(t *testing.T) {
	s := start(t, Options{})
	for _, token := range []string{"x", "a.b.c", "e30.e30.!", "e30.e30.", "bnVsbA.WzFd.eA"} {
		_, _, body := post(t, s, tokenEndpoint(s), assertionForm(s, token))
		if !strings.Contains(body, `"error":"invalid_client"`) {
			t.Errorf("%q: %s", token, body)
		}
	}
	form := assertionForm(s, "x")
	form.Del("client_assertion_type")
	_, _, body := post(t, s, tokenEndpoint(s), form)
	checkEntraError(t, body, "invalid_request", 900144, "client_assertion_type")
}

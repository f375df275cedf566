package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

// askIdentity asks an endpoint for a token, with a header.
func askIdentity(t *testing.T, endpoint, key, value string, query ...string) (status int, answer map[string]any) {
	t.Helper()
	q := url.Values{"resource": {"https://outlook.office365.com"}, "api-version": {"2019-08-01"}}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+"?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(key, value)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(string(body), "{") {
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, answer
}

func TestManagedIdentity(t *testing.T) {
	s := start(t, Options{})
	appService, header := s.ManagedIdentity()
	imds := s.IMDS() + imdsPath
	tests := []struct {
		name, endpoint, key, value string
		query                      []string
		status                     int
	}{
		{"App Service", appService, "X-IDENTITY-HEADER", header, nil, 200},
		{"App Service, user-assigned", appService, "X-IDENTITY-HEADER", header, []string{"client_id", s.ManagedIdentityClientID()}, 200},
		{"App Service, no header", appService, "X", "x", nil, 401},
		{"App Service, wrong header", appService, "X-IDENTITY-HEADER", "x", nil, 401},
		{"App Service, unknown identity", appService, "X-IDENTITY-HEADER", header, []string{"client_id", "x"}, 400},
		{"App Service, unknown resource", appService, "X-IDENTITY-HEADER", header, []string{"resource", "https://fabrikam.example"}, 400},
		{"IMDS", imds, "Metadata", "true", nil, 200},
		{"IMDS, user-assigned", imds, "Metadata", "true", []string{"client_id", s.ManagedIdentityClientID()}, 200},
		{"IMDS, no header", imds, "X", "x", nil, 400},
		{"IMDS, unknown identity", imds, "Metadata", "true", []string{"client_id", "x"}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, answer := askIdentity(t, tt.endpoint, tt.key, tt.value, tt.query...)
			if status != tt.status {
				t.Fatalf("status %d, want %d", status, tt.status)
			}
			if status != http.StatusOK {
				return
			}
			if len(tt.query) > 0 && answer["client_id"] != s.ManagedIdentityClientID() {
				t.Errorf("client_id %v, want the one that was asked", answer["client_id"])
			}
			if _, isText := answer["expires_on"].(string); !isText {
				t.Errorf("expires_on = %v, want a string", answer["expires_on"])
			}
			p := dial(t, s, s.SMTP())
			p.token = answer["access_token"].(string)
			p.talk(as("alice", smtpAccepted))
		})
	}
}

// TestManagedIdentityByMSAL lets the library find the endpoint in the
// environment. The library keeps tokens for the whole process, unless it is
// asked with claims.
func TestManagedIdentityByMSAL(t *testing.T) {
	s := start(t, Options{})
	endpoint, header := s.ManagedIdentity()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for _, id := range []managedidentity.ID{managedidentity.SystemAssigned(), managedidentity.UserAssignedClientID(s.ManagedIdentityClientID())} {
		client, err := managedidentity.New(id, managedidentity.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			t.Fatal(err)
		}
		result, err := client.AcquireToken(t.Context(), "https://outlook.office365.com/.default", managedidentity.WithClaims("{}"))
		if err != nil {
			t.Fatal(err)
		}
		p := dial(t, s, s.IMAP())
		p.token = result.AccessToken
		p.talk(as("alice", imapAccepted))
	}
	if got := s.TokenRequestsBy(GrantManagedIdentity); got != 2 {
		t.Errorf("%d requests, want 2", got)
	}
}

// toSandbox sends requests for the metadata service to a sandbox.
type toSandbox struct {
	*http.Transport
	host string
}

func (t toSandbox) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = t.host
	return t.Transport.RoundTrip(r)
}

func TestIMDSByMSAL(t *testing.T) {
	s := start(t, Options{})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := managedidentity.New(managedidentity.UserAssignedClientID(s.ManagedIdentityClientID()),
		managedidentity.WithHTTPClient(&http.Client{Transport: toSandbox{transport, strings.TrimPrefix(s.IMDS(), "http://")}}))
	if err != nil {
		t.Fatal(err)
	}
	result, err := client.AcquireToken(t.Context(), "https://outlook.office365.com")
	if err != nil {
		t.Fatal(err)
	}
	p := dial(t, s, s.POP3())
	p.token = result.AccessToken
	p.talk(as("alice", pop3Accepted))
}

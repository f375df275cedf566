package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
)

// post sends a form and returns status, header and body.
func post(t *testing.T, s *Sandbox, address string, form url.Values) (int, http.Header, string) {
	t.Helper()
	resp, err := httpClient(t, s).PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// get returns a JSON document.
func get(t *testing.T, s *Sandbox, address string) map[string]any {
	t.Helper()
	resp, err := httpClient(t, s).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var document map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document
}

func tokenEndpoint(s *Sandbox) string { return s.Authority() + "/oauth2/v2.0/token" }

// goodForm is a request that Entra grants.
func goodForm(s *Sandbox) url.Values {
	return url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {s.ClientID()},
		"client_secret": {s.ClientSecret()},
		"scope":         {"https://outlook.office365.com/.default openid offline_access profile"},
	}
}

func TestTokenAnswer(t *testing.T) {
	s := start(t, Options{})
	status, header, body := post(t, s, tokenEndpoint(s), goodForm(s))
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		t.Fatalf("status %d, %s", status, header.Get("Content-Type"))
	}
	var answer struct {
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		ExtExpiresIn int    `json:"ext_expires_in"`
		AccessToken  string `json:"access_token"`
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields() // Entra says no more to an application
	if err := decoder.Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.TokenType != "Bearer" || answer.ExtExpiresIn != answer.ExpiresIn {
		t.Errorf("token_type %q, ext_expires_in %d, expires_in %d", answer.TokenType, answer.ExtExpiresIn, answer.ExpiresIn)
	}
	if answer.ExpiresIn < 3599 || answer.ExpiresIn > 5400 {
		t.Errorf("expires_in = %d, want 60 to 90 minutes", answer.ExpiresIn)
	}

	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(answer.AccessToken, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	for claim, want := range map[string]any{
		"aud": "https://outlook.office365.com", "ver": "1.0", "tid": s.TenantID(), "appid": s.ClientID(),
		"iss": "https://sts.windows.net/" + s.TenantID() + "/",
	} {
		if c[claim] != want {
			t.Errorf("claim %s = %v, want %v", claim, c[claim], want)
		}
	}
	if want := []any{"IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"}; !slices.Equal(c["roles"].([]any), want) {
		t.Errorf("roles = %v, want %v", c["roles"], want)
	}
	if c["upn"] != nil || c["scp"] != nil {
		t.Errorf("an app-only token has upn %v, scp %v", c["upn"], c["scp"])
	}
}

func TestTokenLifetime(t *testing.T) {
	s := start(t, Options{TokenLifetime: 20 * time.Minute})
	_, _, body := post(t, s, tokenEndpoint(s), goodForm(s))
	if !strings.Contains(body, `"expires_in":1199`) {
		t.Errorf("no expires_in of 1199")
	}
}

func TestTokenRefusals(t *testing.T) {
	s := start(t, Options{})
	with := func(key, value string) url.Values {
		form := goodForm(s)
		if form.Set(key, value); value == "" {
			form.Del(key)
		}
		return form
	}
	endpoint := func(tenant string) string {
		return strings.Replace(tokenEndpoint(s), s.TenantID(), tenant, 1)
	}
	tests := []struct {
		name     string
		address  string
		form     url.Values
		status   int
		code     string
		number   int
		contains string
	}{
		{"unknown tenant", endpoint("fabrikam.example"), goodForm(s), 400, "invalid_request", 90002, "Tenant 'fabrikam.example' not found"},
		{"common", endpoint("common"), goodForm(s), 400, "invalid_request", 9001023, "/common"},
		{"consumers", endpoint("consumers"), goodForm(s), 400, "invalid_request", 9001023, "/consumers"},
		{"organizations", endpoint("organizations"), goodForm(s), 400, "invalid_request", 50059, "tenant-identifying"},
		{"no grant", endpoint(s.TenantID()), with("grant_type", ""), 400, "invalid_request", 900144, "grant_type"},
		{"unknown grant", endpoint(s.TenantID()), with("grant_type", "magic"), 400, "unsupported_grant_type", 70003, "'magic'"},
		{"unknown client", endpoint(s.TenantID()), with("client_id", "x"), 400, "unauthorized_client", 700016, "identifier 'x' was not found in the directory '" + s.TenantID()},
		{"wrong secret", endpoint(s.TenantID()), with("client_secret", "x"), 401, "invalid_client", 7000215, "for a secret added to app '" + s.ClientID()},
		{"no secret", endpoint(s.TenantID()), with("client_secret", ""), 401, "invalid_client", 7000218, "client_secret"},
		{"delegated scope", endpoint(s.TenantID()), with("scope", "https://outlook.office.com/SMTP.Send"), 400, "invalid_scope", 1002012, "SMTP.Send"},
		{"no scope", endpoint(s.TenantID()), with("scope", "openid"), 400, "invalid_scope", 1002012, ".default"},
		{"two resources", endpoint(s.TenantID()), with("scope", "https://a/.default https://b/.default"), 400, "invalid_scope", 1002012, ".default"},
		{"other resource", endpoint(s.TenantID()), with("scope", "https://a/.default"), 400, "invalid_resource", 500011, "https://a/.default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, _, body := post(t, s, tt.address, tt.form)
			checkEntraError(t, body, tt.code, tt.number, tt.contains)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
	if got := s.TokenRequests(); got != len(tests) {
		t.Errorf("TokenRequests = %d, want %d", got, len(tests))
	}
	if known, unknown := s.TokenRequestsBy(GrantClientCredentials), s.TokenRequestsBy(""); known != len(tests)-2 || unknown != 2 {
		t.Errorf("%d requests of the grant, %d of none, want %d and 2", known, unknown, len(tests)-2)
	}
}

var description = regexp.MustCompile(`^AADSTS(\d+): [^\r\n]+\r\nTrace ID: [0-9a-f-]{36}\r\nCorrelation ID: [0-9a-f-]{36}\r\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$`)

func checkEntraError(t *testing.T, body, code string, number int, contains string) {
	t.Helper()
	var answer struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		Timestamp     string `json:"timestamp"`
		TraceID       string `json:"trace_id"`
		CorrelationID string `json:"correlation_id"`
		URI           string `json:"error_uri"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != code || !slices.Equal(answer.Codes, []int{number}) {
		t.Errorf("error %q, codes %v, want %q, %d", answer.Error, answer.Codes, code, number)
	}
	if !description.MatchString(answer.Description) || !strings.Contains(answer.Description, contains) {
		t.Errorf("error_description = %q, want it to contain %q", answer.Description, contains)
	}
	if answer.Timestamp == "" || answer.TraceID == "" || answer.CorrelationID == "" || answer.URI == "" {
		t.Errorf("a field is empty: %+v", answer)
	}
}

// TestMSAL lets the library that the proxy uses talk with Entra.
func TestMSAL(t *testing.T) {
	s := start(t, Options{})
	byDomain := strings.Replace(s.Authority(), s.TenantID(), Domain, 1)
	byName := strings.Replace(s.Authority(), "127.0.0.1", "localhost", 1)
	tests := []struct{ name, authority, clientID, secret, want string }{
		{"tenant by id", s.Authority(), s.ClientID(), s.ClientSecret(), ""},
		{"tenant by domain", byDomain, s.ClientID(), s.ClientSecret(), ""},
		{"wrong secret", s.Authority(), s.ClientID(), "wrong", "AADSTS7000215"},
		{"unknown client", s.Authority(), "00000000-0000-0000-0000-000000000000", s.ClientSecret(), "AADSTS700016"},
		{"unknown tenant", strings.Replace(s.Authority(), s.TenantID(), "fabrikam.example", 1), s.ClientID(), s.ClientSecret(), "AADSTS90002"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, err := msalToken(t, s, tt.authority, tt.clientID, tt.secret)
			var refusal msalerrors.CallErr
			switch {
			case tt.want == "" && (err != nil || token == ""):
				t.Errorf("no token: %v", err)
			case tt.want != "" && !errors.As(err, &refusal):
				t.Errorf("error %v, want one of Entra's", err)
			case tt.want != "" && !strings.Contains(err.Error(), tt.want):
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("localhost", func(t *testing.T) {
		if got := get(t, s, byName+"/v2.0/.well-known/openid-configuration")["issuer"]; got != byName+"/v2.0" {
			t.Errorf("issuer = %v, want the host that was asked", got)
		}
	})
}

func TestDiscovery(t *testing.T) {
	s := start(t, Options{})
	document := get(t, s, s.Authority()+"/v2.0/.well-known/openid-configuration")
	for key, want := range map[string]string{
		"issuer":                 s.Authority() + "/v2.0",
		"token_endpoint":         s.Authority() + "/oauth2/v2.0/token",
		"authorization_endpoint": s.Authority() + "/oauth2/v2.0/authorize",
		"jwks_uri":               s.JWKS(),
	} {
		if document[key] != want {
			t.Errorf("%s = %v, want %s", key, document[key], want)
		}
	}

	instance := "https://" + strings.Split(s.Authority(), "/")[2] + "/common/discovery/instance?api-version=1.1"
	if got := get(t, s, instance)["tenant_discovery_endpoint"]; got != s.Authority()+"/v2.0/.well-known/openid-configuration" {
		t.Errorf("tenant_discovery_endpoint = %v", got)
	}

	keys := get(t, s, s.JWKS())["keys"].([]any)
	key := keys[0].(map[string]any)
	if len(keys) != 1 || key["kty"] != "RSA" || key["e"] != "AQAB" || len(key["n"].(string)) != 342 {
		t.Errorf("keys = %v, want one RSA key of 2048 bits", keys)
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(s.IssueToken("", TokenOptions{}), ".")[0])
	if err != nil || !strings.Contains(string(header), key["kid"].(string)) {
		t.Errorf("token header %s (%v) does not name the key %v", header, err, key["kid"])
	}
}

func TestIntrospection(t *testing.T) {
	s := start(t, Options{})
	ask := func(address, token string) map[string]any {
		_, _, body := post(t, s, address, url.Values{"token": {token}})
		var answer map[string]any
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if got := ask(s.Introspection(), s.IssueToken(alice, TokenOptions{})); got["active"] != true || got["username"] != alice {
		t.Errorf("a user's token: %v", got)
	}
	named := s.Introspection() + "?username=" + url.QueryEscape(alice)
	if got := ask(named, s.IssueToken("", TokenOptions{})); got["active"] != true || got["username"] != alice {
		t.Errorf("an app-only token: %v", got)
	}
	for _, token := range []string{"", "x", s.IssueToken(alice, TokenOptions{Lifetime: -time.Hour})} {
		if got := ask(s.Introspection(), token); got["active"] != false || len(got) != 1 {
			t.Errorf("a bad token: %v, want active false alone", got)
		}
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name   string
		fault  EntraFault
		status int
		retry  string
		body   string // prefix
	}{
		{"429 with Retry-After", TooManyRequests(60 * time.Second), 429, "60", "Too Many Requests"},
		{"429 without", TooManyRequests(0), 429, "", "Too Many Requests"},
		{"500", ServerError(500, 0), 500, "", "Internal Server Error"},
		{"503 with Retry-After", ServerError(503, 5*time.Second), 503, "5", "Service Unavailable"},
		{"garbage", Garbage(), 200, "", "<html>"},
		{"truncated", TruncatedJSON(), 200, "", `{"token_type":"Bearer","expires_in":3599,"access_token":"ttt`},
		{"no expires_in", NoExpiresIn(), 200, "", `{"token_type":"Bearer","access_token":"ttt`},
	}
	s := start(t, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.SetEntraFault(tt.fault)
			defer s.SetEntraFault(NoFault)
			status, header, body := post(t, s, tokenEndpoint(s), goodForm(s))
			if status != tt.status || header.Get("Retry-After") != tt.retry || !strings.HasPrefix(body, tt.body) {
				t.Errorf("status %d, Retry-After %q, body %q", status, header.Get("Retry-After"), body)
			}
			if document := get(t, s, s.Authority()+"/v2.0/.well-known/openid-configuration"); document["issuer"] == nil {
				t.Error("the fault met a discovery document")
			}
			_, err := msalToken(t, s, s.Authority(), s.ClientID(), s.ClientSecret())
			if err == nil {
				t.Error("MSAL got a token")
			}
		})
	}
	if status, _, _ := post(t, s, tokenEndpoint(s), goodForm(s)); status != http.StatusOK {
		t.Errorf("status %d after the fault has ended", status)
	}
	if want := 2*len(tests) + 1; s.TokenRequests() != want {
		t.Errorf("TokenRequests = %d, want %d", s.TokenRequests(), want)
	}
}

func TestFaultErrors(t *testing.T) {
	s := start(t, Options{})
	for _, e := range entraErrors {
		s.SetEntraFault(AADSTS(e.number))
		status, _, body := post(t, s, tokenEndpoint(s), goodForm(s))
		checkEntraError(t, body, e.code, e.number, "")
		if status != e.status {
			t.Errorf("AADSTS%d: status %d, want %d", e.number, status, e.status)
		}
		if strings.Contains(strings.TrimPrefix(body, "{"), "{") {
			t.Errorf("AADSTS%d: a blank was not filled in: %s", e.number, body)
		}
	}
	s.SetEntraFault(AADSTS(12345))
	_, _, body := post(t, s, tokenEndpoint(s), goodForm(s))
	checkEntraError(t, body, "invalid_request", 12345, "")
}

func TestFaultTimes(t *testing.T) {
	s := start(t, Options{})
	s.SetEntraFault(ServerError(503, 0).Times(2))
	for i, want := range []int{503, 503, 200} {
		if status, _, _ := post(t, s, tokenEndpoint(s), goodForm(s)); status != want {
			t.Errorf("request %d: status %d, want %d", i+1, status, want)
		}
	}
}

// TestFaultOfAllGrants has each grant, and a managed identity, meet a fault.
func TestFaultOfAllGrants(t *testing.T) {
	s := start(t, Options{})
	s.SetEntraFault(TooManyRequests(time.Minute))
	for grant := range grants {
		status, _, body := post(t, s, tokenEndpoint(s), url.Values{"grant_type": {grant}, "client_id": {s.ClientID()}})
		if status != http.StatusTooManyRequests || body != "Too Many Requests" {
			t.Errorf("%s: status %d, %q", grant, status, body)
		}
		if got := s.TokenRequestsBy(grant); got != 1 {
			t.Errorf("%s: %d requests counted, want 1", grant, got)
		}
	}
	endpoint, header := s.ManagedIdentity()
	if status, _ := askIdentity(t, endpoint, "X-IDENTITY-HEADER", header); status != http.StatusTooManyRequests {
		t.Errorf("managed identity: status %d", status)
	}
	if status, _, _ := post(t, s, s.Authority()+"/oauth2/v2.0/devicecode", url.Values{"client_id": {s.ClientID()}, "scope": mailScopes[:1]}); status != http.StatusOK {
		t.Errorf("a device code met the fault: status %d", status)
	}
}

func TestRetryAfterDate(t *testing.T) {
	s := start(t, Options{})
	s.SetEntraFault(ServerError(503, time.Hour).RetryAfterDate())
	_, header, _ := post(t, s, tokenEndpoint(s), goodForm(s))
	date, err := http.ParseTime(header.Get("Retry-After"))
	if wait := time.Until(date); err != nil || wait < 50*time.Minute || wait > 61*time.Minute {
		t.Errorf("Retry-After %q (%v), want a date in an hour", header.Get("Retry-After"), err)
	}
}

// TestNoAnswer covers the faults where nothing comes back.
func TestNoAnswer(t *testing.T) {
	s := start(t, Options{})
	for name, fault := range map[string]EntraFault{"hang": Hang(), "reset": Reset()} {
		t.Run(name, func(t *testing.T) {
			s.SetEntraFault(fault.Everywhere())
			credential, err := confidential.NewCredFromSecret(s.ClientSecret())
			if err != nil {
				t.Fatal(err)
			}
			client, err := confidential.New(s.Authority(), s.ClientID(), credential,
				confidential.WithHTTPClient(httpClient(t, s)), confidential.WithInstanceDiscovery(false))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := client.AcquireTokenByCredential(ctx, []string{"https://outlook.office365.com/.default"}); err == nil {
				t.Error("MSAL got a token")
			}
			if s.TokenRequests() != 0 {
				t.Error("the discovery document was given")
			}
		})
	}
}

func TestOversizedForm(t *testing.T) {
	s := start(t, Options{})
	form := goodForm(s)
	form.Set("padding", strings.Repeat("x", maxForm))
	if status, _, _ := post(t, s, tokenEndpoint(s), form); status != http.StatusBadRequest {
		t.Errorf("status %d, want 400", status)
	}
}

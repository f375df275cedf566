package sandbox

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

const (
	bob    = "bob@contoso.example"
	carol  = "carol@outlook.example"
	shared = "shared@contoso.example"
)

// mailScopes are what a person's mail program is allowed.
var mailScopes = []string{
	"https://outlook.office.com/IMAP.AccessAsUser.All",
	"https://outlook.office.com/POP.AccessAsUser.All",
	"https://outlook.office.com/SMTP.Send",
}

// publicClient is MSAL for people.
func publicClient(t *testing.T, s *Sandbox, authority string) public.Client {
	t.Helper()
	client, err := public.New(s.ClientID(), public.WithAuthority(authority),
		public.WithHTTPClient(httpClient(t, s)), public.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// checkResult looks at what MSAL has got, and logs in with it.
func checkResult(t *testing.T, s *Sandbox, result public.AuthResult, address, tenantID string) {
	t.Helper()
	if result.Account.PreferredUsername != address || result.IDToken.TenantID != tenantID {
		t.Errorf("signed in as %q in %q, want %q in %q", result.Account.PreferredUsername, result.IDToken.TenantID, address, tenantID)
	}
	if !slices.Equal(result.GrantedScopes, mailScopes) {
		t.Errorf("granted scopes %q, want %q", result.GrantedScopes, mailScopes)
	}
	p := dial(t, s, s.IMAP())
	p.talk(imapHello + "C: A1 AUTHENTICATE XOAUTH2 " + response(address, result.AccessToken) + `
		S: A1 OK AUTHENTICATE completed.`)
}

func TestDeviceCode(t *testing.T) {
	tests := []struct{ name, tenant, person, tenantID string }{
		{"tenant", "", alice, ""},
		{"domain", Domain, alice, ""},
		{"organizations", "organizations", bob, ""},
		{"common", "common", bob, ""},
		{"personal account", "consumers", carol, PersonalTenantID},
		{"personal account, common", "common", carol, PersonalTenantID},
		{"personal account, by id", PersonalTenantID, carol, PersonalTenantID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Options{})
			authority, tenantID := s.Authority(), s.TenantID()
			if tt.tenant != "" {
				authority = s.AuthorityAt(tt.tenant)
			}
			if tt.tenantID != "" {
				tenantID = tt.tenantID
			}
			code, err := publicClient(t, s, authority).AcquireTokenByDeviceCode(t.Context(), mailScopes)
			if err != nil {
				t.Fatal(err)
			}
			if r := code.Result; r.Interval != 5 || !strings.Contains(r.Message, r.UserCode) || !strings.HasSuffix(r.VerificationURL, "/devicelogin") {
				t.Errorf("device code: %s", r)
			}
			if err := s.ApproveDeviceCode(strings.ToLower(code.Result.UserCode), tt.person); err != nil {
				t.Fatal(err)
			}
			result, err := code.AuthenticationResult(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			checkResult(t, s, result, tt.person, tenantID)
		})
	}
}

// signInByCode goes through the authorization code flow with a browser that follows
// redirects by itself and chooses an account on the page.
func signInByCode(t *testing.T, s *Sandbox, client public.Client, address string) (public.AuthResult, error) {
	t.Helper()
	const redirect = "http://localhost:54321"
	verifier := strings.Repeat("verifier", 6)
	page, err := client.AuthCodeURL(t.Context(), s.ClientID(), redirect, append([]string{"openid", "offline_access", "profile"}, mailScopes...))
	if err != nil {
		t.Fatal(err)
	}
	page += "&state=s1&code_challenge_method=S256&code_challenge=" + challengeOf(verifier)
	answer := choose(t, s, page, url.Values{"account": {address}})
	if answer.Get("state") != "s1" || answer.Get("code") == "" {
		t.Fatalf("answer %q, want a code and the state", answer)
	}
	return client.AcquireTokenByAuthCode(t.Context(), answer.Get("code"), redirect, mailScopes, public.WithChallenge(verifier))
}

// choose posts the form of a page and returns the query that the client gets.
func choose(t *testing.T, s *Sandbox, page string, form url.Values) url.Values {
	t.Helper()
	client := httpClient(t, s)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.PostForm(page, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	location, err := resp.Location()
	if err != nil {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	return location.Query()
}

func TestAuthorizationCode(t *testing.T) {
	s := start(t, Options{})
	result, err := signInByCode(t, s, publicClient(t, s, s.Authority()), alice)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, s, result, alice, s.TenantID())
}

// TestInteractive lets MSAL do everything: its own listener takes a form that
// is posted.
func TestInteractive(t *testing.T) {
	s := start(t, Options{AutoApprove: alice})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := publicClient(t, s, s.Authority())
	var browser sync.WaitGroup
	result, err := client.AcquireTokenInteractive(ctx, mailScopes, public.WithOpenURL(func(page string) error {
		browser.Go(func() { postForm(t, s, page) })
		return nil
	}))
	browser.Wait()
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, s, result, alice, s.TenantID())
}

// TestSilent redeems a refresh token: an access token that is good for less
// than five minutes is not kept by MSAL.
func TestSilent(t *testing.T) {
	s := start(t, Options{TokenLifetime: time.Minute})
	client := publicClient(t, s, s.Authority())
	first, err := signInByCode(t, s, client, alice)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		result, err := client.AcquireTokenSilent(t.Context(), mailScopes, public.WithSilentAccount(first.Account))
		if err != nil {
			t.Fatal(err)
		}
		checkResult(t, s, result, alice, s.TenantID())
	}
	if got := s.TokenRequestsBy(GrantRefreshToken); got != 2 {
		t.Errorf("%d refreshes, want 2", got)
	}
	if got := s.TokenRequests(); got != 3 {
		t.Errorf("%d token requests, want 3", got)
	}
}

func byPassword(t *testing.T, client public.Client, address, password string) (public.AuthResult, error) {
	t.Helper()
	//lint:ignore SA1019 the flow is deprecated, and exists
	return client.AcquireTokenByUsernamePassword(t.Context(), mailScopes, address, password)
}

func TestPassword(t *testing.T) {
	s := start(t, Options{})
	for _, tenant := range []string{s.TenantID(), "organizations"} {
		client := publicClient(t, s, s.AuthorityAt(tenant))
		result, err := byPassword(t, client, alice, s.Password(alice))
		if err != nil {
			t.Fatal(err)
		}
		checkResult(t, s, result, alice, s.TenantID())
	}
	if s.Password(shared) != "" || s.Password(alice) == s.Password(bob) {
		t.Error("a shared mailbox has a password, or two people have the same")
	}
}

func TestPasswordRefusals(t *testing.T) {
	s := start(t, Options{})
	form := func(edit func(url.Values)) url.Values {
		f := url.Values{"grant_type": {GrantPassword}, "client_id": {s.ClientID()}, "username": {alice},
			"password": {s.Password(alice)}, "scope": {strings.Join(mailScopes, " ")}}
		edit(f)
		return f
	}
	set := func(key, value string) func(url.Values) { return func(f url.Values) { f.Set(key, value) } }
	none := func(url.Values) {}
	tests := []struct {
		name   string
		before func()
		tenant string
		edit   func(url.Values)
		code   string
		number int
	}{
		{"wrong password", nil, s.TenantID(), set("password", "x"), "invalid_grant", 50126},
		{"unknown person", nil, s.TenantID(), set("username", "nobody@"+Domain), "invalid_grant", 50034},
		{"shared mailbox", nil, s.TenantID(), set("username", shared), "invalid_grant", 50034},
		{"personal account", nil, s.TenantID(), set("username", carol), "invalid_grant", 50034},
		{"common", nil, "common", none, "invalid_request", 9001023},
		{"consumers", nil, "consumers", none, "invalid_request", 9001023},
		{"secret of a public client", nil, s.TenantID(), set("client_secret", s.ClientSecret()), "invalid_client", 700025},
		{"no scope", nil, s.TenantID(), set("scope", ""), "invalid_request", 900144},
		{"two resources", nil, s.TenantID(), set("scope", mailScopes[0]+" https://graph.microsoft.com/Mail.Send"), "invalid_scope", 28000},
		{"unknown permission", nil, s.TenantID(), set("scope", "https://outlook.office.com/Nonsense"), "invalid_scope", 70011},
		{"unknown resource", nil, s.TenantID(), set("scope", "https://fabrikam.example/SMTP.Send"), "invalid_resource", 500011},
		{"consent withdrawn", func() { s.EndSignIns(alice, 65001) }, s.TenantID(), none, "invalid_grant", 65001},
		{"second factor", func() { s.EndSignIns(alice, 50076) }, s.TenantID(), none, "invalid_grant", 50076},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.before != nil {
				tt.before()
			}
			_, _, body := post(t, s, s.AuthorityAt(tt.tenant)+"/oauth2/v2.0/token", form(tt.edit))
			checkEntraError(t, body, tt.code, tt.number, "")
		})
	}
	if got := s.TokenRequestsBy(GrantPassword); got != len(tests) {
		t.Errorf("%d password requests, want %d", got, len(tests))
	}
}

// TestConsentAfterPassword withdraws consent; a sign-in on a page gives it
// back, and a second factor that is wanted stays wanted.
func TestConsentAfterPassword(t *testing.T) {
	s := start(t, Options{})
	client := publicClient(t, s, s.Authority())
	for number, want := range map[int]bool{65001: true, 50076: false} {
		s.EndSignIns(alice, number)
		if _, err := signInByCode(t, s, client, alice); err != nil {
			t.Fatal(err)
		}
		_, err := byPassword(t, client, alice, s.Password(alice))
		if (err == nil) != want {
			t.Errorf("after %d: error %v", number, err)
		}
	}
}

func TestNoPublicClient(t *testing.T) {
	s := start(t, Options{NoPublicClient: true})
	client := publicClient(t, s, s.Authority())
	if _, err := client.AcquireTokenByDeviceCode(t.Context(), mailScopes); err == nil || !strings.Contains(err.Error(), "AADSTS7000218") {
		t.Errorf("device code: %v", err)
	}
	if _, err := byPassword(t, client, alice, s.Password(alice)); err == nil || !strings.Contains(err.Error(), "AADSTS7000218") {
		t.Errorf("password: %v", err)
	}
	if _, err := signInByCode(t, s, client, alice); err != nil {
		t.Errorf("authorization code: %v", err)
	}
}

// TestLogHasNoPersonsSecrets signs people in in all ways, and looks for what
// was secret in the log.
func TestLogHasNoPersonsSecrets(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	device, poll := startDevice(t, s)
	if err := s.ApproveDeviceCode(device["user_code"].(string), alice); err != nil {
		t.Fatal(err)
	}
	redeem(t, s, poll)
	form := newCodeForm(t, s, nil)
	answer := redeem(t, s, form)
	refreshed := redeem(t, s, refreshForm(s, answer["refresh_token"].(string)))
	post(t, s, tokenEndpoint(s), form) // used twice
	if _, err := byPassword(t, publicClient(t, s, s.Authority()), alice, s.Password(alice)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]any{
		"password": s.Password(alice), "device code": device["device_code"], "user code": device["user_code"],
		"code": form.Get("code"), "verifier": verifier, "access token": answer["access_token"],
		"refresh token": answer["refresh_token"], "next refresh token": refreshed["refresh_token"], "id_token": answer["id_token"],
	} {
		if text := secret.(string); strings.Contains(log.String(), text[:min(len(text), 40)]) {
			t.Errorf("the log holds the %s", name)
		}
	}
	if !strings.Contains(log.String(), alice) {
		t.Error("the log does not say who has signed in")
	}
}

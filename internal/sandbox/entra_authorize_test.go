package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	localRedirect = "http://localhost:54321"
	verifier      = "a-verifier-of-at-least-forty-three-characters"
)

// authorizeURL is the address that a client opens in a browser, with changes.
func authorizeURL(s *Sandbox, changes url.Values) string {
	query := url.Values{"client_id": {s.ClientID()}, "response_type": {"code"}, "redirect_uri": {localRedirect},
		"scope": {"openid offline_access " + strings.Join(mailScopes, " ")}, "state": {"s 1&"}, "nonce": {"n1"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}}
	for key, values := range changes {
		query[key] = values
	}
	return s.Authority() + "/oauth2/v2.0/authorize?" + query.Encode()
}

// newCodeForm signs alice in and returns the form that redeems her code.
func newCodeForm(t *testing.T, s *Sandbox, changes url.Values) url.Values {
	t.Helper()
	answer := choose(t, s, authorizeURL(s, changes), url.Values{"account": {alice}})
	if answer.Get("state") != "s 1&" {
		t.Errorf("state %q, want what was sent", answer.Get("state"))
	}
	return url.Values{"grant_type": {GrantAuthorizationCode}, "client_id": {s.ClientID()}, "code": {answer.Get("code")},
		"redirect_uri": {localRedirect}, "code_verifier": {verifier}, "client_info": {"1"}}
}

// decodePart decodes a part of a token.
func decodePart(t *testing.T, part string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// redeem posts a form that must give tokens.
func redeem(t *testing.T, s *Sandbox, form url.Values) map[string]any {
	t.Helper()
	status, _, body := post(t, s, tokenEndpoint(s), form)
	var answer map[string]any
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v: %v", status, err, answer["error_description"])
	}
	return answer
}

func TestPersonsTokens(t *testing.T) {
	s := start(t, Options{})
	answer := redeem(t, s, newCodeForm(t, s, nil))
	if answer["scope"] != strings.Join(mailScopes, " ") {
		t.Errorf("scope = %q, want the mail scopes alone", answer["scope"])
	}
	token := decodePart(t, strings.Split(answer["access_token"].(string), ".")[1])
	for claim, want := range map[string]any{
		"aud": "https://outlook.office.com", "ver": "1.0", "tid": s.TenantID(), "appid": s.ClientID(), "upn": alice,
		"unique_name": alice, "oid": s.person(alice).objectID, "scp": "IMAP.AccessAsUser.All POP.AccessAsUser.All SMTP.Send",
		"iss": "https://sts.windows.net/" + s.TenantID() + "/", "roles": nil,
	} {
		if token[claim] != want {
			t.Errorf("access token: %s = %v, want %v", claim, token[claim], want)
		}
	}
	id := decodePart(t, strings.Split(answer["id_token"].(string), ".")[1])
	for claim, want := range map[string]any{
		"aud": s.ClientID(), "ver": "2.0", "tid": s.TenantID(), "preferred_username": alice, "nonce": "n1",
		"oid": s.person(alice).objectID, "iss": s.Authority() + "/v2.0",
	} {
		if id[claim] != want {
			t.Errorf("id_token: %s = %v, want %v", claim, id[claim], want)
		}
	}
	info := decodePart(t, answer["client_info"].(string))
	if info["uid"] != s.person(alice).objectID || info["utid"] != s.TenantID() {
		t.Errorf("client_info = %v", info)
	}
}

// TestWhatWasNotAsked leaves scopes and client_info out.
func TestWhatWasNotAsked(t *testing.T) {
	s := start(t, Options{})
	form := newCodeForm(t, s, url.Values{"scope": {"https://outlook.office365.com/smtp.send"}})
	form.Del("client_info")
	answer := redeem(t, s, form)
	for _, field := range []string{"refresh_token", "id_token", "client_info"} {
		if answer[field] != nil {
			t.Errorf("%s was not asked for", field)
		}
	}
	if answer["scope"] != "https://outlook.office365.com/SMTP.Send" {
		t.Errorf("scope = %q, want it under the prefix that was asked", answer["scope"])
	}
	all := redeem(t, s, newCodeForm(t, s, url.Values{"scope": {"https://outlook.office.com/.default"}}))
	if all["scope"] != strings.Join(mailScopes, " ") {
		t.Errorf("scope for .default = %q", all["scope"])
	}
	graph := redeem(t, s, newCodeForm(t, s, url.Values{"scope": {"SMTP.Send"}}))
	token := decodePart(t, strings.Split(graph["access_token"].(string), ".")[1])
	if graph["scope"] != "SMTP.Send" || token["aud"] != "https://graph.microsoft.com" {
		t.Errorf("a scope without prefix: scope %q, aud %q", graph["scope"], token["aud"])
	}
}

func TestCodeRefusals(t *testing.T) {
	s := start(t, Options{})
	expired := start(t, Options{CodeLifetime: time.Nanosecond})
	tests := []struct {
		name, key, value string
		s                *Sandbox
		tenant           string
		code             string
		number           int
	}{
		{"unknown code", "code", "x", s, "", "invalid_grant", 9002313},
		{"wrong verifier", "code_verifier", strings.Repeat("x", 43), s, "", "invalid_grant", 501481},
		{"no verifier", "code_verifier", "", s, "", "invalid_grant", 501481},
		{"other redirect", "redirect_uri", "http://localhost:1", s, "", "invalid_client", 500112},
		{"secret of a public client", "client_secret", s.ClientSecret(), s, "", "invalid_client", 700025},
		{"other tenant", "", "", s, "consumers", "invalid_grant", 700005},
		{"two resources", "scope", mailScopes[0] + " Mail.Send", s, "", "invalid_scope", 28000},
		{"expired", "", "", expired, "", "invalid_grant", 70008},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form := newCodeForm(t, tt.s, nil)
			form.Set(tt.key, tt.value)
			address := tokenEndpoint(tt.s)
			if tt.tenant != "" {
				address = tt.s.AuthorityAt(tt.tenant) + "/oauth2/v2.0/token"
			}
			_, _, body := post(t, tt.s, address, form)
			checkEntraError(t, body, tt.code, tt.number, "")
		})
	}
	t.Run("used twice", func(t *testing.T) {
		form := newCodeForm(t, s, nil)
		redeem(t, s, form)
		_, _, body := post(t, s, tokenEndpoint(s), form)
		checkEntraError(t, body, "invalid_grant", 54005, "")
	})
}

// TestAuthorizationRefusedOnPage has requests that may not be sent back.
func TestAuthorizationRefusedOnPage(t *testing.T) {
	s := start(t, Options{RedirectURIs: []string{"https://app.example/back"}})
	set := func(key, value string) string { return authorizeURL(s, url.Values{key: {value}}) }
	tests := []struct{ name, address, want string }{
		{"unknown tenant", strings.Replace(set("", ""), s.TenantID(), "fabrikam.example", 1), "AADSTS90002"},
		{"unknown client", set("client_id", "x"), "AADSTS700016"},
		{"no redirect", set("redirect_uri", ""), "AADSTS900971"},
		{"by address", set("redirect_uri", "http://127.0.0.1:54321"), "AADSTS50011"},
		{"other path", set("redirect_uri", localRedirect+"/Back"), "AADSTS50011"},
		{"other scheme", set("redirect_uri", "https://localhost:54321"), "AADSTS50011"},
		{"other host", set("redirect_uri", "http://fabrikam.example"), "AADSTS50011"},
		{"other port", set("redirect_uri", "https://app.example:1/back"), "AADSTS50011"},
		{"fragment", set("redirect_uri", localRedirect+"#x"), "AADSTS50011"},
		{"no address", set("redirect_uri", "http://[::1"), "AADSTS50011"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := httpClient(t, s).Get(tt.address)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), tt.want) {
				t.Errorf("status %d, %v: %s, want %s", resp.StatusCode, err, body, tt.want)
			}
		})
	}
}

func TestRegisteredRedirects(t *testing.T) {
	s := start(t, Options{RedirectURIs: []string{"http://127.0.0.1", "https://app.example/back"}})
	for _, redirect := range []string{"http://localhost", "http://localhost:8080", "http://localhost:1/",
		"http://127.0.0.1:54321", "https://app.example/back"} {
		answer := choose(t, s, authorizeURL(s, url.Values{"redirect_uri": {redirect}}), url.Values{"account": {alice}})
		if answer.Get("code") == "" {
			t.Errorf("%s: no code", redirect)
		}
	}
}

// TestAuthorizationRefusedByRedirect has requests whose refusal goes back to
// the client.
func TestAuthorizationRefusedByRedirect(t *testing.T) {
	s := start(t, Options{})
	tests := []struct {
		name, key, value string
		form             url.Values
		code, number     string
	}{
		{"declined", "", "", url.Values{"decline": {"yes"}}, "access_denied", "AADSTS65004"},
		{"no scope", "scope", "", nil, "invalid_request", "AADSTS900144"},
		{"two resources", "scope", mailScopes[0] + " Mail.Send", nil, "invalid_scope", "AADSTS28000"},
		{"implicit", "response_type", "token", nil, "unsupported_response_type", "AADSTS700054"},
		{"fragment", "response_mode", "fragment", nil, "invalid_request", "AADSTS70007"},
		{"unknown prompt", "prompt", "beg", nil, "invalid_request", "AADSTS90023"},
		{"no challenge", "code_challenge", "", nil, "invalid_request", "AADSTS50147"},
		{"plain challenge", "code_challenge_method", "plain", nil, "invalid_request", "AADSTS50147"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := choose(t, s, authorizeURL(s, url.Values{tt.key: {tt.value}}), tt.form)
			if answer.Get("error") != tt.code || !strings.HasPrefix(answer.Get("error_description"), tt.number+": ") {
				t.Errorf("answer %q, want %s, %s", answer, tt.code, tt.number)
			}
			if answer.Get("state") != "s 1&" {
				t.Errorf("state %q, want what was sent", answer.Get("state"))
			}
		})
	}
}

func TestPrompt(t *testing.T) {
	s := start(t, Options{})
	none := authorizeURL(s, url.Values{"prompt": {"none"}})
	if answer := redirect(t, s, none); answer.Get("error") != "login_required" {
		t.Errorf("prompt=none: %q", answer)
	}
	page := getText(t, s, authorizeURL(s, url.Values{"prompt": {"login"}, "login_hint": {`"bob"`}}))
	for _, want := range []string{alice, bob, `value="&#34;bob&#34;"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s: %s", want, page)
		}
	}
	if strings.Contains(page, carol) {
		t.Error("a personal account is offered at the organisation")
	}
	personal := getText(t, s, strings.Replace(authorizeURL(s, nil), s.TenantID(), "consumers", 1))
	if strings.Contains(personal, alice) {
		t.Error("an organisation's account is offered to consumers")
	}
	_, _, body := post(t, s, authorizeURL(s, nil), url.Values{"account": {carol}})
	if !strings.Contains(body, "cannot sign in at") || !strings.Contains(body, alice) {
		t.Errorf("an account of elsewhere: %s", body)
	}

	signedIn := start(t, Options{AutoApprove: alice})
	if answer := redirect(t, signedIn, authorizeURL(signedIn, url.Values{"prompt": {"none"}})); answer.Get("code") == "" {
		t.Errorf("prompt=none of somebody who is signed in: %q", answer)
	}
}

// redirect opens an address and returns the query that it redirects to.
func redirect(t *testing.T, s *Sandbox, address string) url.Values {
	t.Helper()
	client := httpClient(t, s)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	return location.Query()
}

func TestFormPost(t *testing.T) {
	s := start(t, Options{})
	address := authorizeURL(s, url.Values{"response_mode": {"form_post"}})
	_, _, body := post(t, s, address, url.Values{"account": {alice}})
	action, fields := parseForm(t, body)
	if action != localRedirect || fields.Get("state") != "s 1&" || fields.Get("code") == "" {
		t.Errorf("form to %s with %q", action, fields)
	}
	_, _, body = post(t, s, address, url.Values{"decline": {"yes"}})
	if _, fields = parseForm(t, body); fields.Get("error") != "access_denied" {
		t.Errorf("declined: %q", fields)
	}
}

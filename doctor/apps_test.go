package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

// askEntra gets a token as the application would.
func askEntra(t *testing.T, w *ward, app sandbox.App) func() (string, error) {
	scope := "https://outlook.office365.com/.default"
	if app.Scopes != nil {
		scope = strings.Join(app.Scopes, " ")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.plan.TLS.RootCAs}}}
	t.Cleanup(client.CloseIdleConnections)
	return func() (string, error) {
		response, err := client.PostForm(w.AuthorityAt(app.Tenant)+"/oauth2/v2.0/token", url.Values{
			"grant_type": {sandbox.GrantClientCredentials}, "client_id": {app.ClientID}, "client_secret": {app.Secret}, "scope": {scope},
		})
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		var answer struct {
			Token   string `json:"access_token"`
			Codes   []int  `json:"error_codes"`
			TraceID string `json:"trace_id"`
			Text    string `json:"error_description"`
		}
		_ = json.NewDecoder(response.Body).Decode(&answer) // 429 is no JSON
		switch {
		case len(answer.Codes) > 0:
			return "", &TokenError{AADSTS: answer.Codes[0], Text: answer.Text, TraceID: answer.TraceID}
		case answer.Token == "":
			return "", &TokenError{Class: remedy.Later, Text: "Entra ID gets too many requests"}
		}
		return answer.Token, nil
	}
}

// TestApps: an application with each of the mistakes that the sandbox plays
// with its own credentials. The cause is that of the token, or of IMAP, POP3
// and SMTP in that order, - where it works, ? where that proves nothing yet.
func TestApps(t *testing.T) {
	expected := map[string]struct{ token, logins, line string }{
		"secret-wrong":       {token: "secret-wrong", line: "the Value is shown once"},
		"secret-expired":     {token: "secret-expired", line: "New client secret"},
		"unknown-app":        {token: "app-unknown", line: "Application (client) ID"},
		"app-disabled":       {token: "app-disabled", line: "Enabled for users to sign in: Yes"},
		"api-missing":        {token: "permission-missing", line: "Grant admin consent"},
		"token-throttled":    {token: ""},
		"entra-unavailable":  {token: "entra-passing-fault"},
		"unknown-tenant":     {token: "tenant-unknown", line: "Directory (tenant) ID"},
		"no-exchange":        {token: "resource-unknown"},
		"wrong-cloud":        {token: "wrong-cloud", line: "upstream.cloud"},
		"wrong-cloud-tenant": {token: "wrong-cloud", line: "upstream.cloud"},
		"no-roles":           {token: "-", logins: "role-missing role-missing role-missing", line: "SMTP.SendAsApp"},
		"wrong-audience":     {token: "-", logins: "wrong-audience wrong-audience wrong-audience", line: "outlook.office365.com/.default"},
		"no-imap-role":       {token: "-", logins: "role-missing - -", line: "IMAP.AccessAsApp"},
		"no-pop-role":        {token: "-", logins: "- role-missing -", line: "POP.AccessAsApp"},
		"no-smtp-role":       {token: "-", logins: "- - role-missing", line: "SMTP.SendAsApp"},
		"app-rbac":           {token: "-", logins: "role-missing role-missing ?", line: "IMAP.AccessAsApp"},
		"token-too-long":     {token: "-", logins: "- pop3-token-long-app -", line: "register another application with POP.AccessAsApp alone"},
		"other-tenant":       {token: "-", logins: "wrong-tenant wrong-tenant wrong-tenant"},
		"token-expired":      {token: "-", logins: "token-expired token-expired token-expired"},
	}
	w := newWard(t, sandbox.Options{})
	all := w.plan
	for _, app := range w.Apps() {
		if app.Flow != sandbox.FlowClientSecret {
			continue
		}
		t.Run(app.Name, func(t *testing.T) {
			want, ok := expected[app.Name]
			if !ok {
				t.Fatal("no test")
			}
			w.plan = all
			a := w.admit(app.Name+"@"+sandbox.Domain, "", sandbox.TokenOptions{})
			a.ClientID, a.Tenant, w.tokens[a.Mailbox] = app.ClientID, app.Tenant, askEntra(t, w, app)
			c := w.examine(t)
			var logins []string
			for _, probe := range protocols {
				switch f := c.of(probe); f.Status {
				case OK:
					logins = append(logins, "-")
				case Note:
					logins = append(logins, "?")
				case Broken:
					logins = append(logins, f.Cause)
				}
			}
			token := "-"
			if f := c.of("token"); f.Status == Broken {
				token = f.Cause
			}
			if token != want.token || strings.Join(logins, " ") != want.logins || !strings.Contains(c.String(), want.line) {
				t.Errorf("%s, %s\n%s", token, logins, c)
			}
		})
	}
}

// Tokens that a person has to sign in for, or an administrator to allow.
func TestPeople(t *testing.T) {
	tests := []struct {
		number     int
		class      remedy.Class
		cause, who string
	}{
		{65001, remedy.Administrator, "no-consent", "the administrator of Entra ID"},
		{53003, remedy.Administrator, "conditional-access", "the administrator of Entra ID"},
		{530036, remedy.Administrator, "device-code-forbidden", "the administrator of Entra ID"},
		{50076, remedy.Person, "second-factor", "you"},
		{700082, remedy.Person, "sign-in-unused", "you"},
		{50173, remedy.Person, "sign-in-revoked", "you"},
		{70043, remedy.Person, "sign-in-frequency", "you"},
	}
	for _, tt := range tests {
		p := Plan{
			Accounts: []Account{{Mailbox: alice, Person: alice}},
			Token: func(context.Context, string) (Token, error) {
				return Token{Value: wire.NewSecret("none with an error")}, &TokenError{AADSTS: tt.number, Class: tt.class, Text: "no"}
			},
		}
		c := &chart{t: t}
		e := &examination{Plan: p, observer: c}
		e.accounts(t.Context())
		f := c.of("token")
		if f.Cause != tt.cause || f.Who != tt.who {
			t.Errorf("%d: %s by %s", tt.number, f.Cause, f.Who)
		}
		if tt.class == remedy.Person && !strings.Contains(strings.Join(f.Fix, "\n"), "oauthproxy login alice@contoso.example") {
			t.Errorf("%d: %q", tt.number, f.Fix)
		}
	}
}

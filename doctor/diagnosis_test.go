package doctor

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

const (
	alice  = "alice@" + sandbox.Domain
	bob    = "bob@" + sandbox.Domain
	shared = "shared@" + sandbox.Domain
	carol  = "carol@" + sandbox.PersonalDomain
)

// At run time nothing may be known but one reply.
func TestDiagnoseOneReply(t *testing.T) {
	person := Account{Mailbox: alice, Person: alice, ClientID: "an-id", App: "devices"}
	app := Account{Mailbox: alice, ClientID: "an-id", App: "devices"}
	right := Claims{IsKnown: true, User: alice, Scopes: []string{"IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"}, Audience: "https://outlook.office.com"}
	ofApp := Claims{IsKnown: true, Roles: []string{"IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"}, Audience: "https://outlook.office365.com/"}
	with := func(c Claims, change func(*Claims)) Claims {
		change(&c)
		return c
	}
	tests := []struct {
		name, protocol, words string
		account               Account
		claims                Claims
		want                  string
	}{
		{"right, IMAP", "imap", "NO AUTHENTICATE failed.", person, right, "mailbox-unknown"},
		{"right, POP3", "pop3", "Exchange said: -ERR Authentication failure: unknown user name or bad password.", person, right, "pop-off"},
		{"right, SMTP", "smtp", "reply to AUTH: 535 5.7.3 Authentication unsuccessful", person, right, "mailbox-unknown"},
		{"right, not connected", "imap", "BAD User is authenticated but not connected.", person, right, "not-connected"},
		{"opaque, IMAP", "imap", "NO AUTHENTICATE failed.", person, Claims{}, "login-refused"},
		{"opaque, POP3", "pop3", "-ERR Authentication failure: unknown user name or bad password.", person, Claims{}, "login-refused"},
		{"an app's, opaque", "imap", "NO AUTHENTICATE failed.", app, Claims{}, "no-right-app"},
		{"an app's", "imap", "NO AUTHENTICATE failed.", app, ofApp, "no-right-app"},
		{"a scope with its prefix", "imap", "NO AUTHENTICATE failed.", person, with(right, func(c *Claims) { c.Scopes = []string{"https://outlook.office.com/imap.accessasuser.all"} }), "mailbox-unknown"},
		{"not yet valid", "imap", "NO AUTHENTICATE failed.", person, with(right, func(c *Claims) { c.NotBefore = time.Now().Add(time.Hour) }), "token-not-yet-valid"},
		{"clocks that differ a little", "imap", "NO AUTHENTICATE failed.", person, with(right, func(c *Claims) { c.NotBefore = time.Now().Add(time.Minute) }), "mailbox-unknown"},
		{"the API's ID", "imap", "NO AUTHENTICATE failed.", person, with(right, func(c *Claims) { c.Audience = "00000002-0000-0ff1-ce00-000000000000" }), "mailbox-unknown"},
		{"a national cloud", "imap", "NO AUTHENTICATE failed.", person, with(right, func(c *Claims) { c.Audience = "https://outlook.office365.us" }), "mailbox-unknown"},
		{"Graph's ID", "imap", "NO AUTHENTICATE failed.", person, with(right, func(c *Claims) { c.Audience = "00000003-0000-0000-c000-000000000000" }), "wrong-audience"},
		{"its own words come first", "smtp", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.", person, with(right, func(c *Claims) { c.Audience = "graph" }), "smtp-off-mailbox"},
		{"not logged in", "smtp", "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.3 Authentication unsuccessful", person, with(right, func(c *Claims) { c.Scopes = nil }), "scope-missing"},
		{"other words for no", "smtp", "reply to AUTH: 535 5.7.8 bad credentials", app, ofApp, "app-not-in-exchange"},
		{"another command", "smtp", "550 5.1.0 no such sender", app, ofApp, ""},
		{"it passes", "smtp", "reply to AUTH: 454 4.7.0 Temporary authentication failure", person, right, ""},
		{"it passes, IMAP", "imap", "NO [IN-USE] later", person, right, ""},
		{"a goodbye", "imap", "* BYE Go away.", app, ofApp, ""},
		{"a tenant by its domain", "imap", "NO AUTHENTICATE failed.", Account{Mailbox: alice, Person: alice, Tenant: "contoso.example"}, with(right, func(c *Claims) { c.Tenant = "another" }), "mailbox-unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, facts := Diagnose(tt.account, tt.protocol, tt.claims, map[string]string{tt.protocol: tt.words})
			if r.ID != tt.want {
				t.Errorf("%q, want %q", r.ID, tt.want)
			}
			if facts["mailbox"] != alice || facts["protocol"] != told[tt.protocol] {
				t.Errorf("%v", facts)
			}
		})
	}
}

// The other protocols tell a switch from a right.
func TestDiagnoseMixed(t *testing.T) {
	const imapNo, connected, popNo, smtpNo = "NO AUTHENTICATE failed.", "BAD User is authenticated but not connected.", "-ERR Authentication failure: no", "535 5.7.3 Authentication unsuccessful"
	own := Account{Mailbox: carol, Person: carol}
	app := Account{Mailbox: alice}
	visitor := Account{Mailbox: shared, Person: alice}
	tests := []struct {
		name             string
		account          Account
		imap, pop3, smtp string // the words
		want             string // causes, of those that are refused
	}{
		{"all refused", own, imapNo, popNo, smtpNo, "login-refused login-refused login-refused"},
		{"switched off", own, connected, popNo, "", "imap-off pop-off"},
		{"POP3 off", own, "", popNo, "", "pop-off"},
		{"IMAP off", own, connected, "", "", "imap-off"},
		{"SMTP alone", own, "", "", smtpNo, "scope-missing"},
		{"an app, all", app, imapNo, popNo, smtpNo, "no-right-app no-right-app no-right-app"},
		{"an app, POP3 off", app, "", popNo, "", "pop-off"},
		{"an app, IMAP off", app, connected, "", "", "imap-off"},
		{"an app without rights", app, connected, popNo, "", "app-without-access app-without-access"},
		{"a visitor", visitor, connected, popNo, "", "no-right-delegated no-right-delegated"},
		{"a visitor, POP3 off", visitor, "", popNo, "", "pop-off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			replies := map[string]string{"imap": tt.imap, "pop3": tt.pop3, "smtp": tt.smtp}
			var got []string
			for _, protocol := range protocols {
				if replies[protocol] != "" {
					r, _ := Diagnose(tt.account, protocol, Claims{}, replies)
					got = append(got, r.ID)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
}

// The steps for an application name the mailbox first, and the object ID where
// the token is the application's and tells it.
func TestDiagnoseSteps(t *testing.T) {
	const oid = "e0de71ce-0000-4000-8000-000000000001"
	app := Account{Mailbox: "o'brien@contoso.example", ClientID: "an-id"}
	roles := []string{"IMAP.AccessAsApp", "SMTP.SendAsApp"}
	const imapNo, connected, smtpNo = "NO AUTHENTICATE failed.", "BAD User is authenticated but not connected.", "535 5.7.3 Authentication unsuccessful"
	tests := []struct {
		name     string
		claims   Claims
		replies  map[string]string
		id, line string
	}{
		{"not connected", Claims{IsKnown: true, Roles: roles, ObjectID: oid}, map[string]string{"imap": connected},
			"app-without-access", "Add-MailboxPermission -Identity 'o''brien@contoso.example' -User '" + oid + "'"},
		{"its switch", Claims{}, map[string]string{"imap": connected}, "app-without-access", "Set-CASMailbox -Identity 'o''brien@contoso.example' -ImapEnabled $true"},
		{"refused everywhere", Claims{IsKnown: true, Roles: roles, ObjectID: oid}, map[string]string{"imap": imapNo, "smtp": smtpNo},
			"app-not-in-exchange", "New-ServicePrincipal -AppId 'an-id' -ObjectId '" + oid + "'"},
		{"SMTP without its role", Claims{IsKnown: true, Roles: roles[:1], ObjectID: oid}, map[string]string{"imap": imapNo, "smtp": smtpNo},
			"no-right-app", "Add-MailboxPermission -Identity 'o''brien@contoso.example' -User '" + oid + "'"},
		{"SMTP is off", Claims{IsKnown: true, Roles: roles, ObjectID: oid}, map[string]string{"imap": imapNo, "smtp": "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."},
			"no-right-app", "-ObjectId '" + oid + "'"},
		{"no GUID", Claims{IsKnown: true, Roles: roles, ObjectID: "e0de71ce"}, map[string]string{"imap": imapNo}, "no-right-app", "-ObjectId OBJECT_ID"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, facts := Diagnose(app, "imap", tt.claims, tt.replies)
			lines := r.Fill(facts).PowerShell
			if r.ID != tt.id || lines[1] != "Get-EXOMailbox -Identity 'o''brien@contoso.example' | Format-List PrimarySmtpAddress, RecipientTypeDetails" {
				t.Errorf("%s: %q", r.ID, lines)
			}
			if !strings.Contains(strings.Join(lines, "\n"), tt.line) {
				t.Errorf("missing %q in %q", tt.line, lines)
			}
		})
	}
	// A person's object ID is no application's.
	_, facts := Diagnose(app, "imap", Claims{IsKnown: true, User: alice, ObjectID: oid}, map[string]string{"imap": imapNo})
	if facts["object_id"] != "" {
		t.Error("a person's object ID is taken for an application's")
	}
}

func TestTokenBroken(t *testing.T) {
	a := Account{Mailbox: alice, Person: alice, App: "devices", ClientID: "an-id"}
	tests := []struct {
		name string
		err  error
		want Finding // in part
	}{
		{"a secret", &TokenError{AADSTS: 7000222, Class: remedy.SetUp, Text: "expired", TraceID: "t-1", CorrelationID: "c-2"},
			Finding{Seen: "no access token: AADSTS7000222 (for support: trace ID t-1, correlation ID c-2)", Cause: "secret-expired", Who: "the administrator of Entra ID"}},
		{"an unknown number", &TokenError{AADSTS: 999999, Class: remedy.Administrator, Text: "Entra ID's own sentence"},
			Finding{Seen: "no access token: AADSTS999999", Means: "Entra ID's own sentence", Who: "the administrator of Entra ID"}},
		{"nobody has signed in", &TokenError{Class: remedy.Person, Text: "nobody has signed in"},
			Finding{Seen: "no access token", Means: "nobody has signed in", Who: "you", Do: "sign in again", Fix: []string{"oauthproxy login alice@contoso.example"}}},
		{"later", fmt.Errorf("wrapped: %w", &TokenError{Class: remedy.Later, Text: "too many requests"}),
			Finding{Seen: "no access token", Means: "too many requests", Who: "Microsoft"}},
		{"another error", errors.New("the file is gone"), Finding{Seen: "no access token", Means: "the file is gone", Who: "you"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := a.tokenBroken(tt.err)
			w := tt.want
			if f.Status != Broken || f.Seen != w.Seen || f.Cause != w.Cause || f.Who != w.Who ||
				w.Means != "" && f.Means != w.Means || w.Do != "" && f.Do != w.Do || w.Fix != nil && !slices.Equal(f.Fix, w.Fix) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// jwt makes a token of claims, which nobody has signed.
func jwt(t testing.TB, claims any) wire.Secret {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return wire.NewSecret(encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + "." + encode([]byte("a signature that proves nothing")))
}

func TestReadClaims(t *testing.T) {
	signature := base64.RawURLEncoding.EncodeToString([]byte("a signature that proves nothing"))
	c := ReadClaims(jwt(t, map[string]any{
		"aud": []string{"https://outlook.office.com"}, "upn": "alice\x1b[31m\n" + signature, "roles": 7, "scp": "SMTP.Send IMAP.AccessAsUser.All",
		"tid": strings.Repeat("t", 1000), "exp": 4102444800, "nbf": "soon",
	}))
	if !c.IsKnown || c.Audience != "https://outlook.office.com" || c.User != "alice?[31m?***" || len(c.Roles) != 0 || len(c.Scopes) != 2 ||
		len([]rune(c.Tenant)) != maxSeen+1 || c.Expires.Year() != 2100 || !c.NotBefore.IsZero() {
		t.Errorf("%+v", c)
	}
	if text := c.String(); !strings.HasPrefix(text, "for alice?[31m?***, IMAP and SMTP, until ") {
		t.Error(text)
	}
	for _, opaque := range []string{"", "EwB", "a.b", "a.b.c.d", "..", "x.!.y", "x." + base64.RawURLEncoding.EncodeToString([]byte("[1]")) + ".y",
		"x.bnVsbA.y", strings.Repeat("a", maxToken) + ".e30.y"} {
		if c := ReadClaims(wire.NewSecret(opaque)); c.IsKnown || c.Length != len(opaque) {
			t.Errorf("%.20q: %+v", opaque, c)
		}
	}
}

// Whatever stands in a token, what is shown of it is bounded, printable, and
// no piece of the token.
func FuzzReadClaims(f *testing.F) {
	f.Add([]byte(`{"aud":"a","upn":"b","scp":"c d","roles":["e"],"exp":1,"nbf":2.5,"tid":"t","appid":"x"}`), "signature")
	f.Add([]byte(`{"aud":["a",1],"exp":1e400}`), "")
	f.Add([]byte(`null`), ".")
	f.Fuzz(func(t *testing.T, payload []byte, rest string) {
		token := wire.NewSecret("e30." + base64.RawURLEncoding.EncodeToString(payload) + "." + rest)
		c := ReadClaims(token)
		if text := c.String(); len([]rune(text)) > 10*maxSeen || strings.ContainsAny(text, "\n\r\x1b\x00") {
			t.Errorf("%q", text)
		}
		Diagnose(Account{Mailbox: alice}, "imap", c, map[string]string{"imap": "NO AUTHENTICATE failed."})
		expectNoPiece(t, fmt.Sprint(c.User, " ", c.Audience, " ", c.Roles, c.Scopes, c.Tenant, " ", c.Issuer, " ", c.AppID), token.Reveal())
	})
}

// expectNoPiece looks for pieces of a secret.
func expectNoPiece(t *testing.T, text, secret string) {
	t.Helper()
	const piece = 16
	for i := 0; i+piece <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+piece]) {
			t.Fatalf("the text holds a piece of a secret: %s", text)
		}
	}
}

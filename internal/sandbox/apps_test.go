package sandbox

import (
	"cmp"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// appTests says for each application what Entra answers to a token request, or
// to a refresh where a person signs in, and which protocols take the token.
// Where the number is 0 there is a token.
var appTests = map[string]struct {
	number           int
	imap, pop3, smtp bool
	pop3Says         string // when it refuses; "": the general words
}{
	"secret-wrong":        {number: 7000215},
	"secret-expired":      {number: 7000222},
	"unknown-app":         {number: 700016},
	"app-disabled":        {number: 7000112},
	"certificate-unknown": {number: 700027},
	"no-roles":            {},
	"api-missing":         {number: 650057},
	"wrong-audience":      {},
	"no-imap-role":        {pop3: true, smtp: true},
	"no-pop-role":         {imap: true, smtp: true},
	"no-smtp-role":        {imap: true, pop3: true},
	"app-rbac":            {smtp: true},
	"other-tenant":        {},
	"token-expired":       {},
	"token-too-long":      {imap: true, smtp: true, pop3Says: pop3ProtocolError},
	"token-throttled":     {number: http.StatusTooManyRequests},
	"entra-unavailable":   {number: 90033},
	"unknown-tenant":      {number: 90002},
	"no-exchange":         {number: 500011},
	"wrong-cloud":         {number: 900382},
	"wrong-cloud-tenant":  {number: 90038},
	"no-consent":          {number: 65001},
	"sign-in-blocked":     {number: 53003},
	"device-code-blocked": {number: 530036},
	"second-factor":       {number: 50076},
	"sign-in-too-old":     {number: 700082},
	"sign-in-revoked":     {number: 50173},
	"sign-in-frequency":   {number: 70043},
	"user-disabled":       {number: 50057},
	"public-client-off":   {number: 7000218},
	"graph-scopes":        {},
	"no-imap-scope":       {pop3: true, smtp: true},
	"no-smtp-scope":       {imap: true, pop3: true},
	"opaque-token":        {imap: true, pop3: true, smtp: true},
}

func TestApps(t *testing.T) {
	s := start(t, Options{})
	if got := len(s.Apps()); got != len(appTests) {
		t.Errorf("%d applications, %d tests", got, len(appTests))
	}
	for _, app := range s.Apps() {
		t.Run(app.Name, func(t *testing.T) {
			tt, ok := appTests[app.Name]
			if !ok {
				t.Fatal("no test")
			}
			answer, number := askAs(t, s, app)
			if number != tt.number {
				t.Fatalf("refused with %d, want %d", number, tt.number)
			}
			if number != 0 {
				return
			}
			for _, try := range []struct {
				address, accepted, refused string
				ok                         bool
			}{
				{s.IMAP(), imapAccepted, imapRefused, tt.imap},
				{s.POP3(), pop3Accepted, pop3RefusesLogin(cmp.Or(tt.pop3Says, pop3Refused)), tt.pop3},
				{s.SMTP(), smtpAccepted, smtpRefused, tt.smtp},
			} {
				p := dial(t, s, try.address)
				p.token = answer["access_token"].(string)
				if try.ok {
					p.talk(as(app.Name, try.accepted))
				} else {
					p.talk(as(app.Name, try.refused))
				}
			}
		})
	}
}

func pop3RefusesLogin(reply string) string {
	return strings.Replace(pop3RefusedLogin, pop3Refused, reply, 1)
}

// askAs asks for a token as a proxy does that is configured for the
// application. Where a person signs in, that is done first, and the token
// refreshed.
func askAs(t *testing.T, s *Sandbox, app App) (answer map[string]any, number int) {
	t.Helper()
	switch app.Flow {
	case FlowDeviceCode:
		return askAsPerson(t, s, app)
	case FlowCertificate:
		return nil, askByCertificate(t, s, app)
	}
	scopes := app.Scopes
	if scopes == nil {
		scopes = []string{audienceApp + "/.default"}
	}
	return askToken(t, s, app, url.Values{"grant_type": {GrantClientCredentials},
		"client_secret": {app.Secret}, "scope": {strings.Join(scopes, " ")}})
}

func askToken(t *testing.T, s *Sandbox, app App, form url.Values) (answer map[string]any, number int) {
	t.Helper()
	form.Set("client_id", app.ClientID)
	status, header, body := post(t, s, s.AuthorityAt(app.Tenant)+"/oauth2/v2.0/token", form)
	if status == http.StatusTooManyRequests {
		if got := header.Get("Retry-After"); got != "60" {
			t.Errorf("Retry-After: %s, want 60", got)
		}
		return nil, status
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("answer %q: %v", body, err)
	}
	if codes, ok := answer["error_codes"].([]any); ok {
		number = int(codes[0].(float64))
		if !strings.HasPrefix(answer["error_description"].(string), "AADSTS"+strconv.Itoa(number)+": ") ||
			strings.Contains(body, "The request was refused.") {
			t.Errorf("refusal without words: %s", body)
		}
	}
	return answer, number
}

func askAsPerson(t *testing.T, s *Sandbox, app App) (answer map[string]any, number int) {
	t.Helper()
	scopes := app.Scopes
	if scopes == nil {
		scopes = mailScopes
	}
	_, _, body := post(t, s, s.AuthorityAt(app.Tenant)+"/oauth2/v2.0/devicecode",
		url.Values{"client_id": {app.ClientID}, "scope": {strings.Join(scopes, " ") + " offline_access openid"}})
	var device map[string]any
	if err := json.Unmarshal([]byte(body), &device); err != nil {
		t.Fatal(err)
	}
	if err := s.ApproveDeviceCode(device["user_code"].(string), app.Mailbox); err != nil {
		t.Fatal(err)
	}
	answer, number = askToken(t, s, app, url.Values{"grant_type": {GrantDeviceCode}, "device_code": {device["device_code"].(string)}})
	if number != 0 {
		return answer, number
	}
	refresh := url.Values{"grant_type": {GrantRefreshToken}, "refresh_token": {answer["refresh_token"].(string)}}
	if _, other := askToken(t, s, App{ClientID: s.ClientID(), Tenant: app.Tenant}, refresh); other != 9002313 {
		t.Errorf("another application uses the refresh token: %d", other)
	}
	return askToken(t, s, app, refresh)
}

// askByCertificate goes through MSAL, which signs the assertion.
func askByCertificate(t *testing.T, s *Sandbox, app App) (number int) {
	t.Helper()
	pair, err := tls.X509KeyPair(app.Certificate, app.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := pair.PrivateKey.(*rsa.PrivateKey); !ok {
		t.Fatal("the certificate's key is not an RSA key")
	}
	certificates, key, err := confidential.CertFromPEM(app.Certificate, "")
	if err != nil {
		t.Fatal(err)
	}
	credential, err := confidential.NewCredFromCert(certificates, key)
	if err != nil {
		t.Fatal(err)
	}
	client, err := confidential.New(s.AuthorityAt(app.Tenant), app.ClientID, credential,
		confidential.WithHTTPClient(httpClient(t, s)), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.AcquireTokenByCredential(t.Context(), []string{audienceApp + "/.default"})
	if err == nil || !strings.Contains(err.Error(), "AADSTS700027") {
		t.Errorf("got %v, want AADSTS700027", err)
		return 0
	}
	return 700027
}

// TestAppClaims: what a diagnosis reads in the tokens.
func TestAppClaims(t *testing.T) {
	s := start(t, Options{})
	read := func(name string) claims {
		t.Helper()
		answer, number := askAs(t, s, s.App(name))
		if number != 0 {
			t.Fatalf("%s: refused with %d", name, number)
		}
		if lifetime := answer["expires_in"].(float64); lifetime < 3000 {
			t.Errorf("%s: expires_in %v", name, lifetime)
		}
		token, err := parseJWT(answer["access_token"].(string))
		var c claims
		if err == nil {
			err = json.Unmarshal(token.payload, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.AppID != s.App(name).ClientID {
			t.Errorf("%s: appid is another application's", name)
		}
		return c
	}
	if c := read("no-roles"); c.Roles != nil {
		t.Errorf("no-roles: %q", c.Roles)
	}
	if c := read("no-imap-role"); !slices.Equal(c.Roles, []string{"POP.AccessAsApp", "SMTP.SendAsApp"}) {
		t.Errorf("no-imap-role: %q", c.Roles)
	}
	if c := read("wrong-audience"); c.Audience != "https://graph.microsoft.com" {
		t.Errorf("wrong-audience: %s", c.Audience)
	}
	if c := read("graph-scopes"); c.Audience != "https://graph.microsoft.com" {
		t.Errorf("graph-scopes: %s", c.Audience)
	}
	if c := read("no-smtp-scope"); c.Scope != "IMAP.AccessAsUser.All POP.AccessAsUser.All" || c.UPN != "no-smtp-scope@"+Domain {
		t.Errorf("no-smtp-scope: %s of %s", c.Scope, c.UPN)
	}
	if c := read("other-tenant"); c.TenantID == s.TenantID() || !strings.Contains(c.Issuer, c.TenantID) {
		t.Errorf("other-tenant: %s", c.TenantID)
	}
	if c := read("token-expired"); time.Until(c.expires()) > -30*time.Minute {
		t.Errorf("token-expired: it expires at %v", c.expires())
	}
}

// TestAppTable: a mailbox has one cause, and nobody else stands in the way of
// it.
func TestAppTable(t *testing.T) {
	s := start(t, Options{})
	seen := s.Mailboxes()
	for _, app := range s.Apps() {
		if slices.Contains(seen, app.Mailbox) {
			t.Errorf("%s is twice among the mailboxes", app.Mailbox)
		}
		seen = append(seen, app.Mailbox)
		if app.What == "" || app.Mark == "" || app.ClientID == s.ClientID() {
			t.Errorf("%s: What %q, Mark %q", app.Name, app.What, app.Mark)
		}
		p := dial(t, s, s.IMAP())
		p.talk(as(app.Name, imapAccepted)) // with the ordinary application's token
	}
}

func TestClockAhead(t *testing.T) {
	for _, ahead := range []time.Duration{0, 20 * time.Minute, -3 * time.Hour} {
		s := start(t, Options{ClockAhead: ahead})
		for _, address := range []string{tokenEndpoint(s), s.Authority() + "/v2.0/.well-known/openid-configuration"} {
			resp, err := httpClient(t, s).Get(address)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			told, err := http.ParseTime(resp.Header.Get("Date"))
			if off := time.Until(told) - ahead; err != nil || off.Abs() > time.Minute {
				t.Errorf("Date: %s, want it %v ahead", resp.Header.Get("Date"), ahead)
			}
		}
	}
}

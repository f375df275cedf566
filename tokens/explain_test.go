package tokens

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"oauthproxy/internal/wire"
)

const trailer = "\r\nTrace ID: 255d1aef-8c98-452f-ac51-23d051240864\r\nCorrelation ID: fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7\r\nTimestamp: 2026-01-09 02:02:12Z"

func TestFailures(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		class  Class
		code   int
		words  string
	}{
		{"wrong secret", refusal(401, "invalid_client", 7000215, "Invalid client secret provided."+trailer), SetUpWrong, 7000215, "the client secret is wrong (AADSTS7000215): put the secret's Value"},
		{"expired secret", refusal(401, "invalid_client", 7000222, "The provided client secret keys are expired."), SetUpWrong, 7000222, "the client secret has expired (AADSTS7000222)"},
		{"unknown tenant", refusal(400, "invalid_request", 90002, "Tenant 'contoso' not found."), SetUpWrong, 90002, "there is no such tenant (AADSTS90002): check tenant"},
		{"blocked by policy", refusal(400, "invalid_grant", 53003, "Access has been blocked."), AdministratorNeeded, 53003, "Conditional Access"},
		{"asks for a person, where there is none", refusal(400, "invalid_grant", 50076, "You must use multi-factor authentication."), AdministratorNeeded, 50076, "second factor"},
		{"throttled", refusal(400, "invalid_grant", 50196, "The server terminated an operation because it encountered a loop."), TryLater, 50196, "too many requests"},
		{"number in the text alone", refusal(400, "invalid_request", 0, "AADSTS90002: Tenant not found."), SetUpWrong, 90002, "no such tenant"},
		{"unknown number", refusal(400, "invalid_request", 4711, "Something new is wrong. More about it."+trailer), SetUpWrong, 4711, "Entra ID refused: AADSTS4711: Something new is wrong; look it up: https://login.microsoftonline.com/error?code=4711"},
		{"unknown number, blanks between the parts", refusal(400, "invalid_client", 4711, "Something new is wrong Trace ID: 255d Correlation ID: fb3d"), SetUpWrong, 4711, "Entra ID refused: AADSTS4711: Something new is wrong"},
		{"unknown number, unknown error", refusal(400, "new_error", 4711, "Something new is wrong."), TryLater, 4711, "AADSTS4711: Something new is wrong"},
		{"unknown number, status 500", refusal(500, "invalid_request", 4711, "Something new is wrong."), TryLater, 4711, "Something new is wrong"},
		{"consent", refusal(400, "consent_required", 0, ""), AdministratorNeeded, 0, "Entra ID refused: consent_required"},
		{"no description", refusal(400, "unauthorized_client", 0, ""), SetUpWrong, 0, "Entra ID refused: unauthorized_client"},
		{"numbers of another type", plain(400, `{"error":"invalid_client","error_codes":["7000215"],"error_description":"AADSTS7000215: wrong"}`), SetUpWrong, 7000215, "client secret is wrong"},
		{"an error of another type", plain(400, `{"error":{"code":"x"}}`), TryLater, 0, "not one of Entra ID's (status 400)"},
		{"plain text 429", plain(429, "Too Many Requests"), TryLater, 0, "too many requests (status 429)"},
		{"500", plain(500, ""), TryLater, 0, "Entra ID has a fault (status 500)"},
		{"503 in HTML", plain(503, "<html>down</html>"), TryLater, 0, "Entra ID has a fault (status 503)"},
		{"404", plain(404, "not found"), SetUpWrong, 0, "no Entra ID tenant at this address (status 404)"},
		{"403 of a web proxy", plain(403, "<html>blocked</html>"), TryLater, 0, "web proxy"},
		{"redirect", plain(307, "", "Location", "https://elsewhere.example/steal"), TryLater, 0, "redirects elsewhere (status 307)"},
		{"sign-in page of a network", plain(200, "<html>Welcome to the hotel</html>"), TryLater, 0, "not one of Entra ID's"},
		{"garbage", plain(200, "\x00\xff\x13garbage"), TryLater, 0, "not one of Entra ID's"},
		{"truncated JSON", plain(200, `{"token_type":"Bearer","expires_in":4500,"access_token":"`+testToken), TryLater, 0, "not one of Entra ID's"},
		{"no expires_in", plain(200, `{"token_type":"Bearer","access_token":"`+testToken+`"}`), TryLater, 0, "not one of Entra ID's"},
		{"other scopes", plain(200, `{"token_type":"Bearer","expires_in":4500,"access_token":"`+testToken+`","scope":"https://graph.microsoft.com/.default"}`), SetUpWrong, 0, "gave other scopes than were asked for"},
		{"no access_token", plain(200, `{"token_type":"Bearer","expires_in":4500}`), TryLater, 0, "can't be used"},
		{"empty", plain(200, ""), TryLater, 0, "can't be used"},
		{"oversized", plain(200, strings.Repeat(" ", maxBody)+`{"expires_in":4500,"access_token":"x"}`), TryLater, 0, "not one of Entra ID's"},
		{"oversized error", plain(400, strings.Repeat(" ", maxBody)+`{"error":"invalid_client"}`), TryLater, 0, "not one of Entra ID's"},
		{"cut short", plain(200, `{"token_`, "Content-Length", "100"), TryLater, 0, "closed before the answer"},
		{"reset", reset, TryLater, 0, "Entra ID can't be reached: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, log := newEntra(), &logBuffer{}
			b := newTestBroker(t, e, e.listen(t), log)
			e.answer(test.answer)
			failure := wantFailure(t, t.Context(), b, test.class, test.words)
			if failure.AADSTS != test.code {
				t.Errorf("code %d, want %d", failure.AADSTS, test.code)
			}
			if !strings.Contains(log.String(), "no new access token") {
				t.Errorf("log: %s", log)
			}
			wantFailure(t, t.Context(), b, test.class, test.words)
			if e.requests() != 1 {
				t.Errorf("%d token requests", e.requests())
			}
		})
	}
}

func TestIdentifiersForSupport(t *testing.T) {
	e := newEntra()
	b := newTestBroker(t, e, e.client(), &logBuffer{})
	e.answer(refusal(401, "invalid_client", 7000215, "Invalid client secret provided."+trailer))
	failure := wantFailure(t, t.Context(), b, SetUpWrong, "")
	want := "no access token for " + testAccount + ": " + failure.Text +
		" (trace ID 255d1aef-8c98-452f-ac51-23d051240864, correlation ID fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7)"
	if failure.Error() != want {
		t.Errorf("got  %s\nwant %s", failure, want)
	}
}

// Nothing goes to the place that a redirect names.
func TestRedirectIsNotFollowed(t *testing.T) {
	visited := false
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, part := range []string{"document", "token"} {
			t.Run(fmt.Sprintf("%d for the %s", status, part), func(t *testing.T) {
				e := newEntra()
				b := newTestBroker(t, e, e.listen(t), &logBuffer{})
				redirect := plain(status, "", "Location", elsewhere.URL)
				if part == "document" {
					e.document = redirect
				} else {
					e.answer(redirect)
				}
				wantFailure(t, t.Context(), b, TryLater, "redirects elsewhere")
				if visited {
					t.Error("the redirect was followed")
				}
			})
		}
	}
}

func TestFaultsOfTheDocument(t *testing.T) {
	endpoint := func(token, issuer string) func(*entra) http.HandlerFunc {
		return func(e *entra) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				expand := func(s string) string { return strings.ReplaceAll(s, "HOST", e.host) }
				answerJSON(w, 200, map[string]any{"issuer": expand(issuer), "authorization_endpoint": e.authority(), "token_endpoint": expand(token)})
			}
		}
	}
	answers := func(h http.HandlerFunc) func(*entra) http.HandlerFunc {
		return func(*entra) http.HandlerFunc { return h }
	}
	tests := []struct {
		name     string
		document func(*entra) http.HandlerFunc
		class    Class
		words    string
	}{
		{"unknown tenant", answers(refusal(400, "invalid_tenant", 90002, "Tenant not found.")), SetUpWrong, "no such tenant"},
		{"not found", answers(plain(404, "")), SetUpWrong, "no Entra ID tenant at this address"},
		{"throttled", answers(plain(429, "")), TryLater, "too many requests"},
		{"not JSON", answers(plain(200, "<html>")), TryLater, "not one of Entra ID's"},
		{"empty JSON", answers(plain(200, "{}")), TryLater, "check the authority and the tenant"},
		{"foreign issuer", endpoint("https://HOST/t", "https://evil.example/t"), TryLater, "check the authority and the tenant"},
		{"token endpoint elsewhere", endpoint("https://evil.example/t", "https://HOST/t"), SetUpWrong, "a host that isn't its own"},
		{"token endpoint without TLS", endpoint("http://HOST/t", "https://HOST/t"), SetUpWrong, "is not an https address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := newEntra()
			b := newTestBroker(t, e, e.listen(t), &logBuffer{})
			e.document = test.document(e)
			wantFailure(t, t.Context(), b, test.class, test.words)
			if e.requests() != 0 {
				t.Error("the secret was sent")
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	e := newEntra()
	trusting := e.listen(t)
	server := httptest.NewServer(http.NotFoundHandler())
	plainHost := server.Listener.Addr().String()
	defer server.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closedHost := closed.Listener.Addr().String()
	closed.Close()

	tests := []struct {
		name, authority string
		client          *http.Client
		words           string
	}{
		{"unknown root", e.authority(), NewHTTPClient(x509.NewCertPool()), "add that proxy's root to ca_file"},
		{"certificate for another name", strings.Replace(e.authority(), "127.0.0.1", "localhost", 1), trusting, "for another name"},
		{"nobody listens", "https://" + closedHost + "/t", trusting, "connection refused"},
		{"not TLS", "https://" + plainHost + "/t", trusting, "a web server answers there"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app := e.app()
			app.Authority = test.authority
			b, err := NewBroker([]Account{{Name: testAccount, App: app}}, Options{HTTPClient: test.client})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			wantFailure(t, t.Context(), b, TryLater, test.words)
		})
	}
}

// Each cause, as Go's network code wraps it.
func TestExplainNetwork(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"expired certificate", &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}}}, "if this machine's clock is wrong, set it"},
		{"end of file", io.EOF, "closed before the answer"},
		{"unknown", errors.New("raw text with " + testToken), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, got := explainNetwork(fmt.Errorf("server response error:\n %w", test.err))
			if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A secret short enough to pass for a word is found all the same.
func TestAnswerRepeatsTheSecret(t *testing.T) {
	tests := []struct {
		name   string
		answer tokenError
		hidden bool
	}{
		{"in the first sentence", tokenError{Description: "The secret p&ss w%rd is wrong."}, true},
		{"across the end of it", tokenError{Description: "The secret p&ss w%rd. Trace ID:"}, true},
		{"encoded", tokenError{Description: "The secret p%26ss+w%25rd is wrong."}, true},
		{"in base64", tokenError{Description: "The secret cCZzcyB3JXJk= is wrong."}, true},
		{"in the name", tokenError{Error: "p&ss w%rd", Description: "Wrong."}, true},
		{"nowhere", tokenError{Description: "The secret is wrong."}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := test.answer.words([]wire.Secret{wire.NewSecret("other"), wire.NewSecret("p&ss w%rd")})
			if strings.Contains(got, "p&ss") || strings.Contains(got, "p%26ss") || strings.Contains(got, "isn't shown") != test.hidden {
				t.Errorf("got %q", got)
			}
			if got := test.answer.words([]wire.Secret{{}}); strings.Contains(got, "isn't shown") {
				t.Errorf("with no secret: %q", got)
			}
		})
	}
}

func TestQuotable(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Something new is wrong", "Something new is wrong"},
		{"controls and line ends", "a\x00b\r\nc\x1b[31m\td", "a b c [31m d"},
		{"not UTF-8", "a\xffb", "a b"},
		{"invisible and bidirectional marks", "a\u202eb\u200bc", "a b c"},
		{"a token", "sent eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJ here", "sent ... here"},
		{"a GUID", "app 66666666-7777-8888-9999-000000000000 here", "app 66666666-7777-8888-9999-000000000000 here"},
		{"long", strings.Repeat("wörds ", 100), strings.Repeat("wörds ", 33) + "wö"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := quotable(test.in)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// FuzzAnswer: whatever comes from the token endpoint, it ends in a token or in
// an error that repeats neither the answer nor the secret.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"token_type":"Bearer","expires_in":3599,"access_token":"x"}`, "")
	f.Add(200, `{"expires_on":"2026-01-02 03:04:05","access_token":"x","scope":"a b"}`, "")
	f.Add(400, `{"error":"invalid_grant","error_description":"AADSTS50076: Due to","error_codes":[50076],"trace_id":"x"}`, "5")
	f.Add(401, `{"error":"`+testSecret+`","error_description":". `+testSecret+`. Trace ID:"}`, "Fri, 31 Dec 1999 23:59:59 GMT")
	f.Add(429, "Too Many Requests", "-9223372036854775808")
	f.Fuzz(func(t *testing.T, status int, body, retryAfter string) {
		if status < 100 || status > 999 {
			return
		}
		e := newEntra()
		e.answer(plain(status, body, "Retry-After", retryAfter))
		source := &application{app: e.app(), client: guarded(e.client())}
		_, failure := source.fetch(t.Context())
		if failure == nil {
			return
		}
		if failure.Text == "" || len([]rune(failure.Text)) > 300 || strings.Contains(failure.Error(), testSecret) {
			t.Errorf("unfit to show: %q", failure.Error())
		}
		if wait := pause(failure, 1); wait <= 0 || wait > maxRetryAfter*11/10 {
			t.Errorf("a pause of %v", wait)
		}
	})
}

package tokens

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const managedHeader = "header-that-must-stay-hidden"

// machine is a stand-in for the endpoint of App Service, on plain HTTP.
type machine struct {
	*httptest.Server
	query  url.Values
	asked  int
	answer http.HandlerFunc
}

func newMachine(t *testing.T) *machine {
	m := &machine{answer: grant(testToken, 4500)}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.asked++
		m.query = r.URL.Query()
		if r.Header.Get("X-IDENTITY-HEADER") != managedHeader {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		m.answer(w, r)
	}))
	t.Cleanup(m.Close)
	t.Setenv("IDENTITY_ENDPOINT", m.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", managedHeader)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // which must not be asked
	return m
}

// managedBroker returns a broker for the identity; "" is the machine's own.
func managedBroker(t *testing.T, clientID string, log *logBuffer) *Broker {
	t.Helper()
	app := App{Flow: FlowManagedIdentity, Scopes: []string{testScope}, ManagedIdentityClientID: clientID}
	b, err := NewBroker([]Account{{Name: testAccount, App: app}}, Options{Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestManagedIdentity(t *testing.T) {
	for name, clientID := range map[string]string{"system-assigned": "", "user-assigned": testClientID} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			b := managedBroker(t, clientID, &logBuffer{})
			wantToken(t, b, testToken)
			if m.query.Get("resource") != "https://outlook.office365.com" || m.query.Get("client_id") != clientID {
				t.Errorf("asked for %v", m.query)
			}
		})
	}
}

// MSAL keeps these tokens for the whole process. A token that was refused must
// not come from there again, not even for another broker.
func TestManagedIdentityIsAskedEachTime(t *testing.T) {
	m := newMachine(t)
	b := managedBroker(t, "", &logBuffer{})
	wantToken(t, b, testToken)
	token, _ := b.Token(t.Context(), testAccount)
	m.answer = grant("fresh", 4500)
	if err := b.Refused(t.Context(), testAccount, token.Value); err != nil {
		t.Errorf("no retry: %v", err)
	}
	wantToken(t, b, "fresh")
	m.answer = grant("of another broker", 4500)
	wantToken(t, managedBroker(t, "", &logBuffer{}), "of another broker")
	if m.asked != 3 {
		t.Errorf("asked %d times", m.asked)
	}
}

func TestFaultsOfTheManagedIdentity(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		class  Class
		words  string
	}{
		{"unknown to a virtual machine", plain(400, `{"error":"invalid_request","error_description":"Identity not found"}`), SetUpWrong, "no such managed identity (status 400): assign one to it, and check managed_identity_client_id"},
		{"unknown to App Service", plain(400, `{"statusCode":400,"message":"No User Assigned identity found. More."}`), SetUpWrong, "no such managed identity (status 400)"},
		{"not ready", plain(404, ""), TryLater, "a fault (status 404)"},
		{"429 with Retry-After", plain(429, "", "Retry-After", "120"), TryLater, "a fault (status 429)"},
		{"500 with a token in it", plain(500, `{"error":"`+testToken+`"}`), TryLater, "a fault (status 500)"},
		{"redirect", plain(302, "", "Location", "http://elsewhere.example/"), TryLater, "a fault (status 302)"},
		{"garbage", plain(200, "<html>"+testToken), TryLater, "can't be used"},
		{"no expires_in", plain(200, `{"access_token":"`+testToken+`"}`), TryLater, "can't be used"},
		{"no token", grant("", 4500), TryLater, "holds no access token"},
		{"oversized", plain(200, strings.Repeat(" ", maxBody+1)), TryLater, "can't be used"},
		{"cut short", plain(200, `{"acc`, "Content-Length", "100"), TryLater, "can't be reached: the connection was closed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, log := newMachine(t), &logBuffer{}
			m.answer = test.answer
			b := managedBroker(t, "", log)
			failure := wantFailure(t, t.Context(), b, test.class, test.words)
			wantNoTrace(t, "the error", fmtAll(failure)+log.String())
			if m.asked != 1 {
				t.Errorf("asked %d times: retrying is the broker's work", m.asked)
			}
			if strings.Contains(test.name, "Retry-After") && failure.RetryAfter < 2*time.Minute {
				t.Errorf("a retry in %v", failure.RetryAfter)
			}
		})
	}
}

func TestNoManagedIdentityHere(t *testing.T) {
	m := newMachine(t)
	m.Close()
	b := managedBroker(t, "", &logBuffer{})
	wantFailure(t, t.Context(), b, TryLater, "it exists only on machines in Azure")
	wantState(t, b, StateUnreachable, "the managed identity's endpoint can't be reached", "tried again")
}

func TestManagedIdentityOfTheWrongKind(t *testing.T) {
	newMachine(t)
	t.Setenv("IDENTITY_ENDPOINT", "")
	t.Setenv("MSI_ENDPOINT", "http://127.0.0.1:1/") // Cloud Shell
	wantFailure(t, t.Context(), managedBroker(t, testClientID, &logBuffer{}), SetUpWrong, "user-assigned managed identities")
}

package tokens

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"oauthproxy/internal/wire"
)

const (
	testTenant   = "contoso.example"
	testClientID = "66666666-7777-8888-9999-000000000000"
	testScope    = "https://outlook.office365.com/.default"
	testSecret   = "s3cr3t~with&odd=signs%and/more+of.them"
	testToken    = "eyJ0eXAiOiJKV1Qi.access-token-that-must-stay-hidden.c2lnbmF0dXJl"
	testAccount  = "scanner@contoso.example"
)

// entra is a stand-in for Entra ID: the two requests that a client with a
// secret makes. It answers over TLS on loopback, or in process as a
// RoundTripper, where a test's time is virtual.
type entra struct {
	host string // of the authority

	mu       sync.Mutex
	asked    int // token requests
	form     map[string][]string
	token    http.HandlerFunc
	document http.HandlerFunc
	others   map[string]http.HandlerFunc // by path
}

// newEntra starts the stand-in in process. It grants a token for 75 minutes.
func newEntra() *entra {
	e := &entra{host: "login.example", token: grant(testToken, 4500)}
	e.document = func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]any{
			"issuer":                 e.authority() + "/v2.0",
			"authorization_endpoint": e.authority() + "/oauth2/v2.0/authorize",
			"token_endpoint":         e.authority() + "/oauth2/v2.0/token",
		})
	}
	return e
}

// listen moves the stand-in to a TLS listener and returns a client that
// trusts it.
func (e *entra) listen(t testing.TB) *http.Client {
	t.Helper()
	server := httptest.NewUnstartedServer(e)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	e.host = server.Listener.Addr().String()
	return NewHTTPClient(server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
}

func (e *entra) authority() string { return "https://" + e.host + "/" + testTenant }

func (e *entra) app() App {
	return App{
		Authority: e.authority(), ClientID: testClientID, Flow: FlowClientSecret, Scopes: []string{testScope},
		ClientSecret: func() (wire.Secret, error) { return wire.NewSecret(testSecret), nil },
	}
}

// answer replaces the token endpoint.
func (e *entra) answer(h http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.token = h
}

// requests is how many token requests came in.
func (e *entra) requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

func (e *entra) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	document, token, other := e.document, e.token, e.others[r.URL.Path]
	e.mu.Unlock()
	switch r.URL.Path {
	case "/" + testTenant + "/v2.0/.well-known/openid-configuration":
		document(w, r)
	case "/" + testTenant + "/oauth2/v2.0/token":
		_ = r.ParseForm()
		e.mu.Lock()
		e.asked++
		e.form = r.PostForm
		e.mu.Unlock()
		token(w, r)
	default:
		if other == nil {
			other = http.NotFound
		}
		other(w, r)
	}
}

// serve adds a page of the stand-in.
func (e *entra) serve(path string, h http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.others == nil {
		e.others = map[string]http.HandlerFunc{}
	}
	e.others[path] = h
}

// sent returns a field of the last token request.
func (e *entra) sent(field string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.form[field], " ")
}

// RoundTrip answers in process. The handler sees the request's context, as a
// server would see the connection go.
func (e *entra) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != e.host {
		return nil, fmt.Errorf("a request to %s, and nobody but %s was to be asked", r.URL.Host, e.host)
	}
	recorder := httptest.NewRecorder()
	e.ServeHTTP(recorder, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if recorder.Header().Get("Cut") != "" {
		return nil, io.ErrUnexpectedEOF
	}
	return recorder.Result(), nil
}

func (e *entra) client() *http.Client { return &http.Client{Transport: e} }

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// grant answers with a token that lives for the given number of seconds.
func grant(token string, seconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
		})
	}
}

// plain answers with text.
func plain(status int, text string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

// refusal answers as Entra ID does when it refuses; code 0 leaves the numbers out.
func refusal(status int, name string, code int, description string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body := map[string]any{
			"error":             name,
			"error_description": description,
			"trace_id":          "255d1aef-8c98-452f-ac51-23d051240864",
			"correlation_id":    "fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7",
		}
		if code != 0 {
			body["error_codes"] = []int{code}
			body["error_description"] = fmt.Sprintf("AADSTS%d: %s", code, description)
		}
		answerJSON(w, status, body)
	}
}

// hang answers nothing until the client gives up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// reset breaks the connection.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(interface{ NetConn() net.Conn }); ok {
		_ = tcp.NetConn().(*net.TCPConn).SetLinger(0)
		_ = tcp.NetConn().Close()
	}
	_ = conn.Close()
}

// logBuffer is a log to be read by a test.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// newTestBroker returns a broker with the one account testAccount.
func newTestBroker(t testing.TB, e *entra, client *http.Client, log *logBuffer) *Broker {
	t.Helper()
	b, err := NewBroker([]Account{{Name: testAccount, App: e.app()}}, Options{HTTPClient: client, Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func wantToken(t *testing.T, b *Broker, want string) {
	t.Helper()
	token, err := b.Token(t.Context(), testAccount)
	if err != nil {
		t.Fatalf("no token: %v", err)
	}
	if token.Value.Reveal() != want {
		t.Fatal("another token than expected")
	}
	if left := time.Until(token.Expires); left <= 0 {
		t.Fatalf("the token ended %v ago", -left)
	}
}

// wantFailure asks for a token and wants an error of the class, with the words.
func wantFailure(t *testing.T, ctx context.Context, b *Broker, class Class, words string) *Error {
	t.Helper()
	token, err := b.Token(ctx, testAccount)
	failure, ok := err.(*Error)
	if !ok || token != (Token{}) {
		t.Fatalf("got %v, %v, want an *Error and no token", token, err)
	}
	if failure.Class != class {
		t.Errorf("class %q, want %q: %v", failure.Class, class, failure)
	}
	if !strings.Contains(failure.Text, words) {
		t.Errorf("text %q, want %q", failure.Text, words)
	}
	if failure.Account != testAccount {
		t.Errorf("account %q", failure.Account)
	}
	return failure
}

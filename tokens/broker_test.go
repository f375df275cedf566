package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
)

func TestNewBrokerRefuses(t *testing.T) {
	good := newEntra().app()
	with := func(change func(*App)) App {
		app := good
		change(&app)
		return app
	}
	tests := []struct {
		name string
		app  App
		want string
	}{
		{"plain http", with(func(a *App) { a.Authority = "http://login.example/t" }), "must be an https address"},
		{"no tenant", with(func(a *App) { a.Authority = "https://login.example/" }), "with a tenant"},
		{"no host", with(func(a *App) { a.Authority = "contoso" }), "must be an https address"},
		{"no client ID", with(func(a *App) { a.ClientID = "" }), "client ID is missing"},
		{"no scope", with(func(a *App) { a.Scopes = nil }), "no scope"},
		{"unknown flow", with(func(a *App) { a.Flow = "magic" }), `the flow "magic" isn't built in`},
		{"no secret", with(func(a *App) { a.ClientSecret = nil }), "client secret is missing"},
		{"no certificate", with(func(a *App) { a.Flow = FlowCertificate }), "certificate is missing"},
		{"no federated token", with(func(a *App) { a.Flow = FlowWorkloadIdentity }), "federated token is missing"},
		{"no scope of its own", with(func(a *App) { a.Flow, a.Scopes = FlowBrowser, []string{"openid", "offline_access", "Profile"} }), "no scope"},
		{"a tenant of many", with(func(a *App) { a.Authority = "https://login.example/Organizations/" }), "needs a tenant of its own, not Organizations"},
		{"managed identity, no scope", with(func(a *App) { a.Flow, a.Scopes = FlowManagedIdentity, nil }), "no scope"},
		{"managed identity, two scopes", with(func(a *App) { a.Flow, a.Scopes = FlowManagedIdentity, []string{"a/.default", "b/.default"} }), "needs one scope"},
		{"managed identity, scope of a person", with(func(a *App) { a.Flow, a.Scopes = FlowManagedIdentity, []string{mailScope} }), "needs one scope that ends in /.default"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewBroker([]Account{{Name: "a@x", App: good}, {Name: "b@x", App: test.app}}, Options{})
			if err == nil || !strings.Contains(err.Error(), "account b@x: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	for _, tenant := range sharedTenants { // which people may use
		b, err := NewBroker([]Account{{Name: "a@x", App: with(func(a *App) { a.Flow, a.Authority = FlowBrowser, "https://login.example/"+tenant })}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
	}
	if _, err := NewBroker([]Account{{Name: "a@x", App: good}, {Name: "a@x", App: good}}, Options{}); err == nil {
		t.Error("one account twice was accepted")
	}
}

func TestTokenOverTLS(t *testing.T) {
	e, log := newEntra(), &logBuffer{}
	b := newTestBroker(t, e, e.listen(t), log)
	if e.requests() != 0 {
		t.Error("a token was asked for before anybody needed one")
	}
	for range 3 {
		wantToken(t, b, testToken)
	}
	if e.requests() != 1 {
		t.Errorf("%d token requests", e.requests())
	}
	want := map[string]string{"grant_type": "client_credentials", "client_id": testClientID, "client_secret": testSecret}
	for key, value := range want {
		if got := e.form[key]; len(got) != 1 || got[0] != value {
			t.Errorf("sent a wrong %s", key)
		}
	}
	if scope := strings.Join(e.form["scope"], " "); !strings.Contains(scope, testScope) {
		t.Errorf("scope %q", scope)
	}
	if strings.Count(log.String(), "access token obtained") != 1 {
		t.Errorf("log: %s", log)
	}
}

func TestUnknownAccount(t *testing.T) {
	b := newTestBroker(t, newEntra(), nil, &logBuffer{})
	_, err := b.Token(t.Context(), "nobody@x")
	var failure *Error
	if !errors.As(err, &failure) || failure.Class != SetUpWrong || failure.Account != "nobody@x" {
		t.Errorf("got %v", err)
	}
	if err := b.Refused(t.Context(), "nobody@x", wire.NewSecret("x")); err == nil {
		t.Error("a retry was allowed")
	}
}

func TestManySessionsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		proceed := make(chan struct{})
		e.answer(func(w http.ResponseWriter, r *http.Request) {
			<-proceed
			grant(testToken, 4500)(w, r)
		})
		b := newTestBroker(t, e, e.client(), &logBuffer{})
		defer b.Close()
		var sessions sync.WaitGroup
		for range 50 {
			sessions.Go(func() {
				if token, err := b.Token(t.Context(), testAccount); err != nil || token.Value.Reveal() != testToken {
					t.Errorf("no token: %v", err)
				}
			})
		}
		synctest.Wait() // all fifty wait
		if e.requests() != 1 {
			t.Errorf("%d token requests under way", e.requests())
		}
		close(proceed)
		sessions.Wait()
		if e.requests() != 1 {
			t.Errorf("%d token requests", e.requests())
		}
	})
}

// The session that caused the request leaves; the request goes on for others.
func TestFirstWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		proceed := make(chan struct{})
		e.answer(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-proceed:
				grant(testToken, 4500)(w, r)
			case <-r.Context().Done():
			}
		})
		b := newTestBroker(t, e, e.client(), &logBuffer{})
		defer b.Close()
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := b.Token(ctx, testAccount); first <- err }()
		synctest.Wait()
		go func() { _, err := b.Token(t.Context(), testAccount); second <- err }()
		synctest.Wait()
		cancel()
		var failure *Error
		if err := <-first; !errors.Is(err, context.Canceled) || !errors.As(err, &failure) || failure.Class != TryLater {
			t.Errorf("the first got %v", err)
		}
		close(proceed)
		if err := <-second; err != nil {
			t.Errorf("the second got %v", err)
		}
		if e.requests() != 1 {
			t.Errorf("%d token requests", e.requests())
		}
	})
}

func TestCloseEndsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, log := newEntra(), &logBuffer{}
		e.answer(hang)
		b := newTestBroker(t, e, e.client(), log)
		result := make(chan error, 1)
		go func() { _, err := b.Token(t.Context(), testAccount); result <- err }()
		synctest.Wait()
		b.Close()
		if err := <-result; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("the waiter got %v", err)
		}
		if e.requests() != 1 || log.String() != "" {
			t.Errorf("%d requests, log %q", e.requests(), log)
		}
	})
}

// sourceFunc is a source for tests.
type sourceFunc func(ctx context.Context) (Token, *Error)

func (f sourceFunc) fetch(ctx context.Context) (Token, *Error) { return f(ctx) }

// Close waits for a request that doesn't heed it, and none begins afterwards.
func TestCloseWaits(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, _ *entra, b *Broker) {
		landed := 0
		b.entries[testAccount].source = sourceFunc(func(context.Context) (Token, *Error) {
			time.Sleep(time.Second)
			landed++
			return Token{Value: wire.NewSecret(testToken), Expires: time.Now().Add(life)}, nil
		})
		go func() { _, _ = b.Token(t.Context(), testAccount) }()
		synctest.Wait()
		b.Close()
		if landed != 1 {
			t.Error("Close returned before the request had landed")
		}
		time.Sleep(2 * life)
		wantFailure(t, t.Context(), b, TryLater, "shutting down")
		synctest.Wait()
		if landed != 1 {
			t.Error("a request began after Close")
		}
	})
}

// idleCloser is a transport that counts calls of CloseIdleConnections.
type idleCloser struct {
	http.RoundTripper
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestCloseClosesIdleConnections(t *testing.T) {
	transport := &idleCloser{}
	b := newTestBroker(t, newEntra(), &http.Client{Transport: transport}, &logBuffer{})
	b.Close()
	if transport.closed != 1 {
		t.Errorf("called %d times", transport.closed)
	}
}

func TestHangingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		e.answer(hang)
		b := newTestBroker(t, e, e.client(), &logBuffer{})
		defer b.Close()
		start := time.Now()
		wantFailure(t, t.Context(), b, TryLater, "no answer in time")
		if took := time.Since(start); took != requestTimeout {
			t.Errorf("took %v", took)
		}
	})
}

// A secret file that was repaired works without a restart.
func TestSecretIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		e.answer(func(w http.ResponseWriter, r *http.Request) {
			if r.PostFormValue("client_secret") != testSecret {
				refusal(http.StatusUnauthorized, "invalid_client", 7000222, "The provided client secret keys are expired.")(w, r)
				return
			}
			grant(testToken, 4500)(w, r)
		})
		file, fault := "", error(nil)
		app := e.app()
		app.ClientSecret = func() (wire.Secret, error) { return wire.NewSecret(file), fault }
		b, err := NewBroker([]Account{{Name: testAccount, App: app}}, Options{HTTPClient: e.client()})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		fault = errors.New("open devices.secret: permission denied")
		failure := wantFailure(t, t.Context(), b, SetUpWrong, "can't be read: open devices.secret: permission denied")
		if !errors.Is(failure, fault) {
			t.Error("the cause is lost")
		}
		time.Sleep(failure.RetryAfter)
		fault = nil
		time.Sleep(wantFailure(t, t.Context(), b, SetUpWrong, "the client secret is empty").RetryAfter)
		file = "the old one"
		failure = wantFailure(t, t.Context(), b, SetUpWrong, "the client secret has expired (AADSTS7000222): create a new one in Entra ID")
		if failure.AADSTS != 7000222 {
			t.Errorf("code %d", failure.AADSTS)
		}
		file = testSecret
		// Not at once, but soon.
		wantFailure(t, t.Context(), b, SetUpWrong, "the client secret has expired")
		if requests := e.requests(); requests != 1 {
			t.Errorf("%d requests", requests)
		}
		time.Sleep(failure.RetryAfter)
		wantToken(t, b, testToken)
	})
}

func TestAccountsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		var accounts []Account
		for i := range 3 {
			accounts = append(accounts, Account{Name: fmt.Sprintf("%d@x", i), App: e.app()})
		}
		b, err := NewBroker(accounts, Options{HTTPClient: e.client()})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for range 2 {
			for _, account := range accounts {
				if _, err := b.Token(t.Context(), account.Name); err != nil {
					t.Error(err)
				}
			}
		}
		if e.requests() != 3 {
			t.Errorf("%d token requests for 3 accounts", e.requests())
		}
	})
}

func BenchmarkToken(b *testing.B) {
	e := newEntra()
	broker := newTestBroker(b, e, e.client(), &logBuffer{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := broker.Token(context.Background(), testAccount); err != nil {
				b.Error(err)
				return
			}
		}
	})
	if e.requests() != 1 {
		b.Errorf("%d token requests", e.requests())
	}
}

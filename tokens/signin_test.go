package tokens

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A request made for the old sign-in lands after a new one: what it brings is
// nobody's any more.
func TestSignInOvertakesARenewal(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		time.Sleep(life)
		proceed := make(chan struct{})
		h.answer(func(w http.ResponseWriter, r *http.Request) {
			if r.PostFormValue("grant_type") == "refresh_token" {
				<-proceed
				alice.grant("stale", "stale-refresh", 4500)(w, r)
				return
			}
			alice.grant("new", "new-refresh", 4500)(w, r)
		})
		waiter := make(chan Token, 1)
		go func() { token, _ := b.Token(t.Context(), testAccount); waiter <- token }()
		synctest.Wait()
		mustSignIn(t, b)
		if token := <-waiter; token.Value.Reveal() != "new" {
			t.Error("who waited for the old request didn't get the new token")
		}
		close(proceed)
		synctest.Wait()
		wantToken(t, b, "new")
		if h.shelf.has(testAccount, "stale") || !h.shelf.has(testAccount, "new-refresh") {
			t.Error("the old request's tokens were stored")
		}
	})
}

func TestSignOut(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		time.Sleep(life)
		proceed := make(chan struct{})
		h.answer(func(w http.ResponseWriter, r *http.Request) {
			<-proceed
			alice.grant("stale", "stale-refresh", 4500)(w, r)
		})
		waiter := make(chan error, 1)
		go func() { _, err := b.Token(t.Context(), testAccount); waiter <- err }()
		synctest.Wait()
		h.shelf.change(func() { h.shelf.deleteErr = errors.New("read-only file system") })
		if err := b.SignOut(testAccount); err == nil ||
			err.Error() != "not signed out of "+testAccount+", its sign-in can't be removed: read-only file system" {
			t.Errorf("got %v", err)
		}
		wantState(t, b, StateReady, "", "")
		h.shelf.change(func() { h.shelf.deleteErr = nil })
		if err := b.SignOut(testAccount); err != nil {
			t.Fatal(err)
		}
		if err := <-waiter; err == nil || !strings.Contains(err.Error(), "nobody has signed in") {
			t.Errorf("who waited got %v", err)
		}
		close(proceed)
		synctest.Wait()
		wantFailure(t, t.Context(), b, PersonNeeded, "nobody has signed in")
		if len(h.shelf.blobs) != 0 {
			t.Error("something is left in the store")
		}
		if status := wantState(t, b, StateSignIn, "nobody", "login"); status.SignedInAs != "" || !status.RefreshedAt.IsZero() {
			t.Errorf("status %+v", status)
		}
		h.answer(alice.grant("again", testRefresh, 4500))
		mustSignIn(t, b)
		wantToken(t, b, "again")
	})
}

func TestSignOutWithoutAPerson(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, _ *entra, b *Broker) {
		wantToken(t, b, "token-1")
		if err := b.SignOut(testAccount); err != nil {
			t.Fatal(err)
		}
		wantToken(t, b, "token-2")
	})
}

// Without a person there is nothing to sign in, but before the first token
// nobody knows whether there will be one: that is told.
func TestReadyBeforeTheFirstToken(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantState(t, b, StateReady, "no access token has been fetched yet", "to try it now, run: oauthproxy login "+testAccount)
		e.answer(plain(503, "down"))
		_ = wantFailure(t, t.Context(), b, TryLater, "503")
		wantState(t, b, StateUnreachable, "503", "nothing to do, it is tried again")
		e.answer(grant(testToken, 4500))
		time.Sleep(maxPause)
		wantToken(t, b, testToken)
		wantState(t, b, StateReady, "", "")
		time.Sleep(life) // unused, it is left to end
		wantState(t, b, StateReady, "", "")
	})
}

func TestUnknownAccountSigns(t *testing.T) {
	b := newTestBroker(t, newEntra(), nil, &logBuffer{})
	var failure *Error
	if _, err := b.SignIn(t.Context(), "nobody@x", nil); !errors.As(err, &failure) || failure.Class != SetUpWrong {
		t.Errorf("in: %v", err)
	}
	if err := b.SignOut("nobody@x"); err == nil || err.Error() != "not signed out of nobody@x: there is no such account" {
		t.Errorf("out: %v", err)
	}
	if _, found := b.Account("nobody@x"); found {
		t.Error("found")
	}
}

// SignIn of an account without a person fetches a token at once, whatever
// failed a moment ago.
func TestSignInWithoutAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		e.answer(refusal(401, "invalid_client", 7000222, "The provided client secret keys are expired."))
		b := newTestBroker(t, e, e.client(), &logBuffer{})
		defer b.Close()
		wantRefusedSignIn(t, b, nil, SetUpWrong, "the client secret has expired")
		e.answer(grant(testToken, 4500))
		status, err := b.SignIn(t.Context(), testAccount, nil)
		if err != nil || status.State != StateReady || status.TokenExpires.IsZero() || status.SignedInAs != "" {
			t.Errorf("%+v, %v", status, err)
		}
		wantRequests(t, e, 2)
		if _, err := b.SignIn(t.Context(), testAccount, nil); err != nil {
			t.Error(err)
		}
		wantRequests(t, e, 3) // a fresh one each time
	})
}

func TestWrongPerson(t *testing.T) {
	tests := []struct {
		name  string
		who   identity
		words string
	}{
		{"another", identity{"bob@contoso.example", "b0b", testTenantID}, "bob@contoso.example signed in, but this account needs " + testPerson},
		{"a guest", identity{"bob_fabrikam.example#EXT#@contoso.onmicrosoft.example", "b0b", testTenantID},
			"bob_fabrikam.example#EXT#@contoso.onmicrosoft.example signed in"},
		{"nobody", identity{"", "b0b", testTenantID}, "Entra ID doesn't say who signed in"},
		{"a name to break a terminal", identity{"\x1b[31m" + strings.Repeat("x", 100), "b0b", testTenantID}, "... signed in, but this account needs"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house, b *Broker) {
				h.answer(test.who.grant("wrong", "wrong-refresh", 4500))
				wantRefusedSignIn(t, b, aliceHerself, PersonNeeded, test.words)
				if h.shelf.has(testAccount, "wrong") || !h.shelf.has(testAccount, testRefresh+"-1") {
					t.Error("the old sign-in wasn't kept")
				}
				wantToken(t, b, aliceToken(1))
				wantState(t, b, StateReady, "", "")
			})
		})
	}
}

func TestSignInAsIsComparedWithoutCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		b := h.openFor(t, Account{Name: strings.ToUpper(testPerson), App: h.app})
		defer b.Close()
		h.serve("/common/UserRealm/"+strings.ToUpper(testPerson), h.others["/common/UserRealm/"+testPerson])
		status, err := b.SignIn(t.Context(), strings.ToUpper(testPerson), aliceHerself)
		if err != nil || status.SignedInAs != testPerson {
			t.Errorf("%+v, %v", status, err)
		}
	})
}

func TestWrongTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		configured := "11111111-2222-4333-8444-555555555555"
		h.app.Authority = "https://" + h.host + "/" + configured
		h.serve("/"+configured+"/v2.0/.well-known/openid-configuration", h.document)
		b := h.open(t)
		defer b.Close()
		wantRefusedSignIn(t, b, aliceHerself, PersonNeeded, `in tenant "`+testTenantID+`", but `+configured+" is configured")
		h.answer(identity{testPerson, "a", strings.ToUpper(configured)}.grant(testToken, testRefresh, 4500))
		mustSignIn(t, b)
		h.answer(identity{testPerson, "a", testTenantID}.grant("other", "other-refresh", 4500))
		time.Sleep(life)
		wantFailure(t, t.Context(), b, TryLater, "or another tenant")
	})
}

func TestNoRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.answer(func(w http.ResponseWriter, _ *http.Request) {
			body := alice.answer(testToken, "", 4500)
			delete(body, "refresh_token")
			answerJSON(w, 200, body)
		})
		b := h.open(t)
		defer b.Close()
		wantRefusedSignIn(t, b, aliceHerself, SetUpWrong, "no refresh token")
	})
}

func TestPasswordFaults(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		person *person
		class  Class
		words  string
	}{
		{"wrong password", refusal(400, "invalid_grant", 50126, "Invalid username or password."), aliceHerself, PersonNeeded, "user name or password is wrong"},
		{"second factor", refusal(400, "invalid_grant", 50076, "Due to a configuration change."), aliceHerself, SetUpWrong, "use the flow browser or device_code"},
		{"nobody at the keyboard", hang, &person{}, PersonNeeded, "no password was given"},
		{"unknown number that repeats it", refusal(400, "invalid_grant", 4711, "Wrong: "+testPassword), aliceHerself, PersonNeeded, "isn't shown"},
		{"hang", hang, aliceHerself, TryLater, "no answer in time"},
		{"reset", func(http.ResponseWriter, *http.Request) {}, aliceHerself, TryLater, "can't be used"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				h.answer(test.answer)
				b := h.open(t)
				defer b.Close()
				wantRefusedSignIn(t, b, test.person, test.class, test.words)
				wantState(t, b, StateSignIn, "nobody has signed in", "")
			})
		})
	}
}

func TestOneSignInAtATime(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		h.answer(hang)
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { _, err := b.SignIn(ctx, testAccount, aliceHerself); first <- err }()
		synctest.Wait()
		wantRefusedSignIn(t, b, aliceHerself, TryLater, "somebody is signing in for this account already")
		wantToken(t, b, aliceToken(1)) // meanwhile
		cancel()
		var failure *Error
		if err := <-first; !errors.As(err, &failure) || !errors.Is(err, context.Canceled) || !strings.Contains(failure.Text, "given up") {
			t.Errorf("got %v", err)
		}
		h.answer(alice.grant("again", testRefresh, 4500))
		mustSignIn(t, b)
	})
}

func TestCloseEndsASignIn(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		h.answer(hang)
		result := make(chan error, 1)
		go func() { _, err := b.SignIn(t.Context(), testAccount, aliceHerself); result <- err }()
		synctest.Wait()
		b.Close()
		if err := <-result; err == nil || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("got %v", err)
		}
		wantRefusedSignIn(t, b, aliceHerself, TryLater, "shutting down")
	})
}

func TestUnknownDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.serve("/common/UserRealm/"+testPerson, func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, 200, map[string]string{"account_type": "Unknown", "cloud_instance_name": "x", "cloud_audience_urn": "urn:x", "domain_name": "x"})
		})
		b := h.open(t)
		defer b.Close()
		wantRefusedSignIn(t, b, aliceHerself, SetUpWrong, "doesn't know the domain of "+testPerson)
	})
}

// The answer to a refresh token may leave out whom it is about.
func TestRenewalNamesNobody(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		h.answer(func(w http.ResponseWriter, _ *http.Request) {
			body := alice.answer("anonymous", testRefresh, 4500)
			delete(body, "id_token")
			answerJSON(w, 200, body)
		})
		time.Sleep(life)
		wantToken(t, b, "anonymous")
	})
}

// An access token that ends as it comes is no reason to lose the sign-in.
func TestSignInWithATokenThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.answer(alice.grant("ended", testRefresh, 0))
		b := h.open(t)
		defer b.Close()
		if status := mustSignIn(t, b); status.State != StateReady || !status.TokenExpires.IsZero() {
			t.Errorf("status %+v", status)
		}
		h.answer(alice.grant("fresh", testRefresh, 4500))
		wantToken(t, b, "fresh")
	})
}

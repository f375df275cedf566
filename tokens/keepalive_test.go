package tokens

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A second process takes up what the first one stored; nothing is asked for
// while the access token is good, even where Entra ID is away.
func TestRestart(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		b.Close()
		signedIn := time.Now()
		h.answer(hang)
		time.Sleep(time.Minute)
		restarted := h.open(t)
		defer restarted.Close()
		status := wantState(t, restarted, StateReady, "", "")
		if status.SignedInAs != testPerson || !status.RefreshedAt.Equal(signedIn) {
			t.Errorf("status %+v", status)
		}
		wantToken(t, restarted, aliceToken(1))
		wantRequests(t, h.entra, 1)
		// From here on as ever: it is in use, and is renewed.
		h.answer(alice.grantNumbered(4500))
		time.Sleep(renewed)
		wantRequests(t, h.entra, 2)
		if h.sent("refresh_token") != testRefresh+"-1" {
			t.Error("the stored refresh token wasn't used")
		}
	})
}

func TestRestartAfterTheEnd(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		b.Close()
		time.Sleep(60 * 24 * time.Hour)
		restarted := h.open(t)
		defer restarted.Close()
		wantRequests(t, h.entra, 1)
		if status := wantState(t, restarted, StateReady, "", ""); !status.TokenExpires.IsZero() {
			t.Errorf("a token that ended is shown: %+v", status)
		}
		wantToken(t, restarted, aliceToken(2))
		wantRequests(t, h.entra, 2)
	})
}

// A stored token serves to its last second while Entra ID is away, also one
// that MSAL, which keeps none with less than five minutes to live, has dropped
// long ago.
func TestRestartNearTheEnd(t *testing.T) {
	tests := []struct {
		name         string
		life, unused time.Duration
	}{
		{"four minutes left", life, life - 4*time.Minute},
		{"a second left", life, life - time.Second},
		{"a token of two minutes", 2 * time.Minute, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				h.answer(alice.grantNumbered(int(test.life / time.Second)))
				b := h.open(t)
				mustSignIn(t, b)
				b.Close()
				time.Sleep(test.unused)
				h.answer(plain(503, "down"))
				restarted := h.open(t)
				defer restarted.Close()
				start := time.Now()
				wantToken(t, restarted, aliceToken(1))
				if took := time.Since(start); took != 0 {
					t.Errorf("it took %v", took)
				}
				time.Sleep(test.life - test.unused)
				wantFailure(t, t.Context(), restarted, TryLater, "a fault (status 503)")
			})
		})
	}
}

// A token that was asked for with other scopes isn't used with the new ones.
func TestRestartWithOtherScopes(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		b.Close()
		h.app.Scopes = []string{mailScope, "https://outlook.office.com/SMTP.Send"}
		h.answer(func(w http.ResponseWriter, _ *http.Request) {
			body := alice.answer("wider", testRefresh, 4500)
			body["scope"] = strings.Join(h.app.Scopes, " ")
			answerJSON(w, 200, body)
		})
		b = h.open(t)
		defer b.Close()
		wantToken(t, b, "wider")
		wantRequests(t, h.entra, 2)
	})
}

// Where the server wants tokens renewed early, MSAL would do so whenever it is
// asked for the one it has.
func TestRestartAfterTheServersOwnTimeOfRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.answer(func(w http.ResponseWriter, _ *http.Request) {
			body := alice.answer(testToken, testRefresh, 4500)
			body["refresh_in"] = 60
			answerJSON(w, 200, body)
		})
		b := h.open(t)
		mustSignIn(t, b)
		b.Close()
		time.Sleep(10 * time.Minute)
		h.answer(hang)
		start := time.Now()
		restarted := h.open(t)
		defer restarted.Close()
		wantToken(t, restarted, testToken)
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
		wantRequests(t, h.entra, 1)
	})
}

// Unused for a year, a sign-in stays good: it is renewed by its age.
func TestRenewedByAge(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		for range 52 {
			before, _ := b.Account(testAccount)
			time.Sleep(renewEvery + tendEvery)
			after, _ := b.Account(testAccount)
			if !after.RefreshedAt.After(before.RefreshedAt) {
				t.Fatal("not renewed within the week")
			}
		}
		if requests := h.requests(); requests < 53 || requests > 62 {
			t.Errorf("%d token requests in a year", requests)
		}
		wantToken(t, b, aliceToken(h.requests()+1)) // the last one has ended
	})
}

// An outage in the week of the renewal is waited for, without a storm.
func TestRenewalByAgeIsRetried(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		h.answer(plain(503, "down"))
		time.Sleep(renewEvery + 24*time.Hour)
		if requests := h.requests(); requests < 24 || requests > 50 {
			t.Errorf("%d requests in the day or two of the outage", requests)
		}
		wantState(t, b, StateUnreachable, "Entra ID has a fault (status 503)", "it is tried again")
		h.answer(alice.grantNumbered(4500))
		time.Sleep(2 * tendPause)
		wantState(t, b, StateReady, "", "")
	})
}

// Thousands of accounts that are due together are renewed one after the other.
func TestRenewalsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		var accounts []Account
		for i := range 3 * tendAtMost {
			accounts = append(accounts, Account{Name: string(rune('A'+i)) + "@x", SignInAs: testPerson, App: h.app})
		}
		b := h.openFor(t, accounts...)
		for _, account := range accounts {
			if _, err := b.SignIn(t.Context(), account.Name, aliceHerself); err != nil {
				t.Fatal(err)
			}
		}
		b.Close()
		time.Sleep(30 * 24 * time.Hour)
		b = h.openFor(t, accounts...)
		defer b.Close()
		begin := h.requests()
		for i := range 3 {
			time.Sleep(tendEvery)
			synctest.Wait()
			if got := h.requests() - begin; got != (i+1)*tendAtMost {
				t.Errorf("round %d: %d requests in all", i+1, got)
			}
		}
		time.Sleep(24 * time.Hour)
		wantRequests(t, h.entra, begin+len(accounts))
	})
}

// The tenant is written in another way, by its ID instead of its domain: the
// access token isn't found under that name, but the refresh token is.
func TestRestartWithAnotherNameOfTheTenant(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		b.Close()
		h.serve("/"+testTenantID+"/v2.0/.well-known/openid-configuration", h.document)
		h.app.Authority = "https://" + h.host + "/" + testTenantID
		for i := range 3 {
			b = h.open(t)
			wantToken(t, b, aliceToken(2))
			wantRequests(t, h.entra, 2)
			if status := wantState(t, b, StateReady, "", ""); status.SignedInAs != testPerson {
				t.Errorf("restart %d: status %+v", i+1, status)
			}
			b.Close()
		}
	})
}

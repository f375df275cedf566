package tokens

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// wantNotRenewed wants an error of the class.
func wantNotRenewed(t *testing.T, b *Broker, class Class) *Error {
	t.Helper()
	_, err := b.Renew(t.Context(), testAccount)
	failure, ok := err.(*Error)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if failure.Class != class || failure.Account != testAccount {
		t.Errorf("class %q of account %q, want %q", failure.Class, failure.Account, class)
	}
	return failure
}

// The refresh token is redeemed while the access token has long to live.
func TestRenewForAPerson(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		status, err := b.Renew(t.Context(), testAccount)
		if err != nil || status.State != StateReady || status.SignedInAs != testPerson {
			t.Fatalf("%v, %+v", err, status)
		}
		wantRequests(t, h.entra, 2)
		if h.sent("grant_type") != "refresh_token" || h.sent("refresh_token") != testRefresh+"-1" {
			t.Error("the refresh token wasn't redeemed")
		}
		wantToken(t, b, aliceToken(2))
	})
}

func TestRenewForAnApplication(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		if _, err := b.Renew(t.Context(), testAccount); err != nil {
			t.Fatal(err)
		}
		wantToken(t, b, "token-2")
		wantRequests(t, e, 2)
	})
}

// A sign-in that has ended is told, and not asked for again; the tokens there
// are stay.
func TestRenewAfterARevocation(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		h.answer(refusal(400, "invalid_grant", 50173, "The grant has been revoked."))
		for range 2 {
			if failure := wantNotRenewed(t, b, PersonNeeded); failure.AADSTS != 50173 {
				t.Errorf("AADSTS%d", failure.AADSTS)
			}
			wantToken(t, b, aliceToken(1))
		}
		wantRequests(t, h.entra, 2)
		if !h.shelf.has(testAccount, testRefresh) {
			t.Error("the sign-in was thrown away")
		}
	})
}

func TestRenewWithoutASignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		b := h.open(t)
		defer b.Close()
		wantNotRenewed(t, b, PersonNeeded)
		wantRequests(t, h.entra, 0)
	})
}

// Only a pause of Entra's is kept: who has mended something wants to see whether
// that helped.
func TestRenewAfterAFailure(t *testing.T) {
	tests := map[string]struct {
		answer   http.HandlerFunc
		class    Class
		requests int
	}{
		"Entra ID asks for a pause": {plain(429, "", "Retry-After", "300"), TryLater, 2},
		"a fault":                   {plain(503, ""), TryLater, 3},
		"a wrong secret":            {refusal(401, "invalid_client", 7000215, "Invalid client secret."), SetUpWrong, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house, b *Broker) {
				h.answer(test.answer)
				wantNotRenewed(t, b, test.class)
				time.Sleep(100 * time.Millisecond)
				wantNotRenewed(t, b, test.class)
				wantRequests(t, h.entra, test.requests)
				time.Sleep(10 * time.Minute)
				h.answer(alice.grant("afterwards", testRefresh, 4500))
				if _, err := b.Renew(t.Context(), testAccount); err != nil {
					t.Error(err)
				}
				wantToken(t, b, "afterwards")
			})
		})
	}
}

// A request under way serves all who want one; each may leave before its end.
func TestRenewTogether(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		answer := make(chan struct{})
		h.answer(func(w http.ResponseWriter, r *http.Request) {
			<-answer
			alice.grant("renewed", testRefresh, 4500)(w, r)
		})
		ended := make(chan error)
		for range 3 {
			go func() {
				_, err := b.Renew(t.Context(), testAccount)
				ended <- err
			}()
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Renew(impatient, testAccount); err == nil {
			t.Error("no error for who has left")
		}
		close(answer)
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		wantRequests(t, h.entra, 2)
		wantToken(t, b, "renewed")
	})
}

func TestRenewOfNobody(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, _ *entra, b *Broker) {
		if _, err := b.Renew(t.Context(), "nobody"); err == nil {
			t.Error("no error")
		}
	})
}

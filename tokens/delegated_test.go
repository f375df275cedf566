package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
)

func TestNobodyHasSignedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		b := h.open(t)
		defer b.Close()
		failure := wantFailure(t, t.Context(), b, PersonNeeded, "nobody has signed in")
		if failure.RetryAfter != 0 {
			t.Errorf("a retry in %v, but only a person helps", failure.RetryAfter)
		}
		wantState(t, b, StateSignIn, "nobody has signed in", "run: oauthproxy login "+testAccount)
		time.Sleep(30 * 24 * time.Hour)
		wantFailure(t, t.Context(), b, PersonNeeded, "nobody has signed in")
		wantRequests(t, h.entra, 0)
	})
}

func TestSignInAndRenewals(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		status := wantState(t, b, StateReady, "", "")
		if status.TokenExpires.IsZero() || time.Since(status.RefreshedAt) > time.Second || status.Flow != FlowPassword || status.Unsaved {
			t.Errorf("status %+v", status)
		}
		if h.sent("grant_type") != "password" || h.sent("username") != testPerson || h.sent("password") != testPassword {
			t.Error("the password wasn't sent for alice")
		}
		if scope := h.sent("scope"); strings.Count(scope, "offline_access") != 1 || !strings.Contains(scope, mailScope) {
			t.Errorf("scope %q", scope)
		}
		wantToken(t, b, aliceToken(1))
		wantRequests(t, h.entra, 1)
		for i := 2; i < 5; i++ {
			time.Sleep(renewed)
			wantRequests(t, h.entra, i)
			wantToken(t, b, aliceToken(i))
			if h.sent("grant_type") != "refresh_token" || h.sent("refresh_token") != testRefresh+"-"+strconv.Itoa(i-1) {
				t.Errorf("renewal %d didn't use the newest refresh token", i)
			}
			if !h.shelf.has(testAccount, aliceToken(i)) || h.shelf.has(testAccount, testPassword) {
				t.Error("the store hasn't the newest tokens, or has the password")
			}
		}
	})
}

// What only a person can mend is asked for once, and never again until somebody
// has signed in; the token there is goes on being used.
func TestRevoked(t *testing.T) {
	revocations := []struct {
		name  string
		code  int
		class Class
		words string
	}{
		{"by a new password", 50173, PersonNeeded, "the sign-in was revoked"},
		{"unused for 90 days", 700082, PersonNeeded, "90 days"},
		{"by a policy of sign-in frequency", 70043, PersonNeeded, "from time to time"},
		{"a second factor is needed now", 50076, PersonNeeded, "a second factor is needed"},
		{"for a reason that is new", 4711, PersonNeeded, "AADSTS4711"},
	}
	for _, test := range revocations {
		t.Run(test.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house, b *Broker) {
				wantToken(t, b, aliceToken(1))
				h.answer(refusal(400, "invalid_grant", test.code, "It has been refused."))
				time.Sleep(renewed)
				wantRequests(t, h.entra, 2)
				wantToken(t, b, aliceToken(1))
				status := wantState(t, b, StateSignIn, test.words, "run: oauthproxy login "+testAccount)
				if !strings.Contains(status.Text, "the access token there is ends at") || status.SignedInAs != testPerson {
					t.Errorf("status %+v", status)
				}
				time.Sleep(life)
				for range 100 {
					wantFailure(t, t.Context(), b, test.class, test.words)
					time.Sleep(time.Hour)
				}
				time.Sleep(100 * 24 * time.Hour)
				wantRequests(t, h.entra, 2)
				if !h.shelf.has(testAccount, testRefresh) {
					t.Error("the sign-in was thrown away")
				}
				h.answer(alice.grant("afterwards", testRefresh, 4500))
				mustSignIn(t, b)
				wantToken(t, b, "afterwards")
				wantState(t, b, StateReady, "", "")
			})
		})
	}
}

// What an administrator can mend is tried again by itself.
func TestConsentWithdrawn(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		h.answer(refusal(400, "invalid_grant", 65001, "The user or administrator has not consented."))
		time.Sleep(life)
		failure := wantFailure(t, t.Context(), b, AdministratorNeeded, "nobody has consented")
		wantState(t, b, StateAdministrator, "nobody has consented", "when that is mended, run: oauthproxy login")
		time.Sleep(failure.RetryAfter)
		h.answer(alice.grant("afterwards", testRefresh, 4500))
		wantToken(t, b, "afterwards")
	})
}

// A faulty answer costs neither the sign-in nor the token there is.
func TestFaultsOfARenewal(t *testing.T) {
	bob := identity{"bob@contoso.example", "b0b00000-0000-4000-8000-000000000002", testTenantID}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		class  Class
		words  string
	}{
		{"429", plain(429, "Too Many Requests"), TryLater, "too many requests"},
		{"429 with Retry-After", plain(429, "Too Many Requests", "Retry-After", "300"), TryLater, "too many requests"},
		{"500", plain(500, ""), TryLater, "a fault (status 500)"},
		{"503", plain(503, "<html>"), TryLater, "a fault (status 503)"},
		{"hang", hang, TryLater, "no answer in time"},
		{"garbage", plain(200, "\x00garbage"), TryLater, "not one of Entra ID's"},
		{"truncated", plain(200, `{"token_type":"Bearer","access_token":"`+testToken), TryLater, "not one of Entra ID's"},
		{"no expires_in", plain(200, `{"access_token":"`+testToken+`","refresh_token":"`+testRefresh+`"}`), TryLater, "not one of Entra ID's"},
		{"ended already", alice.grant("ended", testRefresh, 0), TryLater, "was to end at"},
		{"of another person", bob.grant("bobs", "bobs-refresh", 4500), TryLater, "doesn't fit the sign-in of " + testPerson},
		{"of another person, without ID token", func(w http.ResponseWriter, _ *http.Request) {
			body := bob.answer("bobs", "bobs-refresh", 4500)
			delete(body, "id_token")
			answerJSON(w, 200, body)
		}, TryLater, "doesn't fit the sign-in of " + testPerson},
		{"without client_info", func(w http.ResponseWriter, _ *http.Request) {
			body := alice.answer("alices", testRefresh, 4500)
			delete(body, "client_info")
			answerJSON(w, 200, body)
		}, TryLater, "doesn't fit the sign-in of " + testPerson},
		{"revoked, in a fault", refusal(503, "invalid_grant", 50173, "The grant was revoked."), TryLater, "Entra ID refused: AADSTS50173"},
		{"revoked, throttled", refusal(429, "invalid_grant", 50173, "The grant was revoked."), TryLater, "Entra ID refused: AADSTS50173"},
		{"other scopes", func(w http.ResponseWriter, _ *http.Request) {
			body := alice.answer("other", testRefresh, 4500)
			body["scope"] = "https://outlook.office365.com/IMAP.AccessAsUser.All"
			answerJSON(w, 200, body)
		}, SetUpWrong, "other scopes than were asked for"},
		{"unknown tenant", refusal(400, "invalid_request", 90002, "Tenant not found."), SetUpWrong, "no such tenant"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house, b *Broker) {
				wantToken(t, b, aliceToken(1))
				h.answer(test.answer)
				time.Sleep(renewed + requestTimeout)
				wantToken(t, b, aliceToken(1))
				wantState(t, b, stateOf(test.class), test.words, "")
				time.Sleep(life - renewed - requestTimeout)
				failure := wantFailure(t, t.Context(), b, test.class, test.words)
				if h.shelf.has(testAccount, "bobs") {
					t.Error("somebody else's token was stored")
				}
				if test.class == PersonNeeded {
					return
				}
				h.answer(alice.grant("afterwards", testRefresh, 4500))
				time.Sleep(max(failure.RetryAfter, maxPause+maxPause/10))
				wantToken(t, b, "afterwards")
			})
		})
	}
}

// An access token shorter than five minutes is never in MSAL's cache; each
// renewal uses the newest refresh token.
func TestShortTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.answer(alice.grantNumbered(120))
		b := h.open(t)
		defer b.Close()
		mustSignIn(t, b)
		for range 10 {
			before := h.requests()
			time.Sleep(2 * time.Minute)
			if _, err := b.Token(t.Context(), testAccount); err != nil {
				t.Fatal(err)
			}
			if h.requests() == before || h.sent("refresh_token") != fmt.Sprintf("%s-%d", testRefresh, h.requests()-1) {
				t.Error("not renewed with the newest refresh token")
			}
		}
	})
}

func TestRefusedByTheUpstream(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		token, _ := b.Token(t.Context(), testAccount)
		if err := b.Refused(t.Context(), testAccount, token.Value); err != nil {
			t.Errorf("no retry: %v", err)
		}
		wantToken(t, b, aliceToken(2))
	})
}

// Where only a sign-in brings a fresh token, who asks after a refusal hears so.
func TestRefusedAndRevoked(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		wantToken(t, b, aliceToken(1))
		h.answer(refusal(400, "invalid_grant", 50173, "The provided grant has expired due to it being revoked."))
		for range 3 {
			err := b.Refused(t.Context(), testAccount, wire.NewSecret(aliceToken(1)))
			var failure *Error
			if !errors.As(err, &failure) || failure.Class != PersonNeeded || failure.AADSTS != 50173 {
				t.Errorf("got %v", err)
			}
			wantToken(t, b, aliceToken(1))
		}
		wantRequests(t, h.entra, 2)
	})
}

// The session's end is not the request's: the next session finds the token.
func TestSessionLeavesARenewal(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		time.Sleep(life)
		proceed := make(chan struct{})
		h.answer(func(w http.ResponseWriter, r *http.Request) {
			<-proceed
			alice.grant("fresh", testRefresh, 4500)(w, r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { _, err := b.Token(ctx, testAccount); result <- err }()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(proceed)
		wantToken(t, b, "fresh")
		wantRequests(t, h.entra, 2)
	})
}

func TestSecretsOfASignInPrintAsStars(t *testing.T) {
	in := &signedIn{SignedInAs: testPerson, Tokens: tokenCache(`{"x":"` + testRefresh + `"}`), AccessToken: accessToken{Token{Value: wire.NewSecret(testToken)}}}
	log := &logBuffer{}
	log.logger().Info("shown", "in", in, "cache", in.Tokens, "token", in.AccessToken)
	answer := redirect{Code: wire.NewSecret(testToken)}
	for _, text := range []string{log.String(), fmtAll(in), fmtAll(*in), fmtAll(in.Tokens), fmtAll(in.AccessToken), fmtAll(answer)} {
		wantNoTrace(t, "the print", text)
	}
}

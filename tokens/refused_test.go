package tokens

import (
	"context"
	"net/http"
	"testing"
	"time"

	"oauthproxy/internal/wire"
)

func TestRefused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		refused := func(name, token string, want bool) {
			t.Helper()
			if err := b.Refused(t.Context(), testAccount, wire.NewSecret(token)); (err == nil) != want {
				t.Errorf("%s: retry %v, want %v: %v", name, err == nil, want, err)
			}
		}
		wantToken(t, b, "token-1")
		refused("the first time", "token-1", true)
		refused("another session with the same one", "token-1", true)
		wantToken(t, b, "token-2")
		refused("a late session with the old one", "token-1", true)
		refused("the fresh one", "token-2", false)
		wantToken(t, b, "token-2") // it stays
		time.Sleep(replaceEvery - time.Nanosecond)
		refused("within five minutes", "token-2", false)
		time.Sleep(time.Nanosecond)
		refused("after five minutes", "token-2", true)
		wantToken(t, b, "token-3")
		wantRequests(t, e, 3)
	})
}

// Fifty sessions are refused at once: one token is fetched.
func TestManySessionsRefused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		for range 50 {
			go func() {
				if err := b.Refused(context.Background(), testAccount, wire.NewSecret("token-1")); err != nil {
					t.Errorf("no retry: %v", err)
				}
				if token, err := b.Token(context.Background(), testAccount); err != nil || token.Value.Reveal() != "token-2" {
					t.Errorf("no fresh token: %v", err)
				}
			}()
		}
		wantRequests(t, e, 2)
	})
}

// A token that is refused while its renewal is under way is replaced by that.
func TestRefusedDuringRenewal(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		proceed := make(chan struct{})
		e.answer(func(w http.ResponseWriter, r *http.Request) {
			<-proceed
			grant("token-2", 4500)(w, r)
		})
		sleepUntilDue(b, 0)
		wantRequests(t, e, 2)
		wantToken(t, b, "token-1")
		go close(proceed)
		if err := b.Refused(t.Context(), testAccount, wire.NewSecret("token-1")); err != nil {
			t.Errorf("no retry: %v", err)
		}
		wantToken(t, b, "token-2")
		wantRequests(t, e, 2)
	})
}

// While Entra ID is away a refused token is given out as before: another
// upstream may take it. Asking goes on in the background.
func TestRefusedDuringAnOutage(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"fault":          plain(http.StatusServiceUnavailable, "down"),
		"throttled":      plain(http.StatusTooManyRequests, "", "Retry-After", "30"),
		"hangs":          hang,
		"secret expired": refusal(401, "invalid_client", 7000222, "The provided client secret keys are expired."),
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
				wantToken(t, b, "token-1")
				e.answer(fault)
				for range 3 {
					if b.Refused(t.Context(), testAccount, wire.NewSecret("token-1")) == nil {
						t.Error("a retry without a fresh token")
					}
					wantToken(t, b, "token-1")
				}
				wantRequests(t, e, 2)
				e.answer(grant("token-2", 4500))
				time.Sleep(2 * maxPause)
				wantToken(t, b, "token-2")
				wantRequests(t, e, 3)
			})
		})
	}
}

// A token that is the same again is no fresh one.
func TestRefusedAndGivenAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		e.answer(grant("the only one", 4500))
		wantToken(t, b, "the only one")
		for range 3 {
			if b.Refused(t.Context(), testAccount, wire.NewSecret("the only one")) == nil {
				t.Error("a retry with the same token")
			}
		}
		wantRequests(t, e, 2)
	})
}

// A session that is refused waits for the fresh token, but not longer than it
// wants to; others go on with the old one meanwhile.
func TestRefusedSessionLeaves(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *entra, b *Broker) {
		wantToken(t, b, "token-1")
		e.answer(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if b.Refused(ctx, testAccount, wire.NewSecret("token-1")) == nil || time.Since(start) != time.Second {
			t.Errorf("left after %v", time.Since(start))
		}
		wantToken(t, b, "token-1")
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %v", took)
		}
	})
}

package tokens

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
)

func TestWorkloadIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		var file atomic.Value // a string
		b := openApp(t, e, App{Authority: e.authority(), ClientID: testClientID, Flow: FlowWorkloadIdentity, Scopes: []string{testScope},
			FederatedToken: func() (wire.Secret, error) { return wire.NewSecret(file.Load().(string)), nil }})
		defer b.Close()
		file.Store("")
		time.Sleep(wantFailure(t, t.Context(), b, SetUpWrong, "the federated token is empty").RetryAfter)
		file.Store(testSecret)
		e.answer(refusal(400, "invalid_request", 700213, "No matching federated identity record found for presented assertion subject '"+testSecret+"'."))
		time.Sleep(wantFailure(t, t.Context(), b, SetUpWrong, "no federated credential of the application fits").RetryAfter)
		numbered(e, int(life/time.Second))
		wantToken(t, b, "token-1")
		for _, rotated := range []string{"second token of the cluster", "third token of the cluster"} {
			file.Store(rotated)
			time.Sleep(renewed)
			synctest.Wait()
			if e.sent("client_assertion") != rotated || e.sent("client_assertion_type") == "" {
				t.Error("the token's file wasn't read again")
			}
			_, _ = b.Token(t.Context(), testAccount)
		}
	})
}

func TestWorkloadTokenCannotBeRead(t *testing.T) {
	fault := errors.New("open token: no such file")
	e := newEntra()
	b := openApp(t, e, App{Authority: e.authority(), ClientID: testClientID, Flow: FlowWorkloadIdentity, Scopes: []string{testScope},
		FederatedToken: func() (wire.Secret, error) { return wire.Secret{}, fault }})
	failure := wantFailure(t, t.Context(), b, SetUpWrong, "the federated token can't be read: open token: no such file")
	if !errors.Is(failure, fault) || e.requests() != 0 {
		t.Errorf("got %v after %d requests", failure, e.requests())
	}
}

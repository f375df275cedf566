package tokens

import (
	"context"
	"fmt"
	"net/http"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"oauthproxy/internal/wire"
)

// clientSecret is the source of FlowClientSecret.
type clientSecret struct {
	app    App
	client *http.Client
}

// fetch makes a new MSAL client each time. MSAL keeps tokens by rules of its
// own and can't be told to renew one; a client without a past always asks.
// The price is one more request, for the tenant's endpoints, per token.
func (s *clientSecret) fetch(ctx context.Context) (Token, *Error) {
	secret, err := s.app.ClientSecret()
	if err != nil {
		return Token{}, &Error{Class: SetUpWrong, Text: fmt.Sprintf("the client secret can't be read: %v", err), Err: err}
	}
	if secret.IsEmpty() {
		return Token{}, &Error{Class: SetUpWrong, Text: "the client secret is empty: put the secret's Value into the client secret file"}
	}
	client, err := s.newClient(secret)
	if err != nil {
		return Token{}, &Error{Class: SetUpWrong, Text: fmt.Sprintf("the authority %q can't be used: check the tenant", s.app.Authority)}
	}
	result, err := client.AcquireTokenByCredential(ctx, s.app.Scopes)
	if err != nil {
		return Token{}, s.failure(err, secret)
	}
	return Token{Value: wire.NewSecret(result.AccessToken), Expires: result.ExpiresOn}, nil
}

// newClient leaves instance discovery out: it would ask Microsoft whether the
// authority is genuine, even where that is a private cloud, and the authority
// is the administrator's own choice.
func (s *clientSecret) newClient(secret wire.Secret) (confidential.Client, error) {
	credential, err := confidential.NewCredFromSecret(secret.Reveal())
	if err != nil {
		return confidential.Client{}, err
	}
	return confidential.New(s.app.Authority, s.app.ClientID, credential,
		confidential.WithHTTPClient(s.client), confidential.WithInstanceDiscovery(false))
}

// failure explains MSAL's error. Where Entra ID asks for a person, there is
// none in this flow, and the administrator has to act.
func (s *clientSecret) failure(err error, secret wire.Secret) *Error {
	failure := explain(err, secret)
	if failure.Class == PersonNeeded {
		failure.Class = AdministratorNeeded
	}
	return failure
}

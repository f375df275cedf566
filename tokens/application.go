package tokens

import (
	"context"
	"fmt"
	"net/http"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"oauthproxy/internal/wire"
)

// application is the source of the flows in which the application itself is
// known to Entra ID: the client credentials grant (RFC 6749 section 4.4).
type application struct {
	app    App
	client *http.Client
}

// fetch makes a new MSAL client each time. MSAL keeps tokens by rules of its
// own and can't be told to renew one; a client without a past always asks.
// The price is one more request, for the tenant's endpoints, per token.
func (s *application) fetch(ctx context.Context) (Token, *Error) {
	credential, secrets, failure := s.credential()
	if failure != nil {
		return Token{}, failure
	}
	// Instance discovery would ask Microsoft whether the authority is genuine,
	// even where that is a private cloud; the administrator has chosen it.
	client, err := confidential.New(s.app.Authority, s.app.ClientID, credential,
		confidential.WithHTTPClient(s.client), confidential.WithInstanceDiscovery(false))
	if err != nil {
		return Token{}, errAuthority(s.app.Authority)
	}
	result, err := client.AcquireTokenByCredential(ctx, s.app.Scopes)
	if err != nil {
		return Token{}, s.failure(err, secrets)
	}
	return newToken(result.AccessToken, result.ExpiresOn)
}

// credential reads what proves the application, afresh. The secrets are those
// that the request will hold.
func (s *application) credential() (confidential.Credential, []wire.Secret, *Error) {
	switch s.app.Flow {
	case FlowCertificate:
		return certificateCredential(s.app)
	case FlowWorkloadIdentity:
		return federatedCredential(s.app)
	}
	return secretCredential(s.app)
}

// failure explains MSAL's error. Where Entra ID asks for a person, there is
// none in these flows, and the administrator has to act.
func (s *application) failure(err error, secrets []wire.Secret) *Error {
	failure := explain(err, secrets...)
	if failure.Class == PersonNeeded {
		failure.Class = AdministratorNeeded
	}
	return failure
}

func errAuthority(authority string) *Error {
	return &Error{Class: SetUpWrong, Text: fmt.Sprintf("the authority %q can't be used: check the tenant", authority)}
}

// errUnreadable is for a credential that can't be read. Its cause is shown:
// the functions in App promise that it holds no secret.
func errUnreadable(flow Flow, err error) *Error {
	return &Error{Class: SetUpWrong, Text: fmt.Sprintf("the %s can't be read: %v", credentialNames[flow], err), Err: err}
}

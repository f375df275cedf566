package tokens

import (
	"context"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"oauthproxy/internal/wire"
)

// federatedCredential reads the token that another issuer, e.g. the cluster,
// has given to this workload. Such tokens are exchanged often: it is read at
// each request.
func federatedCredential(app App) (confidential.Credential, []wire.Secret, *Error) {
	token, err := app.FederatedToken()
	if err != nil {
		return confidential.Credential{}, nil, errUnreadable(app.Flow, err)
	}
	if token.IsEmpty() {
		return confidential.Credential{}, nil, &Error{Class: SetUpWrong,
			Text: "the federated token is empty: check federated_token_file, and that the workload gets its token there"}
	}
	assertion := func(context.Context, confidential.AssertionRequestOptions) (string, error) {
		return token.Reveal(), nil
	}
	return confidential.NewCredFromAssertionCallback(assertion), []wire.Secret{token}, nil
}

package tokens

import (
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"oauthproxy/internal/wire"
)

// secretCredential reads the client secret.
func secretCredential(app App) (confidential.Credential, []wire.Secret, *Error) {
	secret, err := app.ClientSecret()
	if err != nil {
		return confidential.Credential{}, nil, errUnreadable(app.Flow, err)
	}
	credential, err := confidential.NewCredFromSecret(secret.Reveal())
	if err != nil {
		return confidential.Credential{}, nil, &Error{Class: SetUpWrong,
			Text: "the client secret is empty: put the secret's Value into the client secret file"}
	}
	return credential, []wire.Secret{secret}, nil
}

// Package tokens obtains OAuth2 access tokens from Microsoft Entra ID and
// keeps them fresh.
//
// A Broker holds one access token per account, in memory. The first session
// that needs one causes the first request; from then on the token is renewed
// in the background, ahead of its end, for as long as somebody uses it.
//
// Accounts are of two kinds. Where the application itself may act, a secret, a
// certificate or the machine's identity is all it takes. Where it acts for a
// person, that person signs in once (Broker.SignIn); the sign-in is kept in a
// store and renewed by age, so that it doesn't end. The package knows nothing
// of what the tokens are for.
package tokens

import (
	"time"

	"oauthproxy/internal/wire"
)

// Flow names the way by which an application obtains its tokens.
type Flow string

// The flows in which a person signs in, once.
const (
	// FlowBrowser is the authorization code grant with PKCE (RFC 6749 section
	// 4.1, RFC 7636, RFC 8252): the person signs in with a browser that can
	// reach this machine, or pastes the address where it ends.
	FlowBrowser Flow = "browser"
	// FlowDeviceCode is the device authorization grant (RFC 8628): the person
	// enters a code on any other machine.
	FlowDeviceCode Flow = "device_code"
	// FlowPassword is the resource owner password grant (RFC 6749 section
	// 4.3). It is deprecated, and knows no second factor.
	FlowPassword Flow = "password"
)

// The flows in which the application itself is known to Entra ID.
const (
	// FlowClientSecret is the client credentials grant with a client secret
	// (RFC 6749 section 4.4).
	FlowClientSecret Flow = "client_secret"
	// FlowCertificate is that grant with an assertion signed by a
	// certificate's key (RFC 7523).
	FlowCertificate Flow = "certificate"
	// FlowWorkloadIdentity is that grant with a token of another issuer, e.g.
	// of a Kubernetes cluster, as the assertion.
	FlowWorkloadIdentity Flow = "workload_identity"
	// FlowManagedIdentity asks the Azure machine that the program runs on.
	FlowManagedIdentity Flow = "managed_identity"
)

// hasPerson tells whether a person signs in.
func (f Flow) hasPerson() bool {
	return f == FlowBrowser || f == FlowDeviceCode || f == FlowPassword
}

// App is an application registered in Entra ID. Its functions are called
// before every token request, so that a renewed file works without a restart;
// their errors are shown to people and must not hold the secret.
type App struct {
	// Authority is the https address of the tenant, e.g.
	// https://login.microsoftonline.com/contoso.onmicrosoft.com.
	// A managed identity has none.
	Authority string
	// ClientID is the application's identifier (a GUID).
	// A managed identity has none.
	ClientID string
	// Flow is the way to a token.
	Flow Flow
	// Scopes are what the token is to be good for, e.g.
	// https://outlook.office365.com/.default.
	Scopes []string
	// ClientSecret returns the secret of FlowClientSecret.
	ClientSecret func() (wire.Secret, error)
	// Certificate returns the certificate of FlowCertificate; see CertificateLoader.
	Certificate func() (Certificate, error)
	// FederatedToken returns the token that FlowWorkloadIdentity shows.
	FederatedToken func() (wire.Secret, error)
	// ManagedIdentityClientID names a user-assigned identity; "" is the
	// system-assigned one.
	ManagedIdentityClientID string
}

// Account is one holder of an access token.
type Account struct {
	// Name identifies the account to the broker, and to people in errors and logs.
	Name string
	// SignInAs is the address of the person who has to sign in; "" is Name.
	SignInAs string
	App      App
}

// person is the address of the person who has to sign in.
func (a Account) person() string {
	if a.SignInAs != "" {
		return a.SignInAs
	}
	return a.Name
}

// Token is an access token and the wall-clock time of its end.
type Token struct {
	Value   wire.Secret
	Expires time.Time
	// Obtained is when Entra ID gave it.
	Obtained time.Time
}

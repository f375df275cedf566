// Package tokens obtains OAuth2 access tokens from Microsoft Entra ID and
// keeps them fresh.
//
// A Broker holds one access token per account, in memory. The first session
// that needs one causes the first request; from then on the token is renewed
// in the background, ahead of its end, for as long as somebody uses it. The
// package knows nothing of what the tokens are for.
package tokens

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"oauthproxy/internal/wire"
)

// Flow names the way by which an application obtains its tokens.
type Flow string

// FlowClientSecret is the client credentials grant with a client secret
// (RFC 6749 section 4.4): no person takes part.
const FlowClientSecret Flow = "client_secret"

// App is an application registered in Entra ID.
type App struct {
	// Authority is the https address of the tenant, e.g.
	// https://login.microsoftonline.com/contoso.onmicrosoft.com.
	Authority string
	// ClientID is the application's identifier (a GUID).
	ClientID string
	// Flow is the way to a token.
	Flow Flow
	// ClientSecret returns the secret. It is called before every token
	// request, so that a renewed secret file works without a restart. Its
	// error is shown to people: it must not hold the secret.
	ClientSecret func() (wire.Secret, error)
	// Scopes are what the token is to be good for, e.g.
	// https://outlook.office365.com/.default.
	Scopes []string
}

// Account is one holder of an access token.
type Account struct {
	// Name identifies the account to the broker, and to people in errors and logs.
	Name string
	App  App
}

// Token is an access token and the wall-clock time of its end.
type Token struct {
	Value   wire.Secret
	Expires time.Time
}

// check finds what no token request could succeed with.
func (a App) check() error {
	authority, err := url.Parse(a.Authority)
	switch {
	case err != nil || authority.Scheme != "https" || authority.Host == "" || strings.Trim(authority.Path, "/") == "":
		return fmt.Errorf("the authority %q must be an https address with a tenant, e.g. https://login.microsoftonline.com/contoso.onmicrosoft.com", a.Authority)
	case a.ClientID == "":
		return errors.New("the client ID is missing")
	case len(a.Scopes) == 0:
		return errors.New("there is no scope to ask for")
	case a.Flow != FlowClientSecret:
		return fmt.Errorf("the flow %q isn't built in, only %s is", a.Flow, FlowClientSecret)
	case a.ClientSecret == nil:
		return errors.New("the client secret is missing")
	}
	return nil
}

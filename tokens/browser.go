package tokens

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"oauthproxy/internal/wire"
)

// byBrowser shows the address where to sign in, and waits until the browser
// comes back with a code, to our listener or by way of the person's clipboard.
//
// MSAL has a flow of this kind, but any stray request to its listener ends the
// sign-in, and it takes no pasted address.
func (s *delegated) byBrowser(ctx context.Context, d Dialog) (*signedIn, *Error) {
	kept := &memory{}
	msal, err := s.newClient(s.client, kept)
	if err != nil {
		return nil, s.explain(err)
	}
	end, err := listenForBrowser(rand.Text())
	if err != nil {
		return nil, &Error{Class: SetUpWrong, Text: "no port on this machine can be listened on for the browser: " + quotable(err.Error())}
	}
	defer end.close()
	verifier := rand.Text() + rand.Text() // RFC 7636 section 4.1: 43 to 128 characters
	address, failure := s.signInAddress(ctx, msal, end, verifier)
	if failure != nil {
		return nil, failure
	}
	d.Address(address)
	answer, failure := end.wait(ctx, d)
	if failure != nil {
		return nil, failure
	}
	in, failure := s.redeem(ctx, msal, kept, answer, end.redirectURI(), verifier)
	end.tell(in, failure)
	return in, failure
}

// signInAddress is where the person signs in. MSAL leaves out the scopes that
// it adds elsewhere, the state (RFC 6749 section 10.12) and PKCE (RFC 7636).
func (s *delegated) signInAddress(ctx context.Context, msal public.Client, end *browserEnd, verifier string) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	scopes := slices.Concat(s.account.App.Scopes, alwaysAsked)
	text, err := msal.AuthCodeURL(ctx, s.account.App.ClientID, end.redirectURI(), scopes, public.WithLoginHint(s.account.person()))
	if err != nil {
		return "", s.explain(err)
	}
	address, err := url.Parse(text)
	if err != nil || address.Scheme != "https" {
		return "", s.explain(errNotHTTPS)
	}
	if !isHome(address.Host, s.account.App.Authority) {
		return "", s.explain(errElsewhere)
	}
	challenge := sha256.Sum256([]byte(verifier))
	query := address.Query()
	query.Set("state", end.state)
	query.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
	query.Set("code_challenge_method", "S256")
	query.Set("response_mode", "query") // so that the address can be pasted
	address.RawQuery = query.Encode()
	return address.String(), nil
}

// redeem exchanges the code for tokens.
func (s *delegated) redeem(ctx context.Context, msal public.Client, kept *memory, answer redirect, redirectURI, verifier string) (*signedIn, *Error) {
	if answer.Failure != nil {
		return nil, answer.Failure
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	result, err := msal.AcquireTokenByAuthCode(ctx, answer.Code.Reveal(), redirectURI, s.account.App.Scopes, public.WithChallenge(verifier))
	if err != nil {
		return nil, s.explain(err, answer.Code, wire.NewSecret(verifier))
	}
	return s.admit(result, kept)
}

package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"oauthproxy/internal/wire"
)

// delegated is the source of the flows in which a person signs in: it redeems
// the refresh token that came with the sign-in.
//
// Each request is made by a new MSAL client with the kept cache. That costs a
// request for the tenant's endpoints, and leaves MSAL no rules of its own
// about what to keep and when to ask.
type delegated struct {
	account Account
	client  *http.Client
	store   Blobs // nil: memory alone
	log     *slog.Logger

	mu       sync.Mutex // never held during a request; held while the store saves
	current  *signedIn  // nil: nobody, or not loaded yet
	loaded   bool       // the store has told what it has
	unsaved  error      // why current isn't in the store; nil: it is
	renewAge time.Duration
}

// fetch redeems the refresh token. The newest one is kept: Entra ID gives one
// with each answer, and the older ones end sooner.
func (s *delegated) fetch(ctx context.Context) (Token, *Error) {
	old, failure := s.load()
	if failure != nil {
		return Token{}, failure
	}
	kept := &memory{begin: old.Tokens}
	result, err := s.silent(ctx, kept, old.Home)
	if err != nil {
		return Token{}, s.explain(err)
	}
	if failure := s.checkSame(result, kept.home, old); failure != nil {
		return Token{}, failure
	}
	token, failure := newToken(result.AccessToken, result.ExpiresOn)
	if failure != nil {
		return Token{}, failure
	}
	s.replace(old, s.newSignedIn(old.SignedInAs, old.Home, token, kept.end))
	return token, nil
}

// stored returns the access token in the store, if it is good still, and good
// for what the configuration asks for today.
func (s *delegated) stored(in *signedIn) (Token, bool) {
	app, token, now := s.account.App, in.AccessToken.Token, time.Now()
	token.Obtained = in.RefreshedAt
	fits := in.Authority == app.Authority && slices.Equal(in.Scopes, app.Scopes)
	return token, fits && !token.Value.IsEmpty() && !hasEnded(token, now) && token.Expires.Sub(now) <= maxLife
}

func (s *delegated) newSignedIn(as, home string, token Token, tokens tokenCache) *signedIn {
	app := s.account.App
	return &signedIn{
		SignedInAs: as, Home: home, ClientID: app.ClientID, RefreshedAt: time.Now().Round(0).UTC(), Tokens: tokens,
		AccessToken: accessToken{token}, Authority: app.Authority, Scopes: app.Scopes,
	}
}

// silent asks MSAL for a token without the person.
func (s *delegated) silent(ctx context.Context, kept *memory, home string) (public.AuthResult, error) {
	msal, err := s.newClient(s.client, kept)
	if err != nil {
		return public.AuthResult{}, err
	}
	accounts, err := msal.Accounts(ctx)
	if err != nil {
		return public.AuthResult{}, err
	}
	for _, account := range accounts {
		if account.HomeAccountID == home {
			return msal.AcquireTokenSilent(ctx, s.account.App.Scopes, public.WithSilentAccount(account))
		}
	}
	return public.AuthResult{}, errDamaged
}

// newClient leaves instance discovery out, as application.fetch does.
func (s *delegated) newClient(client *http.Client, kept *memory) (public.Client, error) {
	msal, err := public.New(s.account.App.ClientID, public.WithAuthority(s.account.App.Authority), public.WithCache(kept),
		public.WithHTTPClient(client), public.WithInstanceDiscovery(false))
	if err != nil {
		return public.Client{}, errBadAuthority
	}
	return msal, nil
}

var errBadAuthority = errors.New("the authority can't be used")

// signIn takes the person through the app's flow. What comes of it is not yet
// the account's.
func (s *delegated) signIn(ctx context.Context, d Dialog) (*signedIn, *Error) {
	switch s.account.App.Flow {
	case FlowBrowser:
		return s.byBrowser(ctx, d)
	case FlowDeviceCode:
		return s.byDeviceCode(ctx, d)
	}
	return s.byPassword(ctx, d)
}

// explain turns an error of MSAL's, or of what stands around it here, into ours.
func (s *delegated) explain(err error, secrets ...wire.Secret) *Error {
	switch {
	case errors.Is(err, errBadAuthority):
		return errAuthority(s.account.App.Authority)
	case errors.Is(err, errDamaged):
		return &Error{Class: PersonNeeded, Text: "the stored sign-in can't be used any more: sign in again"}
	// These are known by MSAL's words alone.
	case strings.HasPrefix(err.Error(), "no token found"):
		return &Error{Class: PersonNeeded, Text: "the stored sign-in doesn't fit this application or authority: sign in again"}
	case strings.Contains(err.Error(), "unknown account type"):
		return &Error{Class: SetUpWrong, Text: fmt.Sprintf("Entra ID doesn't know the domain of %s: check the address and the cloud", s.account.person())}
	}
	return explain(err, secrets...)
}

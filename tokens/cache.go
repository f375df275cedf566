package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"

	"oauthproxy/internal/wire"
)

// signedIn is a person's sign-in as it is kept in the store. It is never
// changed; each token request leads to a new one.
type signedIn struct {
	// SignedInAs is the person's address, Home what MSAL calls the account.
	SignedInAs string `json:"signed_in_as"`
	Home       string `json:"home_account_id"`
	// ClientID is the application that the person has signed in to.
	ClientID string `json:"client_id"`
	// RefreshedAt is when the refresh token was obtained.
	RefreshedAt time.Time  `json:"refreshed_at"`
	Tokens      tokenCache `json:"msal"`
	// AccessToken came with it, from Authority and for Scopes.
	AccessToken accessToken `json:"access_token,omitzero"`
	Authority   string      `json:"authority"`
	Scopes      []string    `json:"scopes"`
}

// LogValue is the person's address: as JSON, for the store, it holds the tokens.
func (in *signedIn) LogValue() slog.Value { return slog.StringValue(in.SignedInAs) }

// accessToken is a Token on its way to and from the store, the one place where
// it is written out.
type accessToken struct{ Token }

// keptToken is its form there.
type keptToken struct {
	Value   string    `json:"value"`
	Expires time.Time `json:"expires"`
}

// MarshalJSON writes the token itself.
func (t accessToken) MarshalJSON() ([]byte, error) {
	return json.Marshal(keptToken{t.Value.Reveal(), t.Expires.UTC()})
}

// UnmarshalJSON reads the token.
func (t *accessToken) UnmarshalJSON(data []byte) error {
	var kept keptToken
	err := json.Unmarshal(data, &kept)
	t.Token = Token{Value: wire.NewSecret(kept.Value), Expires: kept.Expires}
	return err
}

// LogValue returns ***, for log/slog.
func (t accessToken) LogValue() slog.Value { return slog.StringValue("***") }

// tokenCache is MSAL's cache in its JSON form: a refresh token, and more. It
// prints as ***.
type tokenCache []byte

func (c tokenCache) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// LogValue returns ***, for log/slog.
func (c tokenCache) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalJSON returns the JSON that it is.
func (c tokenCache) MarshalJSON() ([]byte, error) { return json.RawMessage(c).MarshalJSON() }

// UnmarshalJSON keeps the JSON as it is.
func (c *tokenCache) UnmarshalJSON(data []byte) error {
	return (*json.RawMessage)(c).UnmarshalJSON(data)
}

// errDamaged says that a stored sign-in isn't what the program once stored.
var errDamaged = errors.New("the stored sign-in is damaged")

// refreshOnly returns the cache without access tokens. With one there, MSAL
// returns it until five minutes before its end and can't be told otherwise;
// without, it redeems the refresh token. The access token is kept beside it.
func (c tokenCache) refreshOnly() (tokenCache, error) {
	var parts map[string]json.RawMessage
	if json.Unmarshal(c, &parts) != nil {
		return nil, errDamaged
	}
	delete(parts, "AccessToken")
	return json.Marshal(parts)
}

// canRefresh tells whether there is a refresh token.
func (c tokenCache) canRefresh() bool {
	var parts struct{ RefreshToken map[string]json.RawMessage }
	return json.Unmarshal(c, &parts) == nil && len(parts.RefreshToken) > 0
}

// home is what MSAL calls the account that the access token in the cache is of;
// there is at most one. It goes by the answer's client_info, and is "" where
// the answer names nobody.
func (c tokenCache) home() string {
	var parts struct {
		AccessToken map[string]struct {
			Home string `json:"home_account_id"`
		}
	}
	_ = json.Unmarshal(c, &parts) // what MSAL marshals is JSON
	for _, token := range parts.AccessToken {
		return token.Home
	}
	return ""
}

// memory is the cache of one MSAL client, which makes one request. MSAL's
// partition keys don't agree with each other for public clients; with one
// person per cache they don't matter.
type memory struct {
	begin tokenCache // what MSAL is to begin with; nil: nothing
	end   tokenCache // what it had in the end; nil: no answer was good
	home  string     // whose the answer was; "": it doesn't say
}

// Replace gives MSAL the cache, once: nobody else changes it.
func (m *memory) Replace(_ context.Context, into cache.Unmarshaler, _ cache.ReplaceHints) error {
	if m.begin == nil {
		return nil
	}
	begin := m.begin
	m.begin = nil
	if into.Unmarshal(begin) != nil {
		return errDamaged
	}
	return nil
}

// Export takes the cache over. It returns no error: with one MSAL would
// withhold the token that Entra ID has given.
func (m *memory) Export(_ context.Context, from cache.Marshaler, _ cache.ExportHints) error {
	if data, err := from.Marshal(); err == nil {
		m.home = tokenCache(data).home()
		m.end, _ = tokenCache(data).refreshOnly() // what MSAL marshals is JSON
	}
	return nil
}

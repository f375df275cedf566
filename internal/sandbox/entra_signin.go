package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// refreshTokenLife is how long a refresh token may lie unused.
const refreshTokenLife = 90 * 24 * time.Hour

// A signIn is one occasion at which a person let the application in. All
// refresh tokens come from one.
type signIn struct {
	app     *application
	person  *person
	scopes  scopes // that were asked for
	nonce   string // of the id_token
	refused int    // AADSTS: why its refresh tokens are no good any more; 0: they are
}

// refreshToken is one token of a sign-in. Using it gives another one, and
// takes nothing from it.
type refreshToken struct {
	signIn *signIn
	used   time.Time // or issued
}

// newRefreshToken returns a token for a sign-in.
func (e *entra) newRefreshToken(from *signIn) string {
	random := make([]byte, 750)
	rand.Read(random)
	token := "1.AX" + base64.RawURLEncoding.EncodeToString(random)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refreshTokens[token] = &refreshToken{signIn: from, used: time.Now()}
	return token
}

// grantSignIn answers a person's request with new tokens for some scopes.
func (e *entra) grantSignIn(w http.ResponseWriter, r *http.Request, from *signIn, sc scopes) {
	o := from.app.token
	o.app, o.Audience, o.Permissions = from.app, sc.audience(), append([]string{}, sc.names...)
	o.Opaque = o.Opaque || from.person.personal
	answer, err := e.accessToken(from.person, o)
	if err == nil && from.scopes.openID {
		answer.IDToken, err = e.idToken(r, from)
	}
	if err != nil {
		http.Error(w, "cannot sign the token", http.StatusInternalServerError)
		return
	}
	answer.Scope = sc.String()
	if from.scopes.offline {
		answer.RefreshToken = e.newRefreshToken(from)
	}
	if r.PostFormValue("client_info") == "1" {
		answer.ClientInfo = e.clientInfo(from.person)
	}
	e.sandbox.log.Info("token issued", "person", from.person.address, "expires_in", answer.ExpiresIn)
	writeJSON(w, http.StatusOK, answer)
}

// idToken tells the client who has signed in (OpenID Connect Core section 2).
func (e *entra) idToken(r *http.Request, from *signIn) (string, error) {
	p, issuer := from.person, e.sandbox.issuer
	now := time.Now()
	local, _, _ := strings.Cut(p.address, "@")
	c := map[string]any{
		"aud":                from.app.clientID,
		"iss":                e.base(r, p.tenantID(issuer)) + "/v2.0",
		"iat":                now.Unix(),
		"nbf":                now.Unix(),
		"exp":                now.Add(time.Hour).Unix(),
		"name":               local,
		"oid":                p.objectID,
		"preferred_username": p.address,
		"sub":                p.subject,
		"tid":                p.tenantID(issuer),
		"uti":                randomID(),
		"ver":                "2.0",
	}
	if from.nonce != "" {
		c["nonce"] = from.nonce
	}
	return signJWT(issuer.key, issuer.keyID, c)
}

// clientInfo is what MSAL makes the id of an account from.
func (e *entra) clientInfo(p *person) string {
	info, _ := json.Marshal(map[string]string{"uid": p.objectID, "utid": p.tenantID(e.sandbox.issuer)})
	return base64.RawURLEncoding.EncodeToString(info)
}

// signInPerson finds who signs in at a tenant. Nobody else can: a shared
// mailbox has no sign-in of its own, and an account of another tenant is
// unknown in this one.
func (e *entra) signInPerson(address, tenant string) (*person, error) {
	p := e.sandbox.person(address)
	switch {
	case p == nil:
		return nil, fmt.Errorf("nobody signs in as %s", address)
	case !p.belongsTo(tenant):
		return nil, fmt.Errorf("%s cannot sign in at %s", address, tenant)
	}
	return p, nil
}

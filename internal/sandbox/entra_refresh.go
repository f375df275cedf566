package sandbox

import (
	"cmp"
	"net/http"
	"strings"
	"time"
)

// refreshTokenGrant gives new tokens for a refresh token (RFC 6749 section 6).
// The old one stays valid.
func (e *entra) refreshTokenGrant(w http.ResponseWriter, r *http.Request) {
	sc, number := parseScopes(r.PostFormValue("scope"))
	if number != 0 {
		e.refuse(w, r, number)
		return
	}
	from, number := e.useRefreshToken(r)
	if number != 0 {
		e.refuse(w, r, number)
		return
	}
	if len(sc.names) == 0 {
		sc = from.scopes
	}
	e.grantSignIn(w, r, from, sc)
}

// useRefreshToken returns the sign-in behind a refresh token, or the AADSTS
// number that refuses it.
func (e *entra) useRefreshToken(r *http.Request) (from *signIn, number int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	token := e.refreshTokens[r.PostFormValue("refresh_token")]
	switch {
	case token == nil || token.signIn.app != e.app(r):
		return nil, 9002313
	case !token.signIn.person.belongsTo(r.PathValue("tenant")):
		return nil, 700005
	case token.signIn.refused != 0:
		return nil, token.signIn.refused
	case time.Since(token.used) >= cmp.Or(e.sandbox.opts.RefreshTokenLifetime, refreshTokenLife):
		return nil, 700082
	}
	token.used = time.Now()
	return token.signIn, 0
}

// EndSignIns refuses every refresh token that the person has got so far with
// an AADSTS number: 50173 the sign-in was revoked, 700082 the token was unused
// for 90 days, 70043 the policy wants a new sign-in, 65001 consent was
// withdrawn, 50076 a second factor is needed, or any other. The person may
// sign in again. After 65001 and 50076 the password alone is refused, too:
// after the first until the person has signed in in another way.
func (s *Sandbox) EndSignIns(address string, aadsts int) {
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	for _, token := range s.entra.refreshTokens {
		if strings.EqualFold(token.signIn.person.address, address) {
			token.signIn.refused = aadsts
		}
	}
	if p := s.person(address); p != nil && (aadsts == consentMissing || aadsts == secondFactorNeeded) {
		s.entra.passwordRefused[p] = aadsts
	}
}

package sandbox

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// codeLife is how long an authorization code is good.
const codeLife = 10 * time.Minute

// authorizationCode is what the browser brings the client (RFC 6749 section
// 4.1.2).
type authorizationCode struct {
	authorization
	person   *person
	issued   time.Time
	redeemed bool
}

func (e *entra) newCode(a authorization, p *person) string {
	random := make([]byte, 300)
	rand.Read(random)
	code := "1.AX" + base64.RawURLEncoding.EncodeToString(random)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgetOld()
	e.codes[code] = &authorizationCode{authorization: a, person: p, issued: time.Now()}
	e.giveConsent(p)
	return code
}

// codeGrant gives tokens for an authorization code.
func (e *entra) codeGrant(w http.ResponseWriter, r *http.Request) {
	sc, number := parseScopes(r.PostFormValue("scope"))
	if number != 0 {
		e.refuse(w, r, number)
		return
	}
	from, number := e.redeemCode(r)
	if number != 0 {
		e.refuse(w, r, number)
		return
	}
	if len(sc.names) == 0 {
		sc = from.scopes
	}
	e.grantSignIn(w, r, from, sc)
}

// redeemCode returns the sign-in behind a code, once, or the AADSTS number that
// refuses it.
func (e *entra) redeemCode(r *http.Request) (from *signIn, number int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	code := e.codes[r.PostFormValue("code")]
	switch {
	case code == nil || code.app != e.app(r):
		return nil, 9002313
	case !code.person.belongsTo(r.PathValue("tenant")):
		return nil, 700005
	case code.redeemed:
		return nil, 54005
	case time.Since(code.issued) >= cmp.Or(e.sandbox.opts.CodeLifetime, codeLife):
		return nil, 70008
	case r.PostFormValue("redirect_uri") != code.redirectURI:
		return nil, 500112
	case challengeOf(r.PostFormValue("code_verifier")) != code.challenge:
		return nil, 501481
	}
	code.redeemed = true
	return &signIn{app: code.app, person: code.person, scopes: code.scopes, nonce: code.nonce}, 0
}

// challengeOf is the S256 challenge of a verifier (RFC 7636 section 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

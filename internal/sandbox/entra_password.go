package sandbox

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// AADSTS numbers that a password alone cannot overcome.
const (
	consentMissing     = 65001
	secondFactorNeeded = 50076
)

// passwordGrant signs a person in with a password alone (RFC 6749 section
// 4.3).
func (e *entra) passwordGrant(w http.ResponseWriter, r *http.Request) {
	sc, number := parseScopes(r.PostFormValue("scope"))
	tenant := strings.ToLower(r.PathValue("tenant"))
	p := e.sandbox.person(r.PostFormValue("username"))
	switch {
	case tenant == "common" || tenant == "consumers":
		e.refuse(w, r, 9001023)
	case e.sandbox.opts.NoPublicClient:
		e.refuse(w, r, 7000218)
	case number != 0:
		e.refuse(w, r, number)
	case r.PostFormValue("scope") == "":
		e.refuse(w, r, 900144)
	case p == nil || p.personal:
		e.refuse(w, r, 50034)
	case subtle.ConstantTimeCompare([]byte(r.PostFormValue("password")), []byte(p.password)) != 1:
		e.refuse(w, r, 50126)
	case e.refusesPassword(p) != 0:
		e.refuse(w, r, e.refusesPassword(p))
	default:
		e.grantSignIn(w, r, &signIn{app: e.app(r), person: p, scopes: sc}, sc)
	}
}

// refusesPassword is the AADSTS number that a right password is refused with,
// or 0.
func (e *entra) refusesPassword(p *person) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.passwordRefused[p]
}

// giveConsent notes that a person has let the application in, on a page. The
// caller holds e.mu.
func (e *entra) giveConsent(p *person) {
	if e.passwordRefused[p] == consentMissing {
		delete(e.passwordRefused, p)
	}
}

// userRealm tells MSAL where a person's password is checked: here, and not at
// an organisation's own server.
func (e *entra) userRealm(w http.ResponseWriter, r *http.Request) {
	_, domain, _ := strings.Cut(r.PathValue("user"), "@")
	writeJSON(w, http.StatusOK, map[string]any{
		"ver":                 "1.0",
		"account_type":        "Managed",
		"domain_name":         domain,
		"cloud_instance_name": "microsoftonline.com",
		"cloud_audience_urn":  "urn:federation:MicrosoftOnline",
	})
}

package sandbox

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// grants are the ways to get a token, by grant_type (RFC 6749).
var grants = map[string]func(*entra, http.ResponseWriter, *http.Request){
	"client_credentials": (*entra).clientCredentials,
}

// token is the token endpoint.
func (e *entra) token(w http.ResponseWriter, r *http.Request) {
	e.requests.Add(1)
	if e.meetsFault(w, r, tokenRequest) {
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "cannot read the request", http.StatusBadRequest)
		return
	}
	grantType := r.PostFormValue("grant_type")
	grant, ok := grants[grantType]
	switch tenant := r.PathValue("tenant"); {
	case !e.knowsTenant(tenant) && !isSharedTenant(tenant):
		e.refuse(w, r, 90002)
	case grantType == "":
		e.refuse(w, r, 900144)
	case !ok:
		e.refuse(w, r, 70003)
	case r.PostFormValue("client_id") != e.sandbox.issuer.clientID:
		e.refuse(w, r, 700016)
	default:
		grant(e, w, r)
	}
}

// clientCredentials gives an application a token of its own (RFC 6749 section
// 4.4).
func (e *entra) clientCredentials(w http.ResponseWriter, r *http.Request) {
	secret := r.PostFormValue("client_secret")
	resource, ok := defaultScope(r.PostFormValue("scope"))
	switch {
	case isSharedTenant(r.PathValue("tenant")):
		e.refuse(w, r, 9001023)
	case secret == "":
		e.refuse(w, r, 7000218)
	case subtle.ConstantTimeCompare([]byte(secret), []byte(e.sandbox.clientSecret)) != 1:
		e.refuse(w, r, 7000215)
	case !ok:
		e.refuse(w, r, 1002012)
	case !slices.Contains([]string{audienceApp, audienceDelegated, audienceID}, resource):
		e.refuse(w, r, 500011)
	default:
		e.grantToken(w, "", TokenOptions{Audience: resource})
	}
}

// defaultScope returns the resource in a scope of the form RESOURCE/.default.
// MSAL adds openid, offline_access and profile to every request.
func defaultScope(scope string) (resource string, ok bool) {
	for _, name := range strings.Fields(scope) {
		switch name {
		case "openid", "offline_access", "profile":
			continue
		}
		prefix, isDefault := strings.CutSuffix(name, "/.default")
		if !isDefault || resource != "" {
			return "", false
		}
		resource = prefix
	}
	return resource, resource != ""
}

// grantToken answers with a new token.
func (e *entra) grantToken(w http.ResponseWriter, user string, o TokenOptions) {
	token, lifetime, err := e.sandbox.issuer.issue(user, o)
	if err != nil {
		http.Error(w, "cannot sign the token", http.StatusInternalServerError)
		return
	}
	e.sandbox.log.Info("token issued", "lifetime", lifetime)
	// Entra says one second less than the whole.
	seconds := max(int(lifetime.Seconds())-1, 0)
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type":     "Bearer",
		"expires_in":     seconds,
		"ext_expires_in": seconds,
		"access_token":   token,
	})
}

func (e *entra) refuse(w http.ResponseWriter, r *http.Request, number int) {
	e.sandbox.log.Info("token refused", "error", number)
	findEntraError(number).write(w, r)
}

// introspect tells a mail server about a token (RFC 7662 section 2).
func (e *entra) introspect(w http.ResponseWriter, r *http.Request) {
	c, err := e.sandbox.issuer.verify(r.PostFormValue("token"))
	if err != nil {
		writeJSON(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	username := c.UPN
	if username == "" {
		username = r.FormValue("username")
	}
	scope := c.Scope
	if scope == "" {
		scope = strings.Join(c.Roles, " ")
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"active":    true,
		"username":  username,
		"scope":     scope,
		"client_id": c.AppID,
		"aud":       c.Audience,
		"iss":       c.Issuer,
		"sub":       c.Subject,
		"exp":       c.Expires,
		"iat":       c.IssuedAt,
	})
}

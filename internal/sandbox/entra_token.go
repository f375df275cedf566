package sandbox

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// grants are the ways to get a token, by grant_type (RFC 6749).
var grants = map[string]func(*entra, http.ResponseWriter, *http.Request){
	GrantClientCredentials: (*entra).clientCredentials,
	GrantAuthorizationCode: (*entra).codeGrant,
	GrantDeviceCode:        (*entra).deviceCodeGrant,
	GrantRefreshToken:      (*entra).refreshTokenGrant,
	GrantPassword:          (*entra).passwordGrant,
}

// Grant types.
const (
	GrantClientCredentials = "client_credentials"
	GrantAuthorizationCode = "authorization_code"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	GrantRefreshToken      = "refresh_token"
	GrantPassword          = "password"
)

// grantType is the grant that a request is for. MSAL calls the device code
// flow by an older name.
func grantType(r *http.Request) string {
	name := r.PostFormValue("grant_type")
	if name == "device_code" {
		return GrantDeviceCode
	}
	return name
}

// token is the token endpoint.
func (e *entra) token(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm()
	e.count(grantType(r))
	if e.meetsFault(w, r, tokenRequest) {
		return
	}
	if err != nil {
		http.Error(w, "cannot read the request", http.StatusBadRequest)
		return
	}
	name := grantType(r)
	grant, ok := grants[name]
	app := e.app(r)
	switch tenant := r.PathValue("tenant"); {
	case !e.knowsTenant(tenant) && !isSharedTenant(tenant):
		e.refuse(w, r, 90002)
	case name == "":
		e.refuse(w, r, 900144)
	case !ok:
		e.refuse(w, r, 70003)
	case app == nil:
		e.refuse(w, r, 700016)
	case name != GrantClientCredentials && hasClientSecret(r):
		e.refuse(w, r, 700025)
	case app.faultAt(name).answer != nil:
		e.answerFault(w, r, app.faultAt(name))
	default:
		grant(e, w, r)
	}
}

// hasClientSecret tells whether a client proves who it is. The application may
// do so when it acts for itself; where a person signs in it is a public client
// (RFC 8252 section 8.5).
func hasClientSecret(r *http.Request) bool {
	return r.PostFormValue("client_secret") != "" || r.PostFormValue("client_assertion") != ""
}

// count counts a token request. What a client may write into grant_type is not
// kept.
func (e *entra) count(grant string) {
	if _, ok := grants[grant]; !ok && grant != GrantManagedIdentity {
		grant = ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests[grant]++
}

// clientCredentials gives an application a token of its own (RFC 6749 section
// 4.4).
func (e *entra) clientCredentials(w http.ResponseWriter, r *http.Request) {
	refusal := e.checkClient(r)
	resource, ok := defaultScope(r.PostFormValue("scope"))
	switch {
	case strings.EqualFold(r.PathValue("tenant"), "organizations"):
		e.refuse(w, r, 50059)
	case isSharedTenant(r.PathValue("tenant")):
		e.refuse(w, r, 9001023)
	case refusal != nil:
		e.refuseWith(w, r, *refusal)
	case !ok:
		e.refuse(w, r, 1002012)
	case !slices.Contains([]string{audienceApp, audienceDelegated, audienceID, audienceGraph}, resource):
		e.refuse(w, r, 500011)
	default:
		e.grantApplication(w, e.app(r), resource)
	}
}

// checkClient tells why the application is not believed to be itself; nil: it
// is.
func (e *entra) checkClient(r *http.Request) *entraError {
	secret := r.PostFormValue("client_secret")
	number := 0
	switch {
	case r.PostFormValue("client_assertion") != "":
		return e.checkAssertion(r)
	case secret == "":
		number = 7000218
	case subtle.ConstantTimeCompare([]byte(secret), []byte(e.app(r).secret)) != 1:
		number = 7000215
	default:
		return nil
	}
	refusal := findEntraError(number)
	return &refusal
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

// tokenAnswer is the answer to a token request (RFC 6749 section 5.1).
type tokenAnswer struct {
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope,omitempty"`
	ExpiresIn    int    `json:"expires_in"`
	ExtExpiresIn int    `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	ClientInfo   string `json:"client_info,omitempty"`
}

// accessToken makes an answer that holds a new access token alone.
func (e *entra) accessToken(p *person, o TokenOptions) (tokenAnswer, error) {
	token, lifetime, err := e.sandbox.issuer.issue(p, o)
	// Entra says one second less than the whole.
	seconds := max(int(lifetime.Seconds())-1, 0)
	return tokenAnswer{TokenType: "Bearer", ExpiresIn: seconds, ExtExpiresIn: seconds, AccessToken: token}, err
}

// grantApplication answers with a token of the application's own.
func (e *entra) grantApplication(w http.ResponseWriter, app *application, audience string) {
	o := app.token
	o.app, o.Audience, o.Permissions = app, audience, app.permissions(appRoles)
	if audience == audienceGraph {
		o.Permissions = []string{} // it has none there
	}
	answer, err := e.accessToken(nil, o)
	if err != nil {
		http.Error(w, "cannot sign the token", http.StatusInternalServerError)
		return
	}
	e.sandbox.log.Info("token issued", "expires_in", answer.ExpiresIn)
	writeJSON(w, http.StatusOK, answer)
}

func (e *entra) refuse(w http.ResponseWriter, r *http.Request, number int) {
	e.refuseWith(w, r, findEntraError(number))
}

func (e *entra) refuseWith(w http.ResponseWriter, r *http.Request, refusal entraError) {
	e.sandbox.log.Info("token refused", "error", refusal.number)
	refusal.write(w, r)
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

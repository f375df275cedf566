package sandbox

import (
	"crypto/rand"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// GrantManagedIdentity is what the token requests of managed identities are
// counted as. It is no grant type of RFC 6749.
const GrantManagedIdentity = "managed_identity"

// Where the endpoints of a managed identity are: App Service tells its
// programs, IMDS is at the same place on every virtual machine.
const (
	appServicePath = "/MSI/token"
	imdsPath       = "/metadata/identity/oauth2/token"
)

// managedIdentityLife is how long a managed identity's tokens are good.
const managedIdentityLife = 24 * time.Hour

// managedIdentity stands for the machine or service that a program runs on,
// and gives it tokens without any secret.
type managedIdentity struct {
	entra        *entra
	header       string // the secret in IDENTITY_HEADER
	system, user application
}

func (s *Sandbox) serveManagedIdentity(listener net.Listener) {
	s.managed = &managedIdentity{entra: s.entra, header: rand.Text(), system: newApplication(), user: newApplication()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+appServicePath, s.managed.appService)
	mux.HandleFunc("GET "+imdsPath, s.managed.imds)
	s.serveHTTP(listener, false, mux)
}

// appService answers as Azure App Service.
func (m *managedIdentity) appService(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, message string) {
		writeJSON(w, status, map[string]any{"statusCode": status, "message": message})
	}
	if r.Header.Get("X-IDENTITY-HEADER") != m.header {
		refuse(http.StatusUnauthorized, "The X-IDENTITY-HEADER is missing or wrong.")
		return
	}
	m.answer(w, r, refuse, "access_token", "client_id", "expires_on", "resource", "token_type")
}

// imds answers as the metadata service of a virtual machine.
func (m *managedIdentity) imds(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, message string) {
		writeJSON(w, status, map[string]any{"error": "invalid_request", "error_description": message})
	}
	if !strings.EqualFold(r.Header.Get("Metadata"), "true") {
		refuse(http.StatusBadRequest, "Required metadata header not specified")
		return
	}
	m.answer(w, r, refuse, "access_token", "client_id", "expires_in", "expires_on", "ext_expires_in",
		"not_before", "resource", "token_type")
}

// answer gives a token, with the fields that the endpoint has, or refuses it
// in the endpoint's words.
func (m *managedIdentity) answer(w http.ResponseWriter, r *http.Request, refuse func(int, string), fields ...string) {
	m.entra.count(GrantManagedIdentity)
	if m.entra.meetsFault(w, r, tokenRequest) {
		return
	}
	app, ok := m.identity(r.FormValue("client_id"))
	resource := r.FormValue("resource")
	switch {
	case !ok:
		refuse(http.StatusBadRequest, "Identity not found")
		return
	case !slices.Contains([]string{audienceApp, audienceDelegated, audienceID}, resource):
		refuse(http.StatusBadRequest, "The resource principal named "+resource+" was not found.")
		return
	}
	token, err := m.newToken(app, resource)
	if err != nil {
		http.Error(w, "cannot sign the token", http.StatusInternalServerError)
		return
	}
	maps.DeleteFunc(token, func(field, _ string) bool { return !slices.Contains(fields, field) })
	writeJSON(w, http.StatusOK, token)
}

// identity is the one that a request names; without a name the machine's own.
func (m *managedIdentity) identity(clientID string) (application, bool) {
	switch {
	case clientID == "":
		return m.system, true
	case strings.EqualFold(clientID, m.user.clientID):
		return m.user, true
	}
	return application{}, false
}

// newToken returns a token and what is said about it. All numbers are strings.
func (m *managedIdentity) newToken(app application, resource string) (map[string]string, error) {
	o := TokenOptions{Audience: resource, app: &app}
	if m.entra.sandbox.opts.TokenLifetime == 0 {
		o.Lifetime = managedIdentityLife
	}
	answer, err := m.entra.accessToken(nil, o)
	now, seconds := time.Now().Unix(), int64(answer.ExpiresIn)
	return map[string]string{
		"access_token":   answer.AccessToken,
		"client_id":      app.clientID,
		"expires_in":     strconv.FormatInt(seconds, 10),
		"ext_expires_in": strconv.FormatInt(seconds, 10),
		"expires_on":     strconv.FormatInt(now+seconds, 10),
		"not_before":     strconv.FormatInt(now, 10),
		"resource":       resource,
		"token_type":     "Bearer",
	}, err
}

// ManagedIdentity is what App Service puts into IDENTITY_ENDPOINT and
// IDENTITY_HEADER. The endpoint gives tokens of the system-assigned identity,
// and of the user-assigned one to who asks for its client id. Both may open
// every mailbox of the organisation.
func (s *Sandbox) ManagedIdentity() (endpoint, header string) {
	return "http://" + s.managedAddress + appServicePath, s.managed.header
}

// IMDS is the address that stands for http://169.254.169.254, where a virtual
// machine finds the same identities.
func (s *Sandbox) IMDS() string { return "http://" + s.managedAddress }

// ManagedIdentityClientID is the client id of the user-assigned identity.
func (s *Sandbox) ManagedIdentityClientID() string { return s.managed.user.clientID }

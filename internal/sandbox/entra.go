package sandbox

import (
	"cmp"
	"crypto/rand"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// entra is the stand-in token service.
type entra struct {
	sandbox *Sandbox

	mu              sync.Mutex
	fault           EntraFault
	requests        map[string]int // token requests, by grant type
	deviceCodes     map[string]*deviceCode
	codes           map[string]*authorizationCode
	refreshTokens   map[string]*refreshToken
	passwordRefused map[*person]int // AADSTS
	federated       []federatedIdentity
	assertions      map[string]time.Time // when those that were used expire, by jti
	pollsTooFast    int

	apps   map[string]*application // by client id
	listed []App
}

func newEntra(s *Sandbox) *entra {
	e := &entra{
		sandbox:         s,
		requests:        map[string]int{},
		deviceCodes:     map[string]*deviceCode{},
		codes:           map[string]*authorizationCode{},
		refreshTokens:   map[string]*refreshToken{},
		passwordRefused: map[*person]int{},
		assertions:      map[string]time.Time{},
	}
	e.registerApps()
	return e
}

// forgetOld forgets codes and assertions whose time has been over for an hour;
// before, they are known as expired ones. The caller holds e.mu.
func (e *entra) forgetOld() {
	hourAgo := time.Now().Add(-time.Hour)
	maps.DeleteFunc(e.deviceCodes, func(_ string, d *deviceCode) bool { return d.expires.Before(hourAgo) })
	maps.DeleteFunc(e.assertions, func(_ string, expires time.Time) bool { return expires.Before(hourAgo) })
	maps.DeleteFunc(e.codes, func(_ string, c *authorizationCode) bool {
		return c.issued.Add(cmp.Or(e.sandbox.opts.CodeLifetime, codeLife)).Before(hourAgo)
	})
}

// serveEntra answers HTTPS on listener until the sandbox closes.
func (s *Sandbox) serveEntra(listener net.Listener) {
	s.entra = newEntra(s)
	s.serveHTTP(listener, true, s.entra.withClock(s.entra.handler()))
}

// withClock lets answers tell the time of Entra's clock.
func (e *entra) withClock(handler http.Handler) http.Handler {
	ahead := e.sandbox.opts.ClockAhead
	if ahead == 0 {
		return handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	})
}

func (e *entra) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /common/discovery/instance", e.unlessDown(e.instance))
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", e.unlessDown(e.openID))
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", e.unlessDown(e.keys))
	mux.HandleFunc("GET /common/UserRealm/{user}", e.unlessDown(e.userRealm))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", e.unlessDown(e.deviceAuthorization))
	mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", e.unlessDown(e.authorize))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/authorize", e.unlessDown(e.chooseAccount))
	mux.HandleFunc("GET /devicelogin", e.unlessDown(e.deviceLogin))
	mux.HandleFunc("POST /devicelogin", e.unlessDown(e.enterCode))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", e.token)
	mux.HandleFunc("POST /introspection", e.introspect)
	return mux
}

// unlessDown gives way to a fault that is everywhere.
func (e *entra) unlessDown(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.meetsFault(w, r, discovery) {
			handler(w, r)
		}
	}
}

// instance answers MSAL's question whether an authority exists.
func (e *entra) instance(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": e.base(r, e.sandbox.issuer.tenantID) + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []any{map[string]any{
			"preferred_network": r.Host,
			"preferred_cache":   r.Host,
			"aliases":           []string{r.Host},
		}},
	})
}

// openID answers with the OpenID Connect discovery document.
func (e *entra) openID(w http.ResponseWriter, r *http.Request) {
	tenant := r.PathValue("tenant")
	if !e.knowsTenant(tenant) && !isSharedTenant(tenant) {
		unknown := findEntraError(90002)
		unknown.code = "invalid_tenant"
		unknown.write(w, r)
		return
	}
	base := e.base(r, tenant)
	writeJSON(w, http.StatusOK, map[string]any{
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post"},
		"jwks_uri":                              base + "/discovery/v2.0/keys",
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"device_authorization_endpoint":         base + "/oauth2/v2.0/devicecode",
		"issuer":                                base + "/v2.0",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
	})
}

func (e *entra) keys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, e.sandbox.issuer.jwks())
}

// base is the start of the tenant's addresses, under the host name that the
// client used: MSAL wants the issuer's host to be that of its authority.
func (e *entra) base(r *http.Request, tenant string) string {
	return "https://" + r.Host + "/" + tenant
}

// knowsTenant tells whether the tenant is ours, by id or by domain.
func (e *entra) knowsTenant(tenant string) bool {
	return strings.EqualFold(tenant, e.sandbox.issuer.tenantID) || strings.EqualFold(tenant, Domain)
}

// isSharedTenant tells whether the name stands for many tenants, or for the
// one that all personal accounts are in.
func isSharedTenant(tenant string) bool {
	switch strings.ToLower(tenant) {
	case "common", "organizations", "consumers", PersonalTenantID:
		return true
	}
	return false
}

// newClientSecret has the length and characters of the secrets in Entra's
// portal.
func newClientSecret() string { return rand.Text()[:3] + "8Q~" + rand.Text() + rand.Text()[:8] }

// Authority is the address of the tenant at Entra. The certificate is valid
// for 127.0.0.1, ::1 and localhost; Domain may stand in place of the id.
func (s *Sandbox) Authority() string { return s.AuthorityAt(s.issuer.tenantID) }

// AuthorityAt is the address of another tenant: Domain, organizations, common
// or consumers.
func (s *Sandbox) AuthorityAt(tenant string) string {
	return "https://" + s.entraAddress + "/" + tenant
}

// TenantID is random in each run, as are ClientID and ClientSecret.
func (s *Sandbox) TenantID() string { return s.issuer.tenantID }

// ClientID is the id of the one application that works; Apps lists those that
// do not. For itself it may open every mailbox of the organisation; people may
// sign in with it, too.
func (s *Sandbox) ClientID() string { return s.issuer.clientID }

// ClientSecret is that application's secret.
func (s *Sandbox) ClientSecret() string { return s.clientSecret }

// JWKS is the address of the keys that tokens are signed with (RFC 7517).
func (s *Sandbox) JWKS() string { return s.Authority() + "/discovery/v2.0/keys" }

// Introspection is the address where a mail server asks about a token (RFC
// 7662): POST token=... Entra has no such service.
//
// An app-only token names no user, so whoever asks may add ?username=... to
// the address and gets it back as username. Dovecot 2.3 can use it, with
// introspection_mode = post, tls_ca_cert_file = the file with CAPEM,
// username_attribute = username, active_attribute = active and active_value =
// true.
func (s *Sandbox) Introspection() string { return "https://" + s.entraAddress + "/introspection" }

// IssueToken returns a token for tests: app-only when user is "", else that
// user's. It does not count as a token request.
func (s *Sandbox) IssueToken(user string, o TokenOptions) string {
	p := s.person(user)
	if p == nil && user != "" {
		p = newPerson(user, false)
	}
	token, _, err := s.issuer.issue(p, o)
	if err != nil {
		panic("sandbox: cannot sign a token: " + err.Error())
	}
	return token
}

// ExpireTokens makes every token issued so far an expired one. IMAP sessions
// that were opened with them end as if their time had come.
func (s *Sandbox) ExpireTokens() {
	s.issuer.expireAll()
	s.imapServer.expireAll()
}

// TokenRequests is how many token requests have reached Entra, refused and
// failed ones included.
func (s *Sandbox) TokenRequests() int {
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	sum := 0
	for _, n := range s.entra.requests {
		sum += n
	}
	return sum
}

// TokenRequestsBy is how many of them were for one grant type, those without a
// known one being "".
func (s *Sandbox) TokenRequestsBy(grant string) int {
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	return s.entra.requests[grant]
}

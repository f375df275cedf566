package sandbox

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// An authorization is a request that a browser brings to the authorize
// endpoint (RFC 6749 section 4.1.1, RFC 7636).
type authorization struct {
	app         *application
	tenant      string
	redirectURI string
	formPost    bool // response_mode
	state       string
	challenge   string
	scopes      scopes
	nonce       string
	hint        string // login_hint
	silent      bool   // prompt=none
}

// parseAuthorization reads the query of a request. A number that is not 0
// refuses it; where the browser cannot be sent back because of that, the
// redirect address is "".
func (e *entra) parseAuthorization(r *http.Request) (a authorization, number int) {
	query, tenant := r.URL.Query(), r.PathValue("tenant")
	switch {
	case !e.knowsTenant(tenant) && !isSharedTenant(tenant):
		return a, 90002
	case e.app(r) == nil:
		return a, 700016
	case query.Get("redirect_uri") == "":
		return a, 900971
	case !e.mayRedirect(query.Get("redirect_uri")):
		return a, 50011
	}
	sc, number := parseScopes(query.Get("scope"))
	a = authorization{
		app:         e.app(r),
		tenant:      tenant,
		redirectURI: query.Get("redirect_uri"),
		formPost:    query.Get("response_mode") == "form_post",
		state:       query.Get("state"),
		challenge:   query.Get("code_challenge"),
		scopes:      sc,
		nonce:       query.Get("nonce"),
		hint:        query.Get("login_hint"),
		silent:      query.Get("prompt") == "none",
	}
	switch {
	case number != 0:
	case query.Get("scope") == "":
		number = 900144
	case query.Get("response_type") != "code":
		number = 700054
	case !slices.Contains([]string{"", "query", "form_post"}, query.Get("response_mode")):
		number = 70007
	case !slices.Contains([]string{"", "none", "login", "select_account", "consent"}, query.Get("prompt")):
		number = 90023
	case len(a.challenge) != 43 || query.Get("code_challenge_method") != "S256":
		// Entra takes plain challenges, and none, from such an application:
		// here a client that forgets PKCE shall notice.
		number = 50147
	}
	return a, number
}

// mayRedirect tells whether a redirect address is registered. At a loopback
// address any port is (RFC 8252 section 7.3).
func (e *entra) mayRedirect(address string) bool {
	asked, err := url.Parse(address)
	if err != nil || asked.Fragment != "" {
		return false
	}
	same := func(registered string) bool {
		known, err := url.Parse(registered)
		return err == nil && asked.Scheme == known.Scheme && asked.RawQuery == known.RawQuery &&
			strings.TrimPrefix(asked.Path, "/") == strings.TrimPrefix(known.Path, "/") &&
			(asked.Host == known.Host || isLoopback(known) && asked.Hostname() == known.Hostname())
	}
	return slices.ContainsFunc(append([]string{"http://localhost"}, e.sandbox.opts.RedirectURIs...), same)
}

func isLoopback(u *url.URL) bool {
	return u.Scheme == "http" && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}

// authorize shows a person the accounts to choose from.
func (e *entra) authorize(w http.ResponseWriter, r *http.Request) {
	a, number := e.parseAuthorization(r)
	if number != 0 {
		e.refuseAuthorization(w, r, a, number)
		return
	}
	p, err := e.signInPerson(e.sandbox.opts.AutoApprove, a.tenant)
	switch {
	case err == nil:
		e.sendBack(w, a, e.approve(a, p))
	case a.silent:
		e.refuseAuthorization(w, r, a, 50058)
	default:
		e.showPage(w, http.StatusOK, accountPage{Title: "Pick an account", Accounts: e.accountsAt(a.tenant), Hint: a.hint})
	}
}

// chooseAccount takes the person's choice, which has been posted to the same
// address: account=ADDRESS, or decline=yes.
func (e *entra) chooseAccount(w http.ResponseWriter, r *http.Request) {
	a, number := e.parseAuthorization(r)
	switch {
	case number != 0:
		e.refuseAuthorization(w, r, a, number)
		return
	case r.PostFormValue("decline") != "":
		e.refuseAuthorization(w, r, a, 65004)
		return
	}
	p, err := e.signInPerson(chosenAccount(r), a.tenant)
	if err != nil {
		e.showPage(w, http.StatusOK, accountPage{Title: "Pick an account", Text: err.Error(),
			Accounts: e.accountsAt(a.tenant), Hint: a.hint})
		return
	}
	e.sendBack(w, a, e.approve(a, p))
}

// approve makes a code for the person's sign-in.
func (e *entra) approve(a authorization, p *person) url.Values {
	return url.Values{"code": {e.newCode(a, p)}, "session_state": {newGUID()}}
}

// refuseAuthorization sends the browser back with an error, or shows that on a
// page where the address to go back to is not known to be the client's.
func (e *entra) refuseAuthorization(w http.ResponseWriter, r *http.Request, a authorization, number int) {
	refusal := findEntraError(number)
	e.sandbox.log.Info("sign-in refused", "error", number)
	if a.redirectURI == "" {
		e.showPage(w, http.StatusBadRequest, accountPage{
			Title: "Sorry, but we're having trouble signing you in.", Text: refusal.describe(r)})
		return
	}
	e.sendBack(w, a, url.Values{"error": {refusal.code}, "error_description": {refusal.describe(r)},
		"error_uri": {refusal.uri()}})
}

// sendBack returns the browser to the client with an answer (RFC 6749 section
// 4.1.2), in the query or in a form that posts itself.
func (e *entra) sendBack(w http.ResponseWriter, a authorization, answer url.Values) {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	if a.formPost {
		e.showForm(w, a.redirectURI, answer)
		return
	}
	separator := "?"
	if strings.Contains(a.redirectURI, "?") {
		separator = "&"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", a.redirectURI+separator+answer.Encode())
	w.WriteHeader(http.StatusFound)
}

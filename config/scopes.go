package config

import (
	"slices"
	"strings"
)

// alwaysAsked are the scopes that are asked for without being configured.
var alwaysAsked = []string{"offline_access", "openid", "profile"}

// delegatedScopes are what a person allows the application to do with the
// mailbox, without the cloud's prefix.
var delegatedScopes = map[string]string{
	IMAP: "IMAP.AccessAsUser.All",
	POP3: "POP.AccessAsUser.All",
	SMTP: "SMTP.Send",
}

const defaultScope = "/.default" // all permissions of an application itself

// scopes reads an app's own scopes; none, if the defaults do.
func (s *section) scopes(flow string) []string {
	words := s.words("scopes")
	var all []string
	for _, w := range words {
		if slices.Contains(alwaysAsked, strings.ToLower(w.text)) {
			continue
		}
		if !strings.HasPrefix(w.text, "https://") {
			s.reader.report(w.line, w.path, "", "expected a scope such as https://outlook.office.com/IMAP.AccessAsUser.All")
		}
		all = append(all, w.text)
	}
	f, ok := findFlow(flow)
	switch {
	case !ok || len(words) == 0:
	case len(all) == 0:
		s.report("scopes", "leave it out for the usual ones", "no scope is left: offline_access, openid and profile are asked for anyway")
	case !f.person && (len(all) != 1 || !strings.HasSuffix(all[0], defaultScope)):
		s.report("scopes", "such as https://outlook.office365.com/.default", "the flow %s needs one scope that ends in /.default", flow)
	}
	return all
}

// scopesFor returns what the account's tokens are asked for. A person is
// asked only for what the account's clients can use.
func (r *accountReader) scopesFor(a Account, app App) []string {
	if len(app.Scopes) > 0 {
		return app.Scopes
	}
	if !app.HasPerson() {
		return []string{r.cloud.resource + defaultScope}
	}
	var all []string
	for _, protocol := range a.protocols(r.listeners) {
		all = append(all, r.cloud.delegated+"/"+delegatedScopes[protocol])
	}
	return all
}

// protocols returns those that the account's logins may speak and a listener
// speaks; where these have none in common, all that the logins may speak.
func (a Account) protocols(listeners []Listener) []string {
	var allowed, spoken []string
	for _, protocol := range []string{IMAP, POP3, SMTP} {
		mayUse := func(l Login) bool { return len(l.Protocols) == 0 || slices.Contains(l.Protocols, protocol) }
		if !slices.ContainsFunc(a.Logins, mayUse) {
			continue
		}
		allowed = append(allowed, protocol)
		if slices.ContainsFunc(listeners, func(l Listener) bool { return l.Protocol == protocol }) {
			spoken = append(spoken, protocol)
		}
	}
	if len(spoken) > 0 {
		return spoken
	}
	return allowed
}

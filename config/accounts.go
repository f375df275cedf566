package config

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// accountReader reads the accounts and remembers who claimed what.
type accountReader struct {
	apps      map[string]App
	listeners []Listener
	cloud     cloud
	upstream  Upstream
	mailboxes map[string]int // line, by folded mailbox
	users     map[string]int // line, by folded user
	addresses []claim
}

// claim is a login without a user: its networks belong to one mailbox.
type claim struct {
	mailbox  string
	line     int
	networks []netip.Prefix
}

func accounts(top *section, c *Config) []Account {
	r := accountReader{
		apps: c.Apps, listeners: c.Listeners, cloud: clouds[c.Upstream.Cloud], upstream: c.Upstream,
		mailboxes: make(map[string]int), users: make(map[string]int),
	}
	var all []Account
	for _, s := range top.sections("accounts", accountKeys, "name at least one mailbox") {
		all = append(all, r.account(s))
	}
	return all
}

func (r *accountReader) account(s *section) Account {
	a := Account{
		Mailbox:  s.required("mailbox", "the address of a mailbox in Exchange"),
		App:      s.required("app", "the name of one of apps"),
		SignInAs: s.text("sign_in_as"),
		Upstream: hosts(s.child("upstream", accountUpstreamKeys), r.upstream),
	}
	r.checkMailbox(s, a.Mailbox)
	app, ok := r.apps[a.App]
	if !ok && a.App != "" && len(r.apps) > 0 {
		s.report("app", r.appHint(a.App), "there is no app %q", a.App)
	}
	if s.checkAddressOf("sign_in_as", a.SignInAs); a.SignInAs != "" && app.Flow != "" && !app.HasPerson() {
		s.report("sign_in_as", "remove it, or use an app with the flow device_code or browser", "nobody signs in for the app %s", a.App)
	}
	for _, child := range s.sections("logins", loginKeys, "a user with a password_hash, made with: oauthproxy passwd") {
		a.Logins = append(a.Logins, r.login(child, a.Mailbox))
	}
	a.Scopes = r.scopesFor(a, app)
	return a
}

func (r *accountReader) checkMailbox(s *section, mailbox string) {
	if mailbox == "" {
		return
	}
	s.checkAddressOf("mailbox", mailbox)
	if line, ok := r.mailboxes[fold(mailbox)]; ok {
		s.report("mailbox", "put all logins of a mailbox into one account", "the account on line %d has this mailbox already", line)
		return
	}
	r.mailboxes[fold(mailbox)] = s.line
}

// checkAddressOf reports a key whose value isn't a mail address.
func (s *section) checkAddressOf(key, address string) {
	name, host, _ := strings.Cut(address, "@")
	if address != "" && (name == "" || host == "" || strings.ContainsFunc(address, unicode.IsSpace)) {
		s.report(key, "", "%q is not an address such as alice@contoso.com", address)
	}
}

func (r *accountReader) appHint(name string) string {
	names := make([]string, 0, len(r.apps))
	for known := range r.apps {
		names = append(names, known)
	}
	slices.Sort(names)
	if near := Nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	return "known: " + strings.Join(names, ", ")
}

func (r *accountReader) login(s *section, mailbox string) Login {
	l := Login{
		User:         s.text("user"),
		PasswordHash: s.text("password_hash"),
		Networks:     s.networks("networks"),
		Protocols:    s.protocols(),
		Device:       s.flag("device"),
	}
	l.Sending = s.sending(mailbox, l.Protocols)
	if s.has("user") {
		r.checkUser(s, l)
	} else {
		r.checkAddressLogin(s, l, mailbox)
	}
	return l
}

// protocols reads the protocols that a login is limited to.
func (s *section) protocols() []string {
	var all []string
	for _, w := range s.words("protocols") {
		if !slices.Contains([]string{IMAP, POP3, SMTP}, w.text) {
			s.reader.report(w.line, w.path, "one of imap, pop3, smtp", "unknown protocol %q", w.text)
			continue
		}
		all = append(all, w.text)
	}
	return all
}

// checkUser checks a login with a user. One user is one login: otherwise a
// password would decide over the mailbox.
func (r *accountReader) checkUser(s *section, l Login) {
	s.required("user", "what the client gives as its user name")
	s.required("password_hash", "make one with: oauthproxy passwd")
	if l.PasswordHash != "" {
		if err := s.checkHash(l.PasswordHash); err != nil {
			s.report("password_hash", "", "%v", err)
		}
	}
	if l.User == "" {
		return
	}
	if line, ok := r.users[fold(l.User)]; ok {
		s.report("user", "choose another user name", "the login on line %d has the user %q already", line, l.User)
		return
	}
	r.users[fold(l.User)] = s.line
}

// checkAddressLogin checks a login without a user: a device that can't log in
// and is known by its address.
func (r *accountReader) checkAddressLogin(s *section, l Login, mailbox string) {
	if s.has("password_hash") {
		s.report("user", "the user name that goes with the password_hash", "missing")
		return
	}
	const hint = "list the addresses of the devices, as narrowly as you can"
	if !s.has("networks") {
		s.report("networks", hint, "missing: a login without a user is known by its address")
	}
	for _, n := range l.Networks {
		if tooWide(n) || n == loopback {
			s.report("networks", hint, "%s is too wide for a login without a password", n)
		}
	}
	notSMTP := func(protocol string) bool { return protocol != SMTP }
	if !s.has("protocols") || slices.ContainsFunc(l.Protocols, notSMTP) {
		s.report("protocols", "set protocols: [smtp], or give the login a user and a password_hash",
			"a login without a user can only send: imap and pop3 would let anybody at that address read the mailbox")
	}
	for _, other := range r.addresses {
		if n, m, ok := overlap(l.Networks, other.networks); ok && other.mailbox != mailbox {
			s.report("networks", "give each device to one mailbox", "%s and %s of the login on line %d have addresses in common", n, m, other.line)
		}
	}
	r.addresses = append(r.addresses, claim{mailbox, s.line, l.Networks})
}

// fold maps texts that differ only in case to one, by Unicode's simple case
// folding: the smallest of the characters that fold together stands for all.
func fold(s string) string {
	return strings.Map(func(c rune) rune {
		smallest := c
		for next := unicode.SimpleFold(c); next != c; next = unicode.SimpleFold(next) {
			smallest = min(smallest, next)
		}
		return smallest
	}, s)
}

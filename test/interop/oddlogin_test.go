//go:build linux

package interop

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// oddLogin is a login of the first mailbox with a user name and a password
// that careless programs change on their way.
type oddLogin struct{ name, User, password string }

// oddLogins are those that every mail program here can be told, in its own
// file's quotes.
var oddLogins = []oddLogin{
	{"blanks", "desk by the door", "  blanks  at both ends " + unmistakable + "  "},
	{"quotes", `desk "one"`, `it's "quoted" ` + unmistakable + `"`},
	{"backslashes", `CONTOSO\desk`, `\ \\ \" \n ` + unmistakable + `\`},
	{"percent signs", "100%desk", "%s %41 100%% " + unmistakable},
	{"number signs", "#desk", "#1 # " + unmistakable + "#"},
	{"colons and at signs", "desk:one@interop.example:993", "a:b@c/d " + unmistakable + ":@"},
	{"dollars and backquotes", "$desk `one`", "$HOME `id` $(id) ! " + unmistakable},
	{"braces", "{5}", "{5+} " + unmistakable + " {3}"},
	{"brackets and stars", "desk*(one)", "(*) % ] [ } " + unmistakable},
	{"UTF-8", "Büro–Ñandú", "pässwörd € \U0001f511 " + unmistakable},
	{"Latin-1", "buero", "p\xe4ssw\xf6rd \xa4 " + unmistakable + "\xff"},
	{"64 characters", fill64("user-of-"), fill64("long-" + unmistakable)},
	{"words of the protocols", "NIL", "=" + unmistakable + "="},
}

func fill64(text string) string { return text + strings.Repeat("x", 64-len(text)) }

// Hash is what the configuration holds of the password. It is a cheap one: the
// tests are not about hashing.
func (l oddLogin) Hash() (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(l.password), bcrypt.MinCost)
	return string(hash), err
}

// port is a kind of listener, and how a client comes to TLS there.
type port struct{ listener, tls string }

// ports are all that a client can find.
var ports = []port{
	{none, none}, {startTLS, startTLS}, {implicit, implicit},
	{auto, none}, {auto, startTLS}, {auto, implicit},
}

func (p port) String() string {
	if p.listener == p.tls {
		return p.tls
	}
	return p.listener + ", " + p.tls
}

// onEachLogin runs the test with every odd login on each service, and so on
// each kind of port. n counts them.
func onEachLogin(t *testing.T, test func(t *testing.T, s *site, at port, login oddLogin, n int)) {
	onEach(t, func(t *testing.T, s *site) {
		for n, login := range oddLogins {
			at := ports[n%len(ports)]
			t.Run(at.String()+" "+login.name, func(t *testing.T) { test(t, s, at, login, n) })
		}
	})
}

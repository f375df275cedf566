//go:build linux

package interop

import (
	"testing"
	"time"

	"oauthproxy/internal/sandbox"
)

// TestRealServersTakeGoodTokensAlone makes sure that the other tests prove
// something: without the proxy, Dovecot and Postfix refuse passwords and every
// token that is not good.
func TestRealServersTakeGoodTokensAlone(t *testing.T) {
	s := newRealService(t)
	entra, user := s.entra(), s.mailboxes()[0]
	for _, test := range []struct {
		name, token string
		accepted    bool
	}{
		{"good", entra.IssueToken("", sandbox.TokenOptions{}), true},
		{"of another audience", entra.IssueToken("", sandbox.TokenOptions{Audience: "https://graph.microsoft.com"}), false},
		{"expired", entra.IssueToken("", sandbox.TokenOptions{Lifetime: -time.Minute}), false},
		{"signed by somebody else", entra.IssueToken("", sandbox.TokenOptions{WrongKey: true}), false},
		{"no token", "anything", false},
	} {
		response := encode("user=" + user + "\x01auth=Bearer " + test.token + "\x01\x01")
		t.Run("dovecot, "+test.name, func(t *testing.T) {
			c := dial(t, s.host("imap").Address)
			c.startTLS()
			c.expect("* OK ")
			if test.accepted {
				c.command("a AUTHENTICATE XOAUTH2 "+response, "a OK ")
				return
			}
			c.command("a AUTHENTICATE XOAUTH2 "+response, "+ ")
			c.command("", "a NO [AUTHENTICATIONFAILED] ")
			c.command("b LOGIN "+user+" "+quote(shared.password), "b NO ")
		})
		t.Run("postfix, "+test.name, func(t *testing.T) {
			c := dial(t, s.host("smtp").Address)
			c.expect("220 ")
			c.command("STARTTLS", "220 ")
			c.startTLS()
			c.say("EHLO desk")
			c.until("250 ")
			if test.accepted {
				c.command("AUTH XOAUTH2 "+response, "235 ")
				return
			}
			c.command("AUTH XOAUTH2 "+response, "334 ")
			c.command("", "535 ")
			c.command("AUTH PLAIN "+plain(user, shared.password), "535 ")
			c.command("MAIL FROM:<"+user+">", "250 ")
			c.command("RCPT TO:<"+user+">", "554 ")
		})
	}
}

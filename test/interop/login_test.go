//go:build linux

package interop

import (
	"strings"
	"testing"
)

// loginForms are the forms in which clients log in, most of them with a
// password that has to be quoted.
var loginForms = []struct {
	protocol, name string
	say            func(c *client, user string)
	accepted       string // beginning of the answer
}{
	{"imap", "LOGIN quoted", func(c *client, user string) {
		c.say("a LOGIN %s %s", quote(user), quote(shared.password))
	}, "a OK "},
	{"imap", "LOGIN in lower case, atom and quoted", func(c *client, user string) {
		c.say("a login %s %s", user, quote(shared.password))
	}, "a OK "},
	{"imap", "LOGIN literals", func(c *client, user string) {
		c.command("a LOGIN {"+length(user)+"}", "+")
		c.command(user+" {"+length(shared.password)+"}", "+")
		c.say("%s", shared.password)
	}, "a OK "},
	{"imap", "LOGIN non-synchronizing literals", func(c *client, user string) {
		c.say("a LOGIN {%s+}\r\n%s {%s+}\r\n%s", length(user), user, length(shared.password), shared.password)
	}, "a OK "},
	{"imap", "LOGIN quoted and literal, odd user and password", func(c *client, _ string) {
		c.command("a LOGIN "+quote(oddUser)+" {"+length(shared.oddPassword)+"}", "+")
		c.say("%s", shared.oddPassword)
	}, "a OK "},
	{"imap", "AUTHENTICATE PLAIN with initial response", func(c *client, user string) {
		c.say("a AUTHENTICATE PLAIN %s", plain(user, shared.password))
	}, "a OK "},
	{"imap", "AUTHENTICATE PLAIN", func(c *client, user string) {
		c.command("a AUTHENTICATE PLAIN", "+ ")
		c.say("%s", plain(user, shared.password))
	}, "a OK "},
	{"imap", "AUTHENTICATE PLAIN with authorization identity", func(c *client, user string) {
		c.say("a AUTHENTICATE PLAIN %s", encode(user+"\x00"+user+"\x00"+shared.password))
	}, "a OK "},
	{"imap", "AUTHENTICATE LOGIN", func(c *client, user string) {
		c.command("a AUTHENTICATE LOGIN", "+ VXNlcm5hbWU6")
		c.command(encode(user), "+ UGFzc3dvcmQ6")
		c.say("%s", encode(shared.password))
	}, "a OK "},
	{"imap", "AUTHENTICATE LOGIN with initial response", func(c *client, user string) {
		c.command("a AUTHENTICATE LOGIN "+encode(user), "+ UGFzc3dvcmQ6")
		c.say("%s", encode(shared.password))
	}, "a OK "},
	{"imap", "after ID, CAPABILITY and NOOP", func(c *client, user string) {
		c.say(`1 ID ("name" "interop" "version" {1+}` + "\r\n1)\r\n2 CAPABILITY\r\n3 NOOP")
		c.until("3 OK ")
		c.say("a LOGIN %s %s", user, quote(shared.password))
	}, "a OK "},
	{"imap", "after a cancelled AUTHENTICATE", func(c *client, user string) {
		c.command("1 AUTHENTICATE PLAIN", "+ ")
		c.command("*", "1 BAD ")
		c.say("a LOGIN %s %s", user, quote(shared.password))
	}, "a OK "},

	{"pop3", "USER and PASS", func(c *client, user string) {
		c.command("USER "+user, "+OK")
		c.say("PASS %s", shared.password)
	}, "+OK"},
	{"pop3", "in lower case, odd user and password", func(c *client, _ string) {
		c.command("user "+oddUser, "+OK")
		c.say("pass %s", shared.oddPassword)
	}, "+OK"},
	{"pop3", "AUTH PLAIN with initial response", func(c *client, user string) {
		c.say("AUTH PLAIN %s", plain(user, shared.password))
	}, "+OK"},
	{"pop3", "AUTH PLAIN", func(c *client, user string) {
		c.command("AUTH PLAIN", "+ ")
		c.say("%s", plain(user, shared.password))
	}, "+OK"},
	{"pop3", "AUTH LOGIN", func(c *client, user string) {
		c.command("AUTH LOGIN", "+ VXNlcm5hbWU6")
		c.command(encode(user), "+ UGFzc3dvcmQ6")
		c.say("%s", encode(shared.password))
	}, "+OK"},

	{"smtp", "AUTH PLAIN with initial response", func(c *client, user string) {
		c.say("AUTH PLAIN %s", plain(user, shared.password))
	}, "235 "},
	{"smtp", "AUTH PLAIN", func(c *client, user string) {
		c.command("AUTH PLAIN", "334 ")
		c.say("%s", plain(user, shared.password))
	}, "235 "},
	{"smtp", "AUTH LOGIN", func(c *client, user string) {
		c.command("AUTH LOGIN", "334 VXNlcm5hbWU6")
		c.command(encode(user), "334 UGFzc3dvcmQ6")
		c.say("%s", encode(shared.password))
	}, "235 "},
	{"smtp", "AUTH LOGIN with user name, lower case, no padding", func(c *client, user string) {
		c.command("auth login "+strings.TrimRight(encode(user), "="), "334 UGFzc3dvcmQ6")
		c.say("%s", strings.TrimRight(encode(shared.password), "="))
	}, "235 "},
	{"smtp", "odd user and password", func(c *client, _ string) {
		c.say("AUTH PLAIN %s", plain(oddUser, shared.oddPassword))
	}, "235 "},
	{"smtp", "after a cancelled AUTH", func(c *client, user string) {
		c.command("AUTH LOGIN", "334 VXNlcm5hbWU6")
		c.command("*", "501 ")
		c.say("AUTH PLAIN %s", plain(user, shared.password))
	}, "235 "},
}

// TestLoginForms logs in in every form.
func TestLoginForms(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		for i, form := range loginForms {
			t.Run(form.protocol+" "+form.name, func(t *testing.T) {
				c := s.connect(t, form.protocol, tlsModes[i%len(tlsModes)])
				if form.protocol == "smtp" {
					c.say("EHLO desk")
					c.until("250 ")
				}
				form.say(c, s.mailboxes()[0])
				c.expect(form.accepted)
				c.expectOpenMailbox(form.protocol)
			})
		}
	})
}

// expectOpenMailbox checks that the upstream answers.
func (c *client) expectOpenMailbox(protocol string) {
	c.t.Helper()
	switch protocol {
	case "imap":
		c.say("z STATUS INBOX (MESSAGES)")
		c.expect("* STATUS INBOX (MESSAGES 0)")
		c.expect("z OK ")
	case "pop3":
		c.command("STAT", "+OK 0 0")
	case "smtp":
		c.command("MAIL FROM:<>", "250 ")
		c.command("RSET", "250 ")
	}
}

// attempts are logins with a given password, what it is answered if it is
// wrong, and if it is right.
var attempts = []struct {
	protocol, name    string
	say               func(c *client, user, password string)
	refused, accepted string
}{
	{"imap", "LOGIN", func(c *client, user, password string) {
		c.say("a LOGIN %s %s", user, quote(password))
	}, "a NO [AUTHENTICATIONFAILED] ", "a OK "},
	{"imap", "AUTHENTICATE PLAIN", func(c *client, user, password string) {
		c.say("a AUTHENTICATE PLAIN %s", plain(user, password))
	}, "a NO [AUTHENTICATIONFAILED] ", "a OK "},
	{"pop3", "USER and PASS", func(c *client, user, password string) {
		c.command("USER "+user, "+OK")
		c.say("PASS %s", password)
	}, "-ERR [AUTH] ", "+OK"},
	{"smtp", "AUTH PLAIN", func(c *client, user, password string) {
		c.say("AUTH PLAIN %s", plain(user, password))
	}, "535 5.7.8 ", "235 "},
	{"smtp", "AUTH LOGIN", func(c *client, user, password string) {
		c.command("AUTH LOGIN", "334 ")
		c.command(encode(user), "334 ")
		c.say("%s", encode(password))
	}, "535 5.7.8 ", "235 "},
}

// TestRefusedLogins checks what clients hear of a wrong password: that it is
// one, in the words by which programs know it, and that they may try again.
func TestRefusedLogins(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		user := s.mailboxes()[0]
		for i, attempt := range attempts {
			t.Run(attempt.protocol+" "+attempt.name, func(t *testing.T) {
				c := s.connect(t, attempt.protocol, tlsModes[i%len(tlsModes)])
				attempt.say(c, user, shared.password+" ")
				wrongPassword := c.expect(attempt.refused)
				attempt.say(c, "nobody@interop.example", shared.password)
				if unknownUser := c.expect(attempt.refused); unknownUser != wrongPassword {
					t.Errorf("unknown user: %q, wrong password: %q, want the same", unknownUser, wrongPassword)
				}
				attempt.say(c, user, shared.password)
				c.expect(attempt.accepted)
				c.expectOpenMailbox(attempt.protocol)
			})
		}
	})
}

// TestRevokedTokens withdraws all access tokens: the next login of each
// protocol works, with a fresh one, and the client notices nothing.
func TestRevokedTokens(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		// A mailbox each: a token that has just been replaced is not
		// replaced again.
		for i, protocol := range protocols {
			mailbox := s.mailboxes()[i]
			s.logIn(t, protocol, none, mailbox).expectOpenMailbox(protocol)
			s.entra().ExpireTokens()
			s.logIn(t, protocol, none, mailbox).expectOpenMailbox(protocol)
		}
	})
}

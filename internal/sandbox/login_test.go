package sandbox

import (
	"strings"
	"testing"
	"time"
)

// Dialogues of one login each, {user} being the credentials.
const (
	imapAccepted = imapHello + `
		C: A1 AUTHENTICATE XOAUTH2 {user}
		S: A1 OK AUTHENTICATE completed.`
	imapRefused = imapHello + `
		C: A1 AUTHENTICATE XOAUTH2 {user}
		S: A1 NO AUTHENTICATE failed.`
	pop3Accepted = pop3Hello + `
		C: AUTH XOAUTH2
		S: + 
		C: {user}
		S: +OK User successfully authenticated.`
	pop3RefusedLogin = pop3Hello + `
		C: AUTH XOAUTH2
		S: + 
		C: {user}
		S: -ERR Authentication failure: unknown user name or bad password.`
	smtpAccepted = smtpHello + `
		C: AUTH XOAUTH2 {user}
		S: 235 2.7.0 Authentication successful`
	smtpRefused = smtpHello + `
		C: AUTH XOAUTH2 {user}
		S~ 535 5\.7\.3 Authentication unsuccessful` + suffix
)

// as puts a user in the place of {user}.
func as(user, dialogue string) string {
	return strings.ReplaceAll(dialogue, "{user}", "{"+user+"}")
}

// TestTokens tries tokens of all kinds in all protocols.
func TestTokens(t *testing.T) {
	s, other := start(t, Options{}), start(t, Options{})
	tests := []struct {
		name             string
		token            string
		imap, pop3, smtp bool // accepted
	}{
		{"app-only", s.IssueToken("", TokenOptions{}), true, true, true},
		{"the user's", s.IssueToken(alice, TokenOptions{}), true, true, true},
		{"another user's", s.IssueToken("bob@contoso.example", TokenOptions{}), false, false, false},
		{"opaque", s.IssueToken(alice, TokenOptions{Opaque: true}), true, true, true},
		{"another user's, opaque", s.IssueToken("bob@contoso.example", TokenOptions{Opaque: true}), false, false, false},
		{"audience by id", s.IssueToken("", TokenOptions{Audience: "00000002-0000-0ff1-ce00-000000000000"}), true, true, true},
		{"for Graph", s.IssueToken("", TokenOptions{Audience: "https://graph.microsoft.com"}), false, false, false},
		{"expired", s.IssueToken("", TokenOptions{Lifetime: -time.Minute}), false, false, false},
		{"expired, opaque", s.IssueToken(alice, TokenOptions{Lifetime: -time.Minute, Opaque: true}), false, false, false},
		{"signed by another key", s.IssueToken("", TokenOptions{WrongKey: true}), false, false, false},
		{"of another tenant", other.IssueToken("", TokenOptions{}), false, false, false},
		{"no roles", s.IssueToken("", TokenOptions{Permissions: []string{}}), false, false, false},
		{"one role", s.IssueToken("", TokenOptions{Permissions: []string{"POP.AccessAsApp"}}), false, true, false},
		{"no scopes", s.IssueToken(alice, TokenOptions{Permissions: []string{}}), false, false, false},
		{"one scope", s.IssueToken(alice, TokenOptions{Permissions: []string{"SMTP.Send"}}), false, false, true},
		{"two scopes", s.IssueToken(alice, TokenOptions{Permissions: []string{"SMTP.Send", "IMAP.AccessAsUser.All"}}), true, false, true},
		{"long", s.IssueToken("", TokenOptions{Length: 4000}), true, true, true},
		{"no token", "x", false, false, false},
		{"three parts of nothing", "..", false, false, false},
		{"not base64url", "a.b.!", false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			try := func(address, accepted, refused string, ok bool) {
				t.Helper()
				p := dial(t, s, address)
				p.token = tt.token
				if ok {
					p.talk(as("alice", accepted))
				} else {
					p.talk(as("alice", refused))
				}
			}
			try(s.IMAP(), imapAccepted, imapRefused, tt.imap)
			try(s.POP3(), pop3Accepted, pop3RefusedLogin, tt.pop3)
			try(s.SMTP(), smtpAccepted, smtpRefused, tt.smtp)
		})
	}
}

func TestTokenLength(t *testing.T) {
	s := start(t, Options{})
	for _, o := range []TokenOptions{{Length: 5000}, {Length: 5000, Opaque: true}} {
		if n := len(s.IssueToken("", o)); n < 5000 || n > 5200 {
			t.Errorf("%+v: %d characters, want about 5,000", o, n)
		}
	}
	// As long as IMAP and SMTP have to take.
	p := dial(t, s, s.IMAP())
	p.token = s.IssueToken("", TokenOptions{Length: 5000})
	p.talk(as("alice", imapAccepted))
	p = dial(t, s, s.SMTP())
	p.token = s.IssueToken("", TokenOptions{Length: 5000})
	p.talk(as("alice", smtpAccepted))
}

// TestMalformedResponses sends what is no XOAUTH2 response.
func TestMalformedResponses(t *testing.T) {
	s := start(t, Options{})
	for _, response := range []string{
		"*",
		"AAAA",
		"not base64",
		"dXNlcj1hbGljZUBjb250b3NvLmNvbQ==", // user=alice@contoso.com
		"dXNlcj1hAWF1dGg9QmFzaWMgeAEB",     // user=a^Aauth=Basic x^A^A
		"dT1hAWF1dGg9QmVhcmVyIHgBAQ==",     // u=a^Aauth=Bearer x^A^A
	} {
		talk(t, s, s.IMAP(), imapHello+`
			C: A1 AUTHENTICATE XOAUTH2
			S: + 
			C: `+response+`
			S: A1 NO AUTHENTICATE failed.`)
	}
}

func TestUnknownMailbox(t *testing.T) {
	s := start(t, Options{})
	talk(t, s, s.IMAP(), as("nobody", imapRefused))
	talk(t, s, s.POP3(), as("nobody", pop3RefusedLogin))
	talk(t, s, s.SMTP(), as("nobody", smtpRefused))
	if err := s.Deliver("nobody@contoso.example", nil); err == nil {
		t.Error("Deliver took a message for a mailbox that does not exist")
	}
	if s.Messages("nobody@contoso.example") != nil {
		t.Error("Messages found some in a mailbox that does not exist")
	}
}

// TestChallenge answers Gmail's error challenge.
func TestChallenge(t *testing.T) {
	s := start(t, Options{Challenge: true})
	talk(t, s, s.IMAP(), imapHello+`
		C: A1 AUTHENTICATE XOAUTH2 {refuse}
		S: + `+challenge+`
		C: 
		S: A1 NO AUTHENTICATE failed.`)
	talk(t, s, s.POP3(), pop3Hello+`
		C: AUTH XOAUTH2
		S: + 
		C: {refuse}
		S: + `+challenge+`
		C: 
		S: -ERR Authentication failure: unknown user name or bad password.`)
	talk(t, s, s.SMTP(), smtpHello+`
		C: AUTH XOAUTH2 {refuse}
		S: 334 `+challenge+`
		C: 
		S~ 535 5\.7\.3 Authentication unsuccessful`+suffix)
}

// TestTokenRefusedIsDropped makes sure that a client which leaves while it is
// challenged ends nothing but its own connection.
func TestClientLeaves(t *testing.T) {
	s := start(t, Options{Challenge: true})
	for _, dialogue := range []struct{ address, text string }{
		{s.IMAP(), imapHello + `
			C: A1 AUTHENTICATE XOAUTH2
			S: + `},
		{s.POP3(), pop3Hello + `
			C: AUTH XOAUTH2
			S: + `},
		{s.SMTP(), smtpHello + `
			C: AUTH LOGIN
			S: 334 VXNlcm5hbWU6`},
	} {
		talk(t, s, dialogue.address, dialogue.text).conn.Close()
	}
	talk(t, s, s.IMAP(), as("alice", imapAccepted))
}

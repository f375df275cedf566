package sandbox

import "testing"

// accessTest is a login with a person's token.
type accessTest struct {
	name, person, mailbox string
	imap, pop3, smtp      bool // accepted
}

func (tt accessTest) run(t *testing.T, s *Sandbox) {
	t.Run(tt.name, func(t *testing.T) {
		token := s.IssueToken(tt.person, TokenOptions{})
		for _, try := range []struct {
			address, accepted, refused string
			ok                         bool
		}{
			{s.IMAP(), imapAccepted, imapRefused, tt.imap},
			{s.POP3(), pop3Accepted, pop3RefusedLogin, tt.pop3},
			{s.SMTP(), smtpAccepted, smtpRefused, tt.smtp},
		} {
			p := dial(t, s, try.address)
			p.token = token
			if try.ok {
				p.talk(as(tt.mailbox, try.accepted))
			} else {
				p.talk(as(tt.mailbox, try.refused))
			}
		}
	})
}

func TestFullAccess(t *testing.T) {
	s := start(t, Options{})
	accessTest{"own", alice, "alice", true, true, true}.run(t, s)
	accessTest{"shared, with full access", alice, "shared", true, true, false}.run(t, s)
	accessTest{"shared, without", bob, "shared", false, false, false}.run(t, s)
	accessTest{"another person's", alice, "bob", false, false, false}.run(t, s)
	accessTest{"an application", "", "shared", true, true, true}.run(t, s)
	if err := s.GrantFullAccess("Alice@Contoso.example", bob); err != nil {
		t.Fatal(err)
	}
	accessTest{"another person's, granted", alice, "bob", true, true, false}.run(t, s)
	if err := s.GrantFullAccess(alice, "nobody@"+Domain); err == nil {
		t.Error("granted a right on a mailbox that does not exist")
	}
}

func TestPersonalMailbox(t *testing.T) {
	s := start(t, Options{})
	login := imapHello + "C: A1 AUTHENTICATE XOAUTH2 "
	talk(t, s, s.IMAP(), login+response(carol, s.IssueToken(carol, TokenOptions{}))+"\nS: A1 OK AUTHENTICATE completed.")
	for _, user := range []string{"", alice} {
		talk(t, s, s.IMAP(), login+response(carol, s.IssueToken(user, TokenOptions{}))+"\nS: A1 NO AUTHENTICATE failed.")
	}
}

func TestSendAs(t *testing.T) {
	s := start(t, Options{})
	send := func(outcome string) {
		t.Helper()
		p := dial(t, s, s.SMTP())
		p.token = s.IssueToken(alice, TokenOptions{})
		p.talk(smtpLogin + `
			C: MAIL FROM:<shared@contoso.example>
			S~ 250 .*
			C: RCPT TO:<bob@contoso.example>
			S~ 250 .*
			C: DATA
			S~ 354 .*
			C: From: shared@contoso.example
			C: 
			C: .
			S~ ` + outcome)
	}
	send(`554 5\.2\.252 SendAsDenied; alice@contoso\.example not allowed to send as shared@contoso\.example; .*`)
	if err := s.GrantSendAs(alice, shared); err != nil {
		t.Fatal(err)
	}
	send(`250 2\.0\.0 OK .*`)
	if got := len(s.Messages(bob)); got != 1 {
		t.Errorf("%d messages arrived, want 1", got)
	}
}

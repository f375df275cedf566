package sandbox

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

type scenarioTest struct{ imap, pop3, smtp string }

// scenarioTests says what each scenario does in each protocol. {user} is its
// mailbox.
var scenarioTests = map[string]scenarioTest{
	"expired": {imapAccepted + `
		C: A2 IDLE
		S: + IDLE accepted, awaiting DONE command.
		S: * BYE Session invalidated - AccessTokenExpired
		EOF:`, pop3RefusedLogin, smtpRefused},
	"refuse": {imapRefused, pop3RefusedLogin, smtpRefused},
	// The peer uses one token, and all protocols refuse it.
	"refuse-once": {imapRefused, pop3RefusedLogin, smtpRefused},
	"not-connected": {imapAccepted + `
		C: A2 CAPABILITY
		S~ \* CAPABILITY IMAP4 .*
		S: A2 OK CAPABILITY completed.
		C: A3 NAMESPACE
		S: A3 BAD User is authenticated but not connected.
		C: A4 NOOP
		S: A4 OK NOOP completed.
		C: A5 LIST "" "*"
		S: A5 BAD User is authenticated but not connected.
		C: A6 SELECT INBOX
		S: A6 BAD User is authenticated but not connected.
		S: * BYE Connection closed. 14
		EOF:`, pop3RefusedLogin, sends(accepted)},
	"not-connected-2026": {imapHello + `
		C: A1 AUTHENTICATE XOAUTH2 {user}
		S: A1 NO User is authenticated but not connected.`, pop3RefusedLogin, sends(accepted)},
	"no-rights": {imapAccepted + `
		C: A2 LIST "" ""
		S: A2 BAD User is authenticated but not connected.
		C: A3 ID NIL
		S~ \* ID .*
		S: A3 OK ID completed.
		C: A4 LOGOUT
		S: * BYE Microsoft Exchange Server IMAP4 server signing off.
		S: A4 OK LOGOUT completed.
		EOF:`, pop3RefusedLogin, sends(`
		S~ 430 4\.2\.0 STOREDRV; mailbox logon failure; .*MapiExceptionLogonFailed.*` + hostname)},
	"smtp-disabled": {imapWorks, pop3Works, smtpHello + `
		C: AUTH XOAUTH2 {user}
		S~ 535 5\.7\.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox\. Visit https://aka\.ms/smtp_auth_disabled for more information\.` + suffix},
	"smtp-disabled-tenant": {imapWorks, pop3Works, smtpHello + `
		C: AUTH XOAUTH2 {user}
		S~ 535 5\.7\.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant\. Visit https://aka\.ms/smtp_auth_disabled for more information\.` + suffix},
	"security-defaults": {imapWorks, pop3Works, smtpHello + `
		C: AUTH XOAUTH2 {user}
		S~ 535 5\.7\.139 Authentication unsuccessful, user is locked by your organization's security defaults policy\. Contact your administrator\.` + suffix},
	"conditional-access": {imapWorks, pop3Works, smtpHello + `
		C: AUTH XOAUTH2 {user}
		S~ 535 5\.7\.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully\. Contact your administrator\.` + suffix},
	"basic-disabled":        policyRefuses("535 5.7.139 Authentication unsuccessful, basic authentication is disabled."),
	"basic-not-supported":   policyRefuses("550 5.7.30 Basic authentication is not supported for Client Submission."),
	"credentials-incorrect": policyRefuses("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."),
	"account-locked":        policyRefuses("535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator."),
	"sts-unreachable":       policyRefuses("535 5.7.139 Authentication unsuccessful, federated STS service was unreachable."),
	"sts-without-https":     policyRefuses("535 5.7.139 Authentication unsuccessful, the federated STS URL does not support HTTPS."),
	"not-authenticated": {imapWorks, pop3Works, smtpAccepted + `
		C: MAIL FROM:<{address}>
		S~ 530 5\.7\.57 Client not authenticated to send mail\. Error: 535 5\.7\.3 Authentication unsuccessful` + suffix},
	"not-authenticated-disabled": {imapWorks, pop3Works, smtpAccepted + `
		C: MAIL FROM:<{address}>
		S~ 530 5\.7\.57 Client not authenticated to send mail\. Error: 535 5\.7\.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant\. Visit https://aka\.ms/smtp_auth_disabled for more information\.` + suffix},
	"imap-disabled": {imapNotConnectedAtAll, pop3Works, sends(accepted)},
	"pop-disabled":  {imapWorks, pop3RefusedLogin, sends(accepted)},
	"no-licence":    {imapNotConnectedAtAll, pop3RefusedLogin, sends(accepted)},
	// The peer's token is an application's.
	"wrong-object-id": {imapRefused, pop3RefusedLogin, smtpRefused},
	"unknown-mailbox": {imapRefused, pop3RefusedLogin, smtpRefused},
	"other-user":      {imapWorks, pop3Works, smtpAccepted},
	"too-many-connections": {imapWorks, pop3Works, sends(`
		S~ 432 4\.3\.2 Concurrent connections limit exceeded\. Visit https://aka\.ms/concurrent_sending for more information\.` + hostname)},
	"send-as-refused": {imapWorks, pop3Works, smtpAccepted + `
		C: MAIL FROM:<{address}>
		S~ 550 5\.7\.60 SMTP; Client does not have permissions to send as this sender` + suffix},
	"send-as-denied": {imapWorks, pop3Works, sends(`
		S~ 554 5\.2\.252 SendAsDenied; .*` + hostname)},
	"mailbox-full": {imapWorks, pop3Works, sends(`
		S~ 554 5\.2\.2 mailbox full; STOREDRV\.Submission\.Exception:QuotaExceededException\.MapiExceptionShutoffQuotaExceeded; .*` + hostname)},
	"daily-quota": {imapWorks, pop3Works, sends(`
		S~ 554 5\.2\.0 STOREDRV\.Submission\.Exception:SubmissionQuotaExceededException; .*` + hostname)},
	"server-busy": {imapWorks, pop3Works, sends(`
		S~ 451 4\.7\.0 Temporary server error\. Please try again later\. PRX2.*`)},
	"throttled": {imapAccepted + `
		C: A2 LIST "" ""
		S: * LIST (\Noselect) "/" ""
		S~ A2 OK .*
		C: A3 SELECT INBOX
		S: A3 BAD Request is throttled. Suggested Backoff Time: 1000 milliseconds
		C: A4 SELECT INBOX
		S: * 0 EXISTS`, pop3Works, sends(`
		S: 421 4.4.2 Message submission rate for this client has exceeded the configured limit
		EOF:`)},
	"throttled-login": {imapHello + `
		C: A1 AUTHENTICATE XOAUTH2 {user}
		S: A1 NO Request is throttled. Suggested Backoff Time: 92415 milliseconds`, pop3Works, sends(accepted)},
	"throttled-always": {imapAccepted + `
		C: A2 LIST "" ""
		S: A2 BAD Request is throttled. Suggested Backoff Time: 60000 milliseconds
		C: A3 NOOP
		S: A3 BAD Request is throttled. Suggested Backoff Time: 60000 milliseconds`, pop3Works, sends(accepted)},
	"expired-in-command": {imapAccepted + `
		C: A2 NOOP
		S~ A2 OK .*
		C: A3 SELECT INBOX
		S: A3 BAD Session invalidated - AccessTokenExpired
		EOF:`, pop3Works, sends(accepted)},
	"session-invalid": {imapAccepted + `
		C: A2 SELECT INBOX
		S: * BYE Session invalidated - Invalid
		EOF:`, pop3Works, sends(accepted)},
	"unavailable": {imapAccepted + `
		C: A2 SELECT INBOX
		S: A2 BAD Server Unavailable. 15
		S: * BYE Connection closed.
		EOF:`, pop3Works, sends(accepted)},
	"idle-too-long": {imapAccepted + `
		C: A2 IDLE
		S: + IDLE accepted, awaiting DONE command.
		S: * BYE Connection is closed. 13
		EOF:`, pop3Works, sends(accepted)},
	"closed-at-login": {imapHello + `
		C: A1 AUTHENTICATE XOAUTH2 {user}
		S: * BYE Connection closed. 14
		EOF:`, pop3Works, sends(accepted)},
	"drop-after-login": {imapAccepted + `
		C: A2 NOOP
		EOF:`, pop3Works, sends(accepted)},
	"unknown-recipient": {imapWorks, pop3Works, smtpAccepted + `
		C: MAIL FROM:<{address}>
		S~ 250 .*
		C: RCPT TO:<{address}>
		S~ 550 5\.1\.10 RESOLVER\.ADR\.RecipientNotFound; .*` + suffix},
	"busy-recipient": {imapWorks, pop3Works, smtpAccepted + `
		C: MAIL FROM:<{address}>
		S~ 250 .*
		C: RCPT TO:<{address}>
		S~ 451 4\.7\.500 Server busy\. .*` + suffix},
	"slow":  {imapWorks, pop3Works, sends(accepted)},
	"stall": {imapHello + "C: A1 AUTHENTICATE XOAUTH2 {user}", pop3Hello + "C: AUTH XOAUTH2\nS: + \nC: {user}", smtpHello + "C: AUTH XOAUTH2 {user}"},
	"drop": {imapHello + `
		C: A1 AUTHENTICATE XOAUTH2 {user}
		EOF:`, pop3Hello + `
		C: AUTH XOAUTH2
		S: + 
		C: {user}
		EOF:`, smtpHello + `
		C: AUTH XOAUTH2 {user}
		EOF:`},
	"drop-later": {imapAccepted + `
		C: A2 NOOP
		S~ A2 OK .*
		C: A3 SELECT INBOX
		EOF:`, pop3Accepted + `
		C: STAT
		S: +OK 1 18
		C: RETR 1
		EOF:`, sends(`
		EOF:`)},
	"garbage": {imapAccepted + `
		C: A2 CAPABILITY
		S: ` + garbageLine, pop3Accepted + `
		C: STAT
		S: ` + garbageLine, smtpAccepted + `
		C: MAIL FROM:<{address}>
		S: ` + garbageLine},
}

const (
	imapWorks = imapAccepted + `
		C: A2 SELECT INBOX
		S~ \* \d EXISTS`
	imapNotConnectedAtAll = imapAccepted + `
		C: A2 LIST "" ""
		S: A2 BAD User is authenticated but not connected.`
	pop3Works = pop3Accepted + `
		C: STAT
		S: +OK 1 18`
)

// policyRefuses is a mailbox that SMTP alone refuses, at AUTH.
func policyRefuses(reply string) scenarioTest {
	return scenarioTest{imapWorks, pop3Works, smtpHello + `
		C: AUTH XOAUTH2 {user}
		S~ ` + regexp.QuoteMeta(reply) + suffix}
}

// sends is a login over SMTP and a message, which gets that reply.
func sends(reply string) string {
	return smtpAccepted + `
		C: MAIL FROM:<{address}>
		S~ 250 .*
		C: RCPT TO:<bob@contoso.example>
		S~ 250 .*
		C: DATA
		S~ 354 .*
		C: From: {address}
		C: 
		C: .` + reply
}

func TestScenarios(t *testing.T) {
	s := start(t, Options{SlowDelay: time.Millisecond})
	for _, sc := range Scenarios() {
		t.Run(sc.Name, func(t *testing.T) {
			tt, ok := scenarioTests[sc.Name]
			if !ok {
				t.Fatal("no test")
			}
			token := s.IssueToken("", TokenOptions{})
			for _, try := range []struct{ address, dialogue string }{
				{s.IMAP(), tt.imap}, {s.POP3(), tt.pop3}, {s.SMTP(), tt.smtp},
			} {
				if try.address == s.POP3() {
					s.Deliver(sc.Name+"@"+Domain, []byte("Subject: a test\r\n\r"))
				}
				p := dial(t, s, try.address)
				p.token = token
				p.talk(as(sc.Name, strings.ReplaceAll(try.dialogue, "{address}", sc.Name+"@"+Domain)))
			}
		})
	}
}

// TestRefuseOnce refuses one token for ever, and no other.
func TestRefuseOnce(t *testing.T) {
	s := start(t, Options{})
	revoked := dial(t, s, s.SMTP())
	revoked.talk(as("refuse-once", smtpRefused) + as("refuse-once", `
		C: AUTH XOAUTH2 {user}
		S~ 535 .*`))
	talk(t, s, s.SMTP(), as("refuse-once", smtpAccepted)) // another peer, another token
	again := dial(t, s, s.IMAP())
	again.token = revoked.token
	again.talk(as("refuse-once", imapRefused))
}

// TestPeoplesTokens: what makes a difference to people's tokens and to those
// of applications.
func TestPeoplesTokens(t *testing.T) {
	s := start(t, Options{})
	accessTest{"object id", "wrong-object-id@" + Domain, "wrong-object-id", true, true, true}.run(t, s)
	accessTest{"no right", alice, "other-user", false, false, false}.run(t, s)
	accessTest{"no mailbox", alice, "unknown-mailbox", false, false, false}.run(t, s)
	if got := s.Password("unknown-mailbox@" + Domain); got != "" {
		t.Error("somebody signs in whose mailbox does not exist")
	}
}

func TestScenarioTable(t *testing.T) {
	s := start(t, Options{})
	mailboxes := s.Mailboxes()
	if want := []string{alice, "bob@contoso.example", "scanner@contoso.example"}; !slices.Equal(mailboxes[:3], want) {
		t.Errorf("Mailboxes begins with %q, want %q", mailboxes[:3], want)
	}
	marks := []Mark{Certain, Reported, Inferred, NotExchange}
	for _, sc := range Scenarios() {
		if !slices.Contains(mailboxes, sc.Name+"@"+Domain) {
			t.Errorf("%s has no mailbox", sc.Name)
		}
		if sc.What == "" || !slices.Contains(marks, sc.Mark) {
			t.Errorf("%s: What %q, Mark %q", sc.Name, sc.What, sc.Mark)
		}
	}
	if got := len(scenarioTests); got != len(Scenarios()) {
		t.Errorf("%d scenarios, %d tests", len(Scenarios()), got)
	}
}

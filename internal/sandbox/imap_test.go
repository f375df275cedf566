package sandbox

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// imapHello is how every IMAP connection begins.
const imapHello = `
	S~ \* OK The Microsoft Exchange IMAP4 service is ready\. \[[A-Za-z0-9+/]+=*\]
`

// imapLogin logs alice in.
const imapLogin = imapHello + `
	C: A1 AUTHENTICATE XOAUTH2 {alice}
	S: A1 OK AUTHENTICATE completed.
`

var imapBeforeLogin = []struct{ name, dialogue string }{
	{"capabilities", `
			C: A1 CAPABILITY
			S: * CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+
			S: A1 OK CAPABILITY completed.`},
	{"verbs in lower case", `
			C: a noop
			S: a OK NOOP completed.`},
	{"ID", `
			C: A2 ID ("name" "x")
			S: * ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")
			S: A2 OK ID completed.`},
	{"LOGOUT", `
			C: A3 LOGOUT
			S: * BYE Microsoft Exchange Server IMAP4 server signing off.
			S: A3 OK LOGOUT completed.
			EOF:`},
	{"one step", `
			C: A1 AUTHENTICATE XOAUTH2 {alice}
			S: A1 OK AUTHENTICATE completed.`},
	{"two steps", `
			C: A1 AUTHENTICATE XOAUTH2
			S: + 
			C: {alice}
			S: A1 OK AUTHENTICATE completed.`},
	{"LOGIN", `
			C: A1 LOGIN alice@contoso.example secret
			S: A1 NO Basic authentication is disabled.`},
	{"PLAIN", `
			C: A1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
			S: A1 NO Basic authentication is disabled.`},
	{"unknown mechanism", `
			C: A1 AUTHENTICATE OAUTHBEARER bixhPWFsaWNl
			S: A1 BAD Command Argument Error. 11`},
	{"command that needs a login", `
			C: A1 SELECT INBOX
			S: A1 BAD Command received in Invalid state.`},
	{"unknown command", `
			C: A1 FROBNICATE
			S: A1 BAD Command Error. 12`},
	{"STARTTLS over TLS", `
			C: A1 STARTTLS
			S: A1 BAD Command Error. 12`},
	{"many errors", strings.Repeat(`
			C: A1 LOGIN a b
			S: A1 NO Basic authentication is disabled.`, 10) + `
			S: * BYE Connection closed. 14
			EOF:`},
	{"endless line", `
			C> A1 ` + strings.Repeat("x", maxLine) + `
			S: * BYE Connection is closed. 10
			EOF:`},
	{"second try after a refusal", `
			C: A1 AUTHENTICATE XOAUTH2 AAAA
			S: A1 NO AUTHENTICATE failed.
			C: A2 AUTHENTICATE XOAUTH2 {alice}
			S: A2 OK AUTHENTICATE completed.`},
}

func TestIMAPBeforeLogin(t *testing.T) {
	s := start(t, Options{})
	for _, tt := range imapBeforeLogin {
		t.Run(tt.name, func(t *testing.T) { talk(t, s, s.IMAP(), imapHello+tt.dialogue) })
	}
}

func TestIMAPStartTLS(t *testing.T) {
	s := start(t, Options{IMAPStartTLSAddress: "127.0.0.1:0"})
	talk(t, s, s.IMAPStartTLS(), imapHello+`
		C: A1 CAPABILITY
		S: * CAPABILITY IMAP4 IMAP4rev1 LOGINDISABLED STARTTLS SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+
		S: A1 OK CAPABILITY completed.
		C: A2 AUTHENTICATE XOAUTH2 {alice}
		S: A2 BAD Command received in Invalid state.
		C: A3 STARTTLS
		S: A3 OK Begin TLS negotiation now.
		TLS:
		C: A4 AUTHENTICATE XOAUTH2 {alice}
		S: A4 OK AUTHENTICATE completed.`)
}

// TestIMAPInjection sends a command in clear behind STARTTLS: it must not be
// answered inside TLS.
func TestIMAPInjection(t *testing.T) {
	s := start(t, Options{IMAPStartTLSAddress: "127.0.0.1:0"})
	p := talk(t, s, s.IMAPStartTLS(), imapHello)
	p.send("A1 STARTTLS\r\nA2 NOOP\r\n")
	p.talk(`
		S: A1 OK Begin TLS negotiation now.
		TLS:
		C: A3 NOOP
		S: A3 OK NOOP completed.`)
}

// imapAsksAgain is a command that the stand-in answers itself: it shows that
// it knows where commands begin.
const imapAsksAgain = `
			C: A9 CAPABILITY
			S~ \* CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 .*
			S: A9 OK CAPABILITY completed.`

var imapAfterLogin = []struct{ name, dialogue string }{
	{"capabilities", `
			C: A2 CAPABILITY
			S: * CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+
			S: A2 OK CAPABILITY completed.`},
	{"ID", `
			C: A2 ID NIL
			S: * ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")
			S: A2 OK ID completed.
			C: A3 NOOP
			S~ A3 OK NOOP completed.*`},
	{"namespace and root", `
			C: A2 NAMESPACE
			S: * NAMESPACE (("" "/")) NIL NIL
			S~ A2 OK .*
			C: A3 LIST "" ""
			S: * LIST (\Noselect) "/" ""
			S~ A3 OK .*`},
	{"folders", `
			C: A2 LIST "" "*"
			S: * LIST (\HasNoChildren) "/" INBOX
			S: * LIST (\HasNoChildren \Sent) "/" "Sent Items"
			S~ A2 OK .*`},
	{"IDLE", `
			C: A2 SELECT INBOX
			S: * 0 EXISTS
			S: * 0 RECENT
			S~ \* OK \[UIDVALIDITY 1\] .*
			S~ \* OK \[UIDNEXT 1\] .*
			S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft $MDNSent)
			S~ \* OK \[PERMANENTFLAGS \(\\Seen \\Answered \\Flagged \\Deleted \\Draft \$MDNSent\)\] .*
			S~ A2 OK \[READ-WRITE\] SELECT completed.*
			C: A3 IDLE
			S: + IDLE accepted, awaiting DONE command.
			C: DONE
			S~ A3 OK IDLE completed.*
			C: A4 LOGOUT
			S: * BYE Microsoft Exchange Server IMAP4 server signing off.
			S: A4 OK LOGOUT completed.
			EOF:`},
	{"extension that Exchange lacks", `
			C: A2 ENABLE CONDSTORE
			S: A2 BAD Command Error. 12
			C: A3 GETQUOTAROOT INBOX
			S: A3 BAD Command Error. 12`},
	{"literal that looks like commands", `
			C: A2 APPEND "Sent Items" {31}
			S~ \+ .*
			C: A9 LOGOUT
			C: From: a@b
			C: 
			C: {5+}x
			C: 
			S~ A2 OK \[APPENDUID .*` + imapAsksAgain},
	{"literal without waiting", `
			C: A2 APPEND "Sent Items" {9+}
			C> A3 LOGOUT
			C: 
			S~ A2 OK \[APPENDUID .*` + imapAsksAgain},
	{"empty literal", `
			C: A2 APPEND "Sent Items" {0}
			S~ \+ .*
			C: 
			S~ A2 OK \[APPENDUID .*` + imapAsksAgain},
	{"two literals", `
			C: A2 LIST {0+}
			C>  {10}
			C: 
			S~ \+ .*
			C> Sent Items
			C: 
			S~ \* LIST \(.*\) "/" "Sent Items"
			S~ A2 OK .*` + imapAsksAgain},
	{"folders that are not there", `
			C: A2 SELECT Archive
			S~ A2 NO \[NONEXISTENT\].*
			C: A3 STATUS Archive (MESSAGES)
			S~ A3 NO .*
			C: A4 SUBSCRIBE Archive
			S~ A4 NO .*
			C: A5 RENAME Archive Other
			S~ A5 NO .*
			C: A6 CREATE inbox
			S~ A6 NO \[ALREADYEXISTS\].*
			C: A7 APPEND Archive {1+}
			C: x
			S~ A7 NO \[TRYCREATE\].*`},
	{"subscriptions", `
			C: A2 UNSUBSCRIBE INBOX
			S~ A2 OK .*
			C: A3 LSUB "" "I*"
			S~ \* LSUB \(.*\) "/" INBOX
			S~ A3 OK .*`},
	{"literal that is declined", `
			C: A2 APPEND "Sent Items" {999999999}
			S~ A2 NO \[TOOBIG\].*` + imapAsksAgain},
	{"long line", `
			C: A2 LOGOUT ` + strings.Repeat("x", 2*maxLine) + `
			S~ A2 BAD .*` + imapAsksAgain},
}

func TestIMAPAfterLogin(t *testing.T) {
	s := start(t, Options{})
	for _, tt := range imapAfterLogin {
		t.Run(tt.name, func(t *testing.T) { talk(t, s, s.IMAP(), imapLogin+tt.dialogue) })
	}
}

// TestIMAPPipelined sends everything in one write: what stands behind the
// credentials must reach go-imap's server.
func TestIMAPPipelined(t *testing.T) {
	s := start(t, Options{})
	p := dial(t, s, s.IMAP())
	p.send(p.fill("A1 AUTHENTICATE XOAUTH2 {alice}\r\nA2 CAPABILITY\r\nA3 LIST \"\" \"\"\r\nA4 NOOP\r\nA5 LOGOUT\r\n"))
	p.talk(imapHello + `
		S: A1 OK AUTHENTICATE completed.
		S~ \* CAPABILITY IMAP4 .*
		S: A2 OK CAPABILITY completed.
		S: * LIST (\Noselect) "/" ""
		S~ A3 OK .*
		S~ A4 OK .*
		S: * BYE Microsoft Exchange Server IMAP4 server signing off.
		S: A5 OK LOGOUT completed.
		EOF:`)
}

func TestIMAPNewMailInIdle(t *testing.T) {
	s := start(t, Options{})
	p := talk(t, s, s.IMAP(), imapLogin+`
		C: A2 EXAMINE INBOX
		S: * 0 EXISTS
		S: * 0 RECENT
		S~ \* OK \[UIDVALIDITY .*
		S~ \* OK \[UIDNEXT .*
		S~ \* FLAGS .*
		S~ \* OK \[PERMANENTFLAGS .*
		S~ A2 OK \[READ-ONLY\] .*
		C: A3 IDLE
		S: + IDLE accepted, awaiting DONE command.`)
	if err := s.Deliver(alice, []byte("Subject: new\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	p.talk(`
		S: * 1 EXISTS
		C: DONE
		S~ A3 OK .*`)
}

// TestIMAPTokensExpire ends sessions whose token is no longer good.
func TestIMAPTokensExpire(t *testing.T) {
	s := start(t, Options{})
	p := talk(t, s, s.IMAP(), imapLogin+`
		C: A2 IDLE
		S: + IDLE accepted, awaiting DONE command.`)
	s.ExpireTokens()
	p.talk(`
		S: * BYE Session invalidated - AccessTokenExpired
		EOF:`)
	again := dial(t, s, s.IMAP())
	again.token = p.token
	again.talk(imapHello + `
		C: A1 AUTHENTICATE XOAUTH2 {alice}
		S: A1 NO AUTHENTICATE failed.`)
}

// TestIMAPTokenRunsOut waits until a token's time has come.
func TestIMAPTokenRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		conn := newIMAPConn(newLineConn(t.Context(), server), login{})
		go conn.Read(make([]byte, 100))
		const lifetime = 30 * time.Minute
		begin := time.Now()
		stop := conn.endAt(begin.Add(lifetime))
		defer stop()

		said, err := io.ReadAll(client)
		if want := imapExpired + "\r\n"; err != nil || string(said) != want {
			t.Errorf("got %q, %v, want %q and the end", said, err, want)
		}
		if took := time.Since(begin); took != lifetime {
			t.Errorf("the session ended after %v, want %v", took, lifetime)
		}
	})
}

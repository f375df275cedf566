package sandbox

import (
	"strings"
	"testing"
)

// pop3Hello is how every POP3 connection begins.
const pop3Hello = `
	S~ \+OK The Microsoft Exchange POP3 service is ready\. \[[A-Za-z0-9+/]+=*\]
`

// pop3Login logs alice in.
const pop3Login = pop3Hello + `
	C: AUTH XOAUTH2
	S: + 
	C: {alice}
	S: +OK User successfully authenticated.
`

var pop3BeforeLogin = []struct{ name, dialogue string }{
	{"capabilities", `
			C: CAPA
			S: +OK
			S: TOP
			S: UIDL
			S: SASL PLAIN XOAUTH2
			S: USER
			S: .`},
	{"verbs in lower case", `
			C: quit
			S: +OK Microsoft Exchange Server POP3 server signing off.
			EOF:`},
	{"one line", `
			C: AUTH XOAUTH2 {alice}
			S: -ERR Protocol error. Connection is closed. 10
			EOF:`},
	{"password", `
			C: USER alice@contoso.example
			S: +OK
			C: PASS secret
			S: -ERR Basic authentication is disabled`},
	{"PASS without USER", `
			C: PASS secret
			S: -ERR Command is not valid in this state.`},
	{"PLAIN", `
			C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
			S: -ERR Basic authentication is disabled`},
	{"unknown mechanism", `
			C: AUTH OAUTHBEARER
			S: -ERR Command is not valid in this state.`},
	{"command that needs a login", `
			C: STAT
			S: -ERR Command is not valid in this state.`},
	{"STLS over TLS", `
			C: STLS
			S: -ERR Command is not valid in this state.`},
	{"many errors", strings.Repeat(`
			C: STAT
			S: -ERR Command is not valid in this state.`, 10) + `
			EOF:`},
	{"second try after a refusal", `
			C: AUTH XOAUTH2
			S: + 
			C: AAAA
			S: -ERR Authentication failure: unknown user name or bad password.
			C: AUTH XOAUTH2
			S: + 
			C: {alice}
			S: +OK User successfully authenticated.`},
}

func TestPOP3BeforeLogin(t *testing.T) {
	s := start(t, Options{})
	for _, tt := range pop3BeforeLogin {
		t.Run(tt.name, func(t *testing.T) { talk(t, s, s.POP3(), pop3Hello+tt.dialogue) })
	}
}

func TestPOP3StartTLS(t *testing.T) {
	s := start(t, Options{POP3StartTLSAddress: "127.0.0.1:0"})
	talk(t, s, s.POP3StartTLS(), pop3Hello+`
		C: CAPA
		S: +OK
		S: TOP
		S: UIDL
		S: SASL PLAIN XOAUTH2
		S: USER
		S: STLS
		S: .
		C: AUTH XOAUTH2
		S: -ERR Command is not valid in this state.
		C: STLS
		S: +OK Begin TLS negotiation.
		TLS:
		C: AUTH XOAUTH2
		S: + 
		C: {alice}
		S: +OK User successfully authenticated.`)
}

func TestPOP3LongToken(t *testing.T) {
	s := start(t, Options{})
	p := dial(t, s, s.POP3())
	p.token = s.IssueToken("", TokenOptions{Length: 5000})
	p.talk(pop3Hello + `
		C: AUTH XOAUTH2
		S: + 
		C: {alice}
		S: -ERR Protocol error. Connection is closed. 10
		EOF:`)
}

// pop3Visit goes through a mailbox of three messages and deletes the first.
const pop3Visit = pop3Login + `
		C: STAT
		S: +OK 3 84
		C: LIST
		S: +OK 3 84
		S: 1 39
		S: 2 27
		S: 3 18
		S: .
		C: LIST 2
		S: +OK 2 27
		C: UIDL
		S: +OK 3 84
		S: 1 1-1
		S: 2 1-2
		S: 3 1-3
		S: .
		C: UIDL 3
		S: +OK 3 1-3
		C: RETR 1
		S: +OK
		S: Subject: one
		S: 
		S: first
		S: ..
		S: ...two
		S: last
		S: .
		C: TOP 1 2
		S: +OK
		S: Subject: one
		S: 
		S: first
		S: ..
		S: .
		C: TOP 2 9
		S: +OK
		S: Subject: two
		S: 
		S: no line end
		S: .
		C: TOP 1
		S: -ERR Command is not valid in this state.
		C: DELE 2
		S: +OK
		C: RETR 2
		S: -ERR The specified message is out of range.
		C: STAT
		S: +OK 2 57
		C: LIST
		S: +OK 2 57
		S: 1 39
		S: 3 18
		S: .
		C: RSET
		S: +OK
		C: STAT
		S: +OK 3 84
		C: DELE 1
		S: +OK
		C: NOOP
		S: +OK
		C: USER alice
		S: -ERR Command is not valid in this state.
		C: RETR 4
		S: -ERR The specified message is out of range.
		C: QUIT
		S: +OK Microsoft Exchange Server POP3 server signing off.
		EOF:`

func TestPOP3Mailbox(t *testing.T) {
	s := start(t, Options{})
	for _, m := range []string{
		"Subject: one\r\n\r\nfirst\r\n.\r\n..two\r\nlast\r\n",
		"Subject: two\r\n\r\nno line end",
		"Subject: three\r\n\r\n",
	} {
		if err := s.Deliver(alice, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	talk(t, s, s.POP3(), pop3Visit)
	// What is gone for POP3 is gone for IMAP, and ids stay.
	if got := fetchAll(t, logInIMAP(t, s, alice), inbox); len(got) != 2 {
		t.Errorf("IMAP shows %d messages, want 2", len(got))
	}
	talk(t, s, s.POP3(), pop3Login+`
		C: UIDL
		S: +OK 2 45
		S: 1 1-2
		S: 2 1-3
		S: .`)
}

// TestPOP3LostConnection deletes a message and leaves without QUIT: nothing is
// deleted (RFC 1939 section 6).
func TestPOP3LostConnection(t *testing.T) {
	s := start(t, Options{})
	s.Deliver(alice, []byte("Subject: stays\r\n\r\n"))
	p := talk(t, s, s.POP3(), pop3Login+`
		C: DELE 1
		S: +OK`)
	p.conn.Close()
	if got := s.Messages(alice); len(got) != 1 {
		t.Errorf("%d messages, want 1", len(got))
	}
}

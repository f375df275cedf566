package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
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

func TestIMAPBeforeLogin(t *testing.T) {
	s := start(t, Options{})
	tests := []struct{ name, dialogue string }{
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
	for _, tt := range tests {
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

func TestIMAPAfterLogin(t *testing.T) {
	s := start(t, Options{})
	tests := []struct{ name, dialogue string }{
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
			S~ A2 OK \[APPENDUID .*
			C: A3 NOOP
			S~ A3 OK .*`},
		{"literal without waiting", `
			C: A2 APPEND "Sent Items" {9+}
			C> A3 LOGOUT
			C: 
			S~ A2 OK \[APPENDUID .*
			C: A3 NOOP
			S~ A3 OK .*`},
		{"literal that is declined", `
			C: A2 APPEND "Sent Items" {999999999}
			S~ A2 NO \[TOOBIG\].*
			C: A3 CAPABILITY
			S~ \* CAPABILITY IMAP4 .*
			S: A3 OK CAPABILITY completed.`},
		{"long line", `
			C: A2 LOGOUT ` + strings.Repeat("x", 2*maxLine) + `
			S~ A2 BAD .*
			C: A3 NOOP
			S~ A3 OK .*`},
	}
	for _, tt := range tests {
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

func TestIMAPTokenRunsOut(t *testing.T) {
	s := start(t, Options{})
	t.Run("while idle", func(t *testing.T) {
		p := dial(t, s, s.IMAP())
		p.token = s.IssueToken("", TokenOptions{Lifetime: 3 * time.Second})
		p.talk(imapLogin + `
			S: * BYE Session invalidated - AccessTokenExpired
			EOF:`)
	})
	t.Run("all at once", func(t *testing.T) {
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
	})
}

// logInIMAP connects go-imap's client.
func logInIMAP(t *testing.T, s *Sandbox, user string) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialTLS(s.IMAP(), &imapclient.Options{TLSConfig: clientTLS(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Authenticate(xoauth2{user, s.IssueToken("", TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestIMAPBytes checks that a message comes back as it was, however odd.
func TestIMAPBytes(t *testing.T) {
	messages := []string{
		"Subject: ordinary\r\n\r\nbody\r\n",
		"no header at all\r\n",
		"Subject: no body",
		" leading blank\r\n\r\n",
		"Subject: bare LF\n\nbody\n",
		"Subject: bytes\r\n\r\n\x00\x01\xff\r\r\n.\r\n",
		"",
	}
	s := start(t, Options{})
	for _, m := range messages {
		if err := s.Deliver(alice, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	got := fetchAll(t, logInIMAP(t, s, alice), inbox)
	if len(got) != len(messages) {
		t.Fatalf("%d messages, want %d", len(got), len(messages))
	}
	for i, m := range messages {
		if got[i] != m {
			t.Errorf("message %d = %q, want %q", i+1, got[i], m)
		}
	}
}

// TestIMAPMailbox goes through what a mail program does with a mailbox.
func TestIMAPMailbox(t *testing.T) {
	s := start(t, Options{})
	for _, subject := range []string{"one", "two", "three"} {
		s.Deliver(alice, []byte("Subject: "+subject+"\r\nDate: Sat, 22 Nov 2026 10:00:00 +0000\r\n\r\ntext of "+subject+"\r\n"))
	}
	c := logInIMAP(t, s, alice)
	if err := c.Create("Archive", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("inbox", nil).Wait(); err != nil {
		t.Fatal(err)
	}

	searches := []struct {
		name     string
		criteria imap.SearchCriteria
		want     string
	}{
		{"subject", imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "TWO"}}}, "2"},
		{"body", imap.SearchCriteria{Body: []string{"text of t"}}, "2:3"},
		{"not", imap.SearchCriteria{Not: []imap.SearchCriteria{{Text: []string{"one"}}}}, "2:3"},
		{"or", imap.SearchCriteria{Or: [][2]imap.SearchCriteria{{{Body: []string{"one"}}, {Body: []string{"three"}}}}}, "1,3"},
		{"set", imap.SearchCriteria{SeqNum: []imap.SeqSet{{{Start: 2, Stop: 0}}}}, "2:3"},
		{"last", imap.SearchCriteria{UID: []imap.UIDSet{{{Start: 9, Stop: 0}}}}, "3"},
		{"unseen", imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, "1:3"},
		{"seen", imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen}}, ""},
		{"larger", imap.SearchCriteria{Larger: 10000}, ""},
		{"smaller", imap.SearchCriteria{Smaller: 10000}, "1:3"},
		{"sent before", imap.SearchCriteria{SentBefore: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}, ""},
		{"sent since", imap.SearchCriteria{SentSince: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}, "1:3"},
		{"arrived before", imap.SearchCriteria{Before: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, ""},
	}
	for _, tt := range searches {
		data, err := c.Search(&tt.criteria, nil).Wait()
		if err != nil {
			t.Fatal(err)
		}
		if got := data.All.String(); got != tt.want {
			t.Errorf("SEARCH %s = %q, want %q", tt.name, got, tt.want)
		}
	}

	if _, err := c.Move(imap.SeqSetNum(1), "Archive").Wait(); err != nil {
		t.Fatal(err)
	}
	store := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}
	if _, err := c.Store(imap.SeqSetNum(1), store, nil).Collect(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Expunge().Collect(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Copy(imap.SeqSetNum(1), "Archive").Wait(); err != nil {
		t.Fatal(err)
	}
	if got := s.Messages(alice); len(got) != 1 || !strings.Contains(string(got[0]), "three") {
		t.Errorf("INBOX = %q, want the third message alone", got)
	}
	status, err := c.Status("Archive", &imap.StatusOptions{NumMessages: true, NumUnseen: true}).Wait()
	if err != nil {
		t.Fatal(err)
	}
	if *status.NumMessages != 2 || *status.NumUnseen != 2 {
		t.Errorf("STATUS Archive = %d messages, %d unseen, want 2 and 2", *status.NumMessages, *status.NumUnseen)
	}
	if err := c.Rename("Archive", "Old", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete("Old").Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete("INBOX").Wait(); err == nil {
		t.Error("INBOX could be deleted")
	}
}

func TestIMAPFetchItems(t *testing.T) {
	s := start(t, Options{})
	s.Deliver(alice, []byte("Subject: parts\r\nFrom: Bob <bob@contoso.example>\r\n\r\n0123456789\r\n"))
	talk(t, s, s.IMAP(), imapLogin+`
		C: A2 SELECT INBOX
		S: * 1 EXISTS
		S: * 0 RECENT
		S~ \* OK \[UNSEEN 1\] .*
		S~ \* OK \[UIDVALIDITY .*
		S~ \* OK \[UIDNEXT 2\] .*
		S~ \* FLAGS .*
		S~ \* OK \[PERMANENTFLAGS .*
		S~ A2 OK .*
		C: A3 FETCH 1 (UID RFC822.SIZE FLAGS)
		S: * 1 FETCH (UID 1 FLAGS () RFC822.SIZE 63)
		S~ A3 OK .*
		C: A4 FETCH * BODY.PEEK[]<2000.10>
		S: * 1 FETCH (BODY[]<2000> {0}
		S: )
		S~ A4 OK .*
		C: A5 FETCH 1 BODY.PEEK[]<0.7>
		S: * 1 FETCH (BODY[]<0> {7}
		S: Subject)
		S~ A5 OK .*
		C: A6 UID FETCH 1 BODY[TEXT]
		S: * 1 FETCH (UID 1 FLAGS (\Seen) BODY[TEXT] {12}
		S: 0123456789
		S: )
		S~ A6 OK .*
		C: A7 FETCH 1 (ENVELOPE BODYSTRUCTURE)
		S~ \* 1 FETCH \(ENVELOPE \(NIL "parts" \(\("Bob" NIL "bob" "contoso.example"\)\).*BODYSTRUCTURE \("text" "plain".*\)
		S~ A7 OK .*`)
}

package sandbox

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

var smtpTransactions = []struct {
	name, dialogue string
	want           []string // bob's messages
}{
	{"dots", smtpEnvelope + `
			C: DATA
			S: 354 Start mail input; end with <CRLF>.<CRLF>
			C: Subject: dots
			C: 
			C: ..
			C: ...x
			C: .y
			C: .` + accepted,
		[]string{"Subject: dots\r\n\r\n.\r\n..x\r\ny\r\n"}},
	{"empty message", smtpEnvelope + `
			C: DATA
			S~ 354 .*
			C: .` + accepted,
		[]string{""}},
	{"line longer than the buffer", smtpEnvelope + `
			C: DATA
			S~ 354 .*
			C: ` + strings.Repeat("x", 3*maxLine) + `
			C: .` + accepted,
		[]string{strings.Repeat("x", 3*maxLine) + "\r\n"}},
	{"two messages", strings.Repeat(smtpEnvelope+`
			C: DATA
			S~ 354 .*
			C: text
			C: .`+accepted, 2),
		[]string{"text\r\n", "text\r\n"}},
	{"chunks", smtpEnvelope + `
			C: BDAT 6
			C> .` + "\x00" + `
			C> 12` + "\x7f" + `
			C> .
			S: 250 2.6.0 CHUNK received OK, 6 octets
			C: BDAT 0
			S: 250 2.6.0 CHUNK received OK, 0 octets
			C: BDAT 2 last
			C: ` + accepted,
		[]string{".\x0012\x7f.\r\n"}},
	{"DATA amid chunks", smtpEnvelope + `
			C: BDAT 1
			C> x
			S~ 250 .*
			C: DATA
			S~ 503 .*
			C: RSET
			S~ 250 .*`, nil},
	{"chunk without a transaction", `
			C: BDAT 6 LAST
			C: NOOP
			S~ 503 5\.5\.2 Need mail command.*
			C: NOOP
			S: 250 2.0.0 OK`, nil},
	{"chunk without recipients", `
			C: MAIL FROM:<alice@contoso.example>
			S~ 250 .*
			C: BDAT 6 LAST
			C: NOOP
			S~ 503 5\.5\.2 Need rcpt command.*`, nil},
	{"bad chunk size", smtpEnvelope + `
			C: BDAT many
			S~ 501 5\.5\.4 Invalid arguments.*
			EOF:`, nil},
	{"recipients here and elsewhere", `
			C: MAIL FROM:<Alice@Contoso.example> AUTH=<> RET=HDRS ENVID=x SMTPUTF8 BODY=8BITMIME
			S~ 250 .*
			C: RCPT TO:<bob@contoso.example>
			S~ 250 .*
			C: RCPT TO:<BOB@CONTOSO.EXAMPLE>
			S~ 250 .*
			C: RCPT TO:<someone@fabrikam.example>
			S~ 250 .*
			C: RCPT TO:<nobody@contoso.example>
			S~ 250 .*
			C: DATA
			S~ 354 .*
			C: text
			C: .` + accepted,
		[]string{"text\r\n"}},
	{"quoted address", `
			C: MAIL FROM:<alice@contoso.example>
			S~ 250 .*
			C: RCPT TO:<"a b> NOTIFY=NEVER ORCPT=rfc822;x"@fabrikam.example>
			S: 250 2.1.5 Recipient OK
			C: RCPT TO:<"a\"b"@fabrikam.example> NOTIFY=NEVER
			S: 250 2.1.5 Recipient OK`, nil},
	{"bad arguments", `
			C: MAIL FROM:alice@contoso.example
			S~ 501 5\.5\.4 Invalid arguments` + suffix + `
			C: MAIL TO:<alice@contoso.example>
			S~ 501 .*
			C: MAIL FROM:<alice@contoso.example> FROB=1
			S~ 501 .*
			C: MAIL FROM:<alice@contoso.example> SIZE=big
			S~ 501 .*
			C: MAIL FROM:<alice@contoso.example> SIZE=157286401
			S~ 552 5\.3\.4 Message size exceeds fixed maximum message size.*
			C: MAIL FROM:<alice@contoso.example> SIZE=157286400
			S~ 250 .*
			C: MAIL FROM:<alice@contoso.example>
			S~ 503 5\.5\.2 Sender already specified.*
			C: RCPT TO:<>
			S~ 501 .*
			C: RCPT TO:<a@b> FROB
			S~ 501 .*`, nil},
	{"wrong order", `
			C: RCPT TO:<bob@contoso.example>
			S~ 503 5\.5\.2 Need mail command` + suffix + `
			C: DATA
			S~ 503 5\.5\.2 Need mail command.*
			C: MAIL FROM:<alice@contoso.example>
			S~ 250 .*
			C: DATA
			S~ 503 5\.5\.2 Need rcpt command.*
			C: EHLO again.example` + strings.Repeat(`
			S~ 250-.*`, 9) + `
			S~ 250 .*
			C: RCPT TO:<bob@contoso.example>
			S~ 503 .*`, nil},
}

func TestSMTPTransaction(t *testing.T) {
	for _, tt := range smtpTransactions {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Options{})
			talk(t, s, s.SMTP(), smtpLogin+tt.dialogue)
			checkMessages(t, s, "bob@contoso.example", tt.want)
		})
	}
}

// TestSMTPBinaryMessage sends what DATA may not carry.
func TestSMTPBinaryMessage(t *testing.T) {
	s := start(t, Options{})
	p := talk(t, s, s.SMTP(), smtpLogin+`
		C: MAIL FROM:<alice@contoso.example> BODY=BINARYMIME SIZE=9
		S~ 250 .*
		C: RCPT TO:<bob@contoso.example> NOTIFY=NEVER ORCPT=rfc822;bob@contoso.example
		S~ 250 .*
		C: DATA
		S~ 503 5\.5\.1 Bad sequence of commands.*`)
	const message = "a\nb\r\n.\r\n\x00"
	p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(message), message))
	p.talk(accepted)
	checkMessages(t, s, "bob@contoso.example", []string{message})
}

func checkMessages(t *testing.T, s *Sandbox, mailbox string, want []string) {
	t.Helper()
	got := s.Messages(mailbox)
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range want {
		if string(got[i]) != want[i] {
			t.Errorf("message %d = %.200q, want %.200q", i, got[i], want[i])
		}
	}
}

// TestSMTPDiscard accepts messages and keeps none.
func TestSMTPDiscard(t *testing.T) {
	s := start(t, Options{DiscardMessages: true})
	talk(t, s, s.SMTP(), smtpLogin+smtpEnvelope+`
		C: DATA
		S~ 354 .*
		C: text
		C: .`+accepted)
	checkMessages(t, s, "bob@contoso.example", nil)
}

func TestSMTPSentItems(t *testing.T) {
	s := start(t, Options{})
	talk(t, s, s.SMTP(), smtpLogin+smtpEnvelope+`
		C: DATA
		S~ 354 .*
		C: text
		C: .`+accepted)
	if got := fetchAll(t, logInIMAP(t, s, alice), "Sent Items"); len(got) != 1 || got[0] != "text\r\n" {
		t.Errorf("Sent Items = %q, want the message", got)
	}
}

func TestSMTPPipelined(t *testing.T) {
	s := start(t, Options{})
	p := talk(t, s, s.SMTP(), smtpLogin)
	p.send("MAIL FROM:<alice@contoso.example>\r\nRCPT TO:<bob@contoso.example>\r\nBDAT 4 LAST\r\na\r\n\nRSET\r\nQUIT\r\n")
	p.talk(`
		S: 250 2.1.0 Sender OK
		S: 250 2.1.5 Recipient OK` + accepted + `
		S: 250 2.0.0 Resetting
		S: 221 2.0.0 Service closing transmission channel
		EOF:`)
	checkMessages(t, s, "bob@contoso.example", []string{"a\r\n\n"})
}

// TestSMTPBareLF covers line ends that other servers have taken for the end of
// a message.
func TestSMTPBareLF(t *testing.T) {
	for _, message := range []string{"a\nb\r\n", "a\n.\n", "a\n.\r\n", "a\r\n.\nb\r\n"} {
		s := start(t, Options{})
		p := talk(t, s, s.SMTP(), smtpLogin+smtpEnvelope+`
			C: DATA
			S~ 354 .*`)
		p.send(message + "\r\n.\r\n")
		p.talk(`
			S~ 550 5\.6\.11 SMTPSEND\.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot be sent via DATA` + hostname)
		checkMessages(t, s, "bob@contoso.example", nil)
	}
}

func TestSMTPSendAs(t *testing.T) {
	tests := []struct{ name, from, header, other string }{
		{"own name", alice, "From: Alice <ALICE@contoso.example>", ""},
		{"no From field", alice, "Subject: x", ""},
		{"other MAIL FROM", "bob@contoso.example", "From: alice@contoso.example", "bob@contoso.example"},
		{"empty MAIL FROM", "", "From: alice@contoso.example", "<>"},
		{"other From field", alice, "From: copier@localhost", "copier@localhost"},
		{"second author", alice, "From: alice@contoso.example, bob@contoso.example", "bob@contoso.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Options{})
			want := accepted
			if tt.other != "" {
				want = `
					S~ 554 5\.2\.252 SendAsDenied; alice@contoso\.example not allowed to send as ` + tt.other +
					`; STOREDRV\.Submission\.Exception:SendAsDeniedException\.MapiExceptionSendAsDenied; .*` + hostname
			}
			talk(t, s, s.SMTP(), smtpLogin+`
				C: MAIL FROM:<`+tt.from+`>
				S~ 250 .*
				C: RCPT TO:<bob@contoso.example>
				S~ 250 .*
				C: DATA
				S~ 354 .*
				C: `+tt.header+`
				C: 
				C: .`+want)
		})
	}
}

func TestSMTPConnectionLimit(t *testing.T) {
	const send = smtpEnvelope + `
		C: DATA
		S~ 354 .*
		C: text
		C: .`
	const tooMany = `
		S~ 432 4\.3\.2 Concurrent connections limit exceeded\. Visit https://aka\.ms/concurrent_sending for more information\.` + hostname
	s := start(t, Options{})
	first := talk(t, s, s.SMTP(), smtpLogin)
	talk(t, s, s.SMTP(), smtpLogin)
	third := talk(t, s, s.SMTP(), smtpLogin)
	fourth := talk(t, s, s.SMTP(), smtpLogin)
	third.talk(send + accepted)
	fourth.talk(send + tooMany)
	first.talk(`
		C: QUIT
		S~ 221 .*
		EOF:`)
	fourth.talk(send + accepted)

	unlimited := start(t, Options{UnlimitedConnections: true})
	for range 5 {
		talk(t, unlimited, unlimited.SMTP(), smtpLogin+send+accepted)
	}
}

func TestSMTPRateLimit(t *testing.T) {
	const send = smtpEnvelope + `
		C: DATA
		S~ 354 .*
		C: text
		C: .`
	s := start(t, Options{MessagesPerMinute: 2})
	talk(t, s, s.SMTP(), smtpLogin+send+accepted+send+accepted+send+`
		S: 421 4.4.2 Message submission rate for this client has exceeded the configured limit
		EOF:`)
}

func TestSMTPManyRecipients(t *testing.T) {
	s := start(t, Options{})
	p := talk(t, s, s.SMTP(), smtpLogin+`
		C: MAIL FROM:<alice@contoso.example>
		S~ 250 .*`)
	for i := range maxRecipients {
		p.talk(fmt.Sprintf("C: RCPT TO:<user%d@fabrikam.example>\nS~ 250 .*", i))
	}
	// More refusals than a connection has errors: they are no errors.
	for range maxSMTPErrors + 1 {
		p.talk("C: RCPT TO:<more@fabrikam.example>\nS~ 452 4\\.5\\.3 Too many recipients" + suffix)
	}
}

// TestContentBound checks that a message that is too large is not kept. (To
// send one takes seconds.)
func TestContentBound(t *testing.T) {
	c := &content{raw: make([]byte, maxMessage-1)}
	c.Write([]byte("x"))
	if c.tooLarge || len(c.raw) != maxMessage {
		t.Errorf("a message of the largest size was refused")
	}
	c.Write([]byte("x"))
	c.Write([]byte("x"))
	if !c.tooLarge || c.raw != nil {
		t.Errorf("a message over the largest size was kept")
	}
}

// TestLargeMessage sends 8 MiB and gets them back.
func TestLargeMessage(t *testing.T) {
	s := start(t, Options{})
	message := "From: alice@contoso.example\r\n\r\n" + strings.Repeat(strings.Repeat("z", 76)+"\r\n", 8<<20/78)
	p := talk(t, s, s.SMTP(), smtpLogin+smtpEnvelope+`
		C: DATA
		S~ 354 .*`)
	p.send(message + ".\r\n")
	p.talk(accepted)
	if got := fetchAll(t, logInIMAP(t, s, "bob@contoso.example"), inbox); len(got) != 1 || got[0] != message {
		t.Error("IMAP does not show the message as it was sent")
	}
}

// TestSMTPAnyMessage sends messages of odd pieces, cut up at random, and gets
// them back as they were.
func TestSMTPAnyMessage(t *testing.T) {
	s := start(t, Options{})
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{".", "..", "\r\n", "\r\n.", "\r", "a", "\x00", "\xff\xfe", "\r\n\r\n", strings.Repeat("y", maxLine-2)}
	p := talk(t, s, s.SMTP(), smtpLogin)
	var want []string
	for range 200 {
		var message strings.Builder
		for range random.IntN(12) {
			message.WriteString(pieces[random.IntN(len(pieces))])
		}
		message.WriteString("\r\n")
		want = append(want, message.String())

		stuffed := strings.ReplaceAll("\r\n"+message.String(), "\r\n.", "\r\n..")[2:] + ".\r\n"
		p.talk(smtpEnvelope + `
			C: DATA
			S~ 354 .*`)
		for rest := stuffed; rest != ""; {
			n := 1 + random.IntN(len(rest))
			if _, err := io.WriteString(p.conn, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		p.talk(accepted)
	}
	checkMessages(t, s, "bob@contoso.example", want)
}

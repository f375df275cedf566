package sandbox

import (
	"strings"
	"testing"
)

// smtpHello is how an SMTP connection begins, up to EHLO within TLS.
const smtpHello = `
	S~ 220 [A-Z0-9]+\.outlook\.office365\.com Microsoft ESMTP MAIL Service ready at \w+, \d+ \w+ \d+ [0-9:]+ \+0000 \[[0-9A-F]{16}\]
	C: STARTTLS
	S: 220 2.0.0 SMTP server ready
	TLS:
	C: EHLO client.example
	S~ 250-[A-Z0-9]+\.outlook\.office365\.com Hello \[127\.0\.0\.1\]
	S: 250-SIZE 157286400
	S: 250-PIPELINING
	S: 250-DSN
	S: 250-ENHANCEDSTATUSCODES
	S: 250-AUTH LOGIN XOAUTH2
	S: 250-8BITMIME
	S: 250-BINARYMIME
	S: 250-CHUNKING
	S: 250 SMTPUTF8
`

// smtpLogin logs alice in.
const smtpLogin = smtpHello + `
	C: AUTH XOAUTH2 {alice}
	S: 235 2.7.0 Authentication successful
`

// smtpEnvelope is a transaction from alice to bob, up to the message.
const smtpEnvelope = `
	C: MAIL FROM:<alice@contoso.example>
	S: 250 2.1.0 Sender OK
	C: RCPT TO:<bob@contoso.example>
	S: 250 2.1.5 Recipient OK
`

const (
	// suffix ends a refusal.
	suffix = ` \[[A-Z0-9]+CA\d{4}\.eurprd\d\d\.prod\.outlook\.com \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9A-F]{16}\]`

	hostname = ` \[Hostname=[A-Z0-9]+MB\d{4}\.eurprd\d\d\.prod\.exchangelabs\.com\]`

	accepted = `
	S~ 250 2.0.0 OK <[A-Z2-7]+@[A-Z0-9]+MB\d{4}\.eurprd\d\d\.prod\.exchangelabs\.com>` + hostname + `
`
)

var smtpBeforeTLS = []struct{ name, dialogue string }{
	{"EHLO", `
			C: EHLO client.example
			S~ 250-[A-Z0-9]+\.outlook\.office365\.com Hello \[127\.0\.0\.1\]
			S: 250-SIZE 157286400
			S: 250-PIPELINING
			S: 250-DSN
			S: 250-ENHANCEDSTATUSCODES
			S: 250-STARTTLS
			S: 250-8BITMIME
			S: 250-BINARYMIME
			S: 250-CHUNKING
			S: 250 SMTPUTF8`},
	{"HELO", `
			C: HELO client.example
			S~ 250 \S+ Hello \[127\.0\.0\.1\]`},
	{"address literal", `
			C: HELO [192.0.2.1]
			S~ 250 .*`},
	{"bad names", `
			C: EHLO my_laptop
			S~ 501 5\.5\.4 Invalid domain name` + suffix + `
			C: EHLO
			S~ 501 5\.5\.4 Invalid domain name` + suffix + `
			C: HELO a b
			S~ 501 5\.5\.4 Invalid domain name` + suffix},
	{"AUTH before TLS", `
			C: HELO client.example
			S~ 250 .*
			C: AUTH XOAUTH2 {alice}
			S~ 504 5\.7\.4 Unrecognized authentication type` + suffix},
	{"MAIL before AUTH", `
			C: MAIL FROM:<alice@contoso.example>
			S~ 503 5\.5\.2 Send hello first` + suffix + `
			C: HELO client.example
			S~ 250 .*
			C: MAIL FROM:<alice@contoso.example>
			S~ 530 5\.7\.57 Client not authenticated to send mail\.` + suffix},
	{"other commands", `
			C: NOOP
			S: 250 2.0.0 OK
			C: RSET
			S: 250 2.0.0 Resetting
			C: FROBNICATE
			S~ 500 5\.3\.3 Unrecognized command` + suffix + `
			C: quit
			S: 221 2.0.0 Service closing transmission channel
			EOF:`},
	{"many errors", strings.Repeat(`
			C: FROBNICATE
			S~ 500 .*`, 20) + `
			S~ 421 4\.7\.0 .*
			EOF:`},
	{"endless line", `
			C> ` + strings.Repeat("x", maxLine) + `
			S: 500 5.5.2 Line too long
			EOF:`},
}

func TestSMTPBeforeTLS(t *testing.T) {
	s := start(t, Options{})
	const greeting = `
		S~ 220 .*`
	for _, tt := range smtpBeforeTLS {
		t.Run(tt.name, func(t *testing.T) { talk(t, s, s.SMTP(), greeting+tt.dialogue) })
	}
}

func TestSMTPInjection(t *testing.T) {
	s := start(t, Options{})
	p := talk(t, s, s.SMTP(), `
		S~ 220 .*`)
	p.send("STARTTLS\r\nNOOP\r\n")
	p.talk(`
		S: 220 2.0.0 SMTP server ready
		TLS:
		C: AUTH XOAUTH2 {alice}
		S~ 503 5\.5\.2 Send hello first.*`)
}

var smtpAuths = []struct{ name, dialogue string }{
	{"one step", `
			C: AUTH XOAUTH2 {alice}
			S: 235 2.7.0 Authentication successful
			C: AUTH XOAUTH2 {alice}
			S~ 503 5\.5\.2 Already authenticated.*`},
	{"two steps", `
			C: auth xoauth2
			S: 334 
			C: {alice}
			S: 235 2.7.0 Authentication successful`},
	{"PLAIN", `
			C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
			S~ 504 5\.7\.4 Unrecognized authentication type` + suffix},
	{"LOGIN", `
			C: AUTH LOGIN
			S: 334 VXNlcm5hbWU6
			C: YWxpY2U=
			S: 334 UGFzc3dvcmQ6
			C: c2VjcmV0
			S~ 535 5\.7\.139 Authentication unsuccessful, basic authentication is disabled\.` + suffix},
	{"LOGIN with the user on the line", `
			C: AUTH LOGIN YWxpY2U=
			S: 334 UGFzc3dvcmQ6
			C: c2VjcmV0
			S~ 535 5\.7\.139 Authentication unsuccessful, basic authentication is disabled\.` + suffix},
	{"cancelled", `
			C: AUTH LOGIN
			S: 334 VXNlcm5hbWU6
			C: *
			S~ 535 5\.7\.3 Authentication unsuccessful` + suffix},
	{"refused, MAIL, then accepted", `
			C: AUTH XOAUTH2 AAAA
			S~ 535 5\.7\.3 Authentication unsuccessful` + suffix + `
			C: MAIL FROM:<alice@contoso.example>
			S~ 530 5\.7\.57 Client not authenticated to send mail\. Error: 535 5\.7\.3 Authentication unsuccessful` + suffix + `
			C: AUTH XOAUTH2 {alice}
			S: 235 2.7.0 Authentication successful`},
}

func TestSMTPAuth(t *testing.T) {
	s := start(t, Options{})
	for _, tt := range smtpAuths {
		t.Run(tt.name, func(t *testing.T) { talk(t, s, s.SMTP(), smtpHello+tt.dialogue) })
	}
}

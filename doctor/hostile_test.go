package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

// answers is a server of one connection that gives each line the next of the
// answers, in which $ is what the line ended with: a token, where one was sent;
// the last answer serves for all that follows.
func answers(greeting string, lines ...string) func(net.Conn) {
	heard := 0
	return talks(greeting, nil, func(line string) string {
		words := strings.Fields(line)
		if len(words) == 0 {
			words = []string{"-"}
		}
		answer := lines[min(heard, len(lines)-1)]
		heard++
		return strings.NewReplacer("TAG", words[0], "$", words[len(words)-1]).Replace(answer)
	})
}

const hostileToken = "eyJhbGciOiJub25lIn0.QSBzZWNyZXQgdG9rZW4gZm9yIGEgdGVzdCBvZiBob3N0aWxlIHNlcnZlcnM.c2lnbmF0dXJlIG9mIGEgdGVzdA"

// Whatever a mail server says, it ends in a finding, in time, without the
// token.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	const (
		imap = "* OK ready\r\n"
		caps = "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR\r\nTAG OK done\r\n"
		pop3 = "+OK ready\r\n"
		capa = "+OK\r\nSASL PLAIN XOAUTH2\r\n.\r\n"
		smtp = "220 ready\r\n"
		ehlo = "250-hello\r\n250 AUTH LOGIN XOAUTH2\r\n"
	)
	tests := []struct {
		name, protocol string
		handle         func(net.Conn)
		cause          string
		seen           string
	}{
		{"silence", "imap", greets(""), "answer-late", ""},
		{"silence", "pop3", greets(""), "answer-late", ""},
		{"silence", "smtp", greets(""), "answer-late", ""},
		{"silence after the greeting", "imap", greets(imap), "answer-late", ""},
		{"silence after the greeting", "smtp", greets(smtp), "answer-late", ""},
		{"silence after the token", "smtp", answers(smtp, ehlo, "334 \r\n", ""), "answer-late", ""},
		{"a close", "imap", func(net.Conn) {}, "connection-closed", "the mail server closed the connection in place of an answer"},
		{"a close", "pop3", func(net.Conn) {}, "connection-closed", "the mail server closed the connection in place of an answer"},
		{"a close", "smtp", func(net.Conn) {}, "connection-closed", "the mail server closed the connection in place of an answer"},
		{"HTTP", "imap", greets("HTTP/1.1 400 Bad Request\r\n\r\n"), "answers-http", ""},
		{"HTTP", "pop3", greets("HTTP/1.1 400 Bad Request\r\n\r\n"), "answers-http", ""},
		{"HTTP", "smtp", greets("HTTP/1.1 400 Bad Request\r\n\r\n"), "answers-http", ""},
		{"another protocol", "imap", greets("220 mail.example ESMTP\r\n"), "greeting-foreign", "220 mail.example ESMTP"},
		{"another protocol", "pop3", greets("* OK IMAP\r\n"), "greeting-foreign", "* OK IMAP"},
		{"another protocol", "smtp", greets("+OK POP3\r\n"), "greeting-foreign", "+OK POP3"},
		{"BYE at connect", "imap", greets("* BYE Connection is closed. 10\r\n"), "session-broken-off", "BYE Connection is closed. 10"},
		{"BYE later", "imap", answers(imap, "* BYE Go away.\r\n"), "", "* BYE Go away."},
		{"busy at connect", "smtp", greets("421 4.3.2 Service not available\r\n"), "service-not-available", "421 4.3.2 Service not available"},
		{"a no at connect", "pop3", greets("-ERR [SYS/TEMP] busy\r\n"), "pop3-server-trouble", "-ERR [SYS/TEMP] busy"},
		{"an endless line", "imap", floods("* OK ", "a"), "greeting-foreign", ""},
		{"an endless line", "pop3", floods("+OK ", "a"), "greeting-foreign", ""},
		{"an endless line", "smtp", floods("220 ", "a"), "greeting-foreign", ""},
		{"endless lines", "imap", floods(imap, "* OK more\r\n"), "greeting-foreign", ""},
		{"endless lines", "pop3", floods(pop3+"+OK\r\n", "X\r\n"), "greeting-foreign", ""},
		{"endless lines", "smtp", floods("", "220-more\r\n"), "greeting-foreign", ""},
		{"endless challenges", "imap", answers(imap, caps, "+ \r\n"), "greeting-foreign", ""},
		{"endless challenges", "pop3", answers(pop3, capa, "+ \r\n"), "greeting-foreign", ""},
		{"endless challenges", "smtp", answers(smtp, ehlo, "334 \r\n"), "greeting-foreign", ""},
		{"no XOAUTH2", "imap", answers(imap, "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK done\r\n"), "xoauth2-missing", ""},
		{"no XOAUTH2", "pop3", answers(pop3, "+OK\r\nSASL PLAIN\r\n.\r\n"), "xoauth2-missing", ""},
		{"no XOAUTH2", "smtp", answers(smtp, "250-hello\r\n250 AUTH LOGIN PLAIN\r\n"), "xoauth2-missing", ""},
		{"no AUTH", "smtp", answers(smtp, "250 hello\r\n"), "xoauth2-missing", ""},
		{"the token in a refusal", "imap", answers(imap, caps, "TAG NO $ is no token\r\n"), "", "***"},
		{"the token in a refusal", "pop3", answers(pop3, capa, "+ \r\n", "-ERR $ is no token\r\n"), "", "***"},
		{"the token in a refusal", "smtp", answers(smtp, ehlo, "334 \r\n", "535 5.7.8 $ is no token\r\n"), "", "***"},
		{"the token in clear", "smtp", answers(smtp, ehlo, "334 \r\n", "535 5.7.8 "+hostileToken+"\r\n"), "", "535 5.7.8 ***"},
		{"the token in an answer that is none", "imap", answers(imap, caps, "$ $\r\n"), "greeting-foreign", "***"},
		{"the token in an answer that is none", "pop3", answers(pop3, capa, "+ \r\n", "$\r\n"), "greeting-foreign", "***"},
		{"the token in an answer that is none", "smtp", answers(smtp, ehlo, "334 \r\n", "$\r\n"), "greeting-foreign", "***"},
		{"the token in a goodbye", "imap", answers(imap, caps, "* BYE $\r\n"), "", "***"},
		{"a refusal, then silence", "smtp", answers(smtp, ehlo, "334 \r\n", "535 5.7.3 Authentication unsuccessful\r\n", ""), "login-refused", "535 5.7.3 Authentication unsuccessful"},
		{"a challenge, then a refusal", "smtp", answers(smtp, ehlo, "334 \r\n", "334 e30=\r\n", "535 5.7.3 Authentication unsuccessful\r\n"), "login-refused", ""},
		{"a challenge, then a refusal", "imap", answers(imap, caps, "+ e30=\r\n", "A NO\r\n"), "greeting-foreign", ""},
		{"a challenge, then a refusal", "pop3", answers(pop3, capa, "+ \r\n", "+ e30=\r\n", "-ERR Authentication failure: no\r\n"), "login-refused", ""},
		{"control characters", "smtp", answers(smtp, ehlo, "334 \r\n", "535 5.7.8 \x1b[31mred\x00 \u202e\r\n"), "", "535 5.7.8 ?[31mred? ?"},
		{"a temporary no", "smtp", answers(smtp, ehlo, "334 \r\n", "454 4.7.0 Temporary authentication failure\r\n"), "", "454 4.7.0"},
	}
	for _, tt := range tests {
		t.Run(tt.protocol+", "+tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "Contoso")
			address := listenTo(t, overTLS(l.good(t, "127.0.0.1"), tt.handle))
			h := Host{Protocol: tt.protocol, Address: address, Implicit: true, User: alice}
			e := newExamination(Plan{TLS: &tls.Config{RootCAs: l.roots}}, nil)
			p := e.patient(Account{Mailbox: alice, Person: alice, Hosts: []Host{h}})
			p.token = Token{Value: wire.NewSecret(hostileToken)}
			p.limit = 10 * time.Second
			if tt.cause == "answer-late" {
				p.limit = 200 * time.Millisecond
				tt.seen = "no answer within 0.2 s"
			}
			p.begin(t.Context())
			p.login(t.Context(), h)
			close(p.events)
			<-p.events
			f := *(<-p.events).found
			if f.Status != Broken || f.Cause != tt.cause || f.Who == "" || f.Means == "" || !strings.Contains(f.Seen, tt.seen) {
				t.Errorf("%+v", f)
			}
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			expectNoPiece(t, string(text), hostileToken)
			for _, secret := range secretsOf(h.User, p.token.Value) {
				expectNoPiece(t, string(text), secret.Reveal())
			}
		})
	}
}

// What stands before the protocol, with and without STARTTLS.
func TestMailFaults(t *testing.T) {
	tests := []struct {
		name             string
		fault            sandbox.MailFault
		implicit, starts string // the causes, of IMAP
	}{
		{"HTTP", sandbox.AnswersHTTP, "answers-http", "answers-http"},
		{"no TLS", sandbox.NotTLS, "answers-http", "answers-http"},
		{"no STARTTLS", sandbox.NoStartTLS, "", "starttls-missing"},
		{"reset", sandbox.ResetAtConnect, "connection-reset", "connection-reset"},
		{"another authority", sandbox.UnknownIssuer, "server-certificate-untrusted", "server-certificate-untrusted"},
		{"goodbye", sandbox.ByeAtConnect, "session-broken-off", "session-broken-off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t, sandbox.Options{IMAPStartTLSAddress: "127.0.0.1:0", POP3StartTLSAddress: "127.0.0.1:0"})
			for _, address := range []string{w.IMAP(), w.POP3(), w.SMTP(), w.IMAPStartTLS(), w.POP3StartTLS()} {
				w.SetMailFault(address, tt.fault)
			}
			w.admit(alice, alice, sandbox.TokenOptions{})
			a := w.admit(bob, "", sandbox.TokenOptions{})
			a.Hosts[0].Address, a.Hosts[0].Implicit = w.IMAPStartTLS(), false
			a.Hosts[1].Address, a.Hosts[1].Implicit = w.POP3StartTLS(), false
			var got [2][]string
			for _, f := range w.examine(t).findings {
				if f.Probe == "imap" || f.Probe == "pop3" || f.Probe == "smtp" {
					i := 0
					if f.Account == bob {
						i = 1
					}
					got[i] = append(got[i], f.Cause)
				}
			}
			if got[0][0] != tt.implicit || got[1][0] != tt.starts {
				t.Errorf("%v", got)
			}
			if tt.fault == sandbox.ByeAtConnect && (slices.Contains(got[1], "no-right-app") || got[1][2] != "service-not-available") {
				t.Errorf("a goodbye is no refusal of a login: %v", got[1])
			}
			for i, causes := range got {
				for _, cause := range causes[1:] {
					if tt.fault != sandbox.ByeAtConnect && tt.fault != sandbox.ResetAtConnect && cause != tt.starts && cause != tt.implicit {
						t.Errorf("%d: %v", i, causes)
					}
				}
			}
		})
	}
}

// The end of the context ends everything at once, and is no finding.
func TestEndsAtOnce(t *testing.T) {
	w := newWard(t, sandbox.Options{IMAPStartTLSAddress: "127.0.0.1:0"})
	for range 3 {
		for _, name := range []string{"stall", "slow"} {
			w.admit(name+"@"+sandbox.Domain, "", sandbox.TokenOptions{})
		}
	}
	silent := w.admit(alice, "", sandbox.TokenOptions{}, "imap")
	silent.Hosts[0].Address, silent.Hosts[0].Implicit = w.IMAPStartTLS(), false
	w.SetMailFault(w.IMAPStartTLS(), sandbox.SaysNothing)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &chart{t: t}
	e := newExamination(w.plan, cancelAt{c, "imap", cancel})
	e.Send = alice
	e.accounts(ctx)
	for _, f := range c.findings {
		if f.Status == Broken || f.Probe == "send" {
			t.Errorf("%+v", f)
		}
	}
}

// cancelAt ends the examination when a probe begins.
type cancelAt struct {
	*chart
	probe  string
	cancel func()
}

func (c cancelAt) Begin(probe, subject string) {
	c.chart.Begin(probe, subject)
	if probe == c.probe {
		c.cancel()
	}
}

package doctor

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	imapGreeting = "* OK The Microsoft Exchange IMAP4 service is ready.\r\n"
	pop3Greeting = "+OK The Microsoft Exchange POP3 service is ready.\r\n"
	smtpGreeting = "220 AM0PR04CA0123.outlook.office365.com Microsoft ESMTP MAIL Service ready\r\n"
	smtpOffer    = "250-AM0PR04CA0123.outlook.office365.com Hello\r\n250-SIZE 157286400\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n"
	smtpNoOffer  = "250-AM0PR04CA0123.outlook.office365.com Hello\r\n250 SIZE 157286400\r\n"
)

// TestServices: what each kind of server at the other end is taken for.
func TestServices(t *testing.T) {
	l := newLab(t, "Contoso")
	good := l.good(t, "127.0.0.1")
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	now := time.Now()
	tests := []struct {
		name, protocol string
		implicit       bool
		server         func(net.Conn)
		status         Status
		cause          string
		seen           string // a piece of it
	}{
		{"IMAP is well", "imap", true, overTLS(good, greets(imapGreeting)), OK, "", "TLS 1.3, certificate by Contoso, "},
		{"POP3 is well", "pop3", true, overTLS(good, greets(pop3Greeting)), OK, "", "days left"},
		{"SMTP over implicit TLS is well", "smtp", true, overTLS(good, greets(smtpGreeting)), OK, "", ""},
		{"SMTP with STARTTLS is well", "smtp", false, upgraded(good, smtpGreeting, smtpOffer, "220 2.0.0 SMTP server ready\r\n"), OK, "", ""},
		{"a greeting of many lines is well", "smtp", false, upgraded(good, "220-hello\r\n"+smtpGreeting, smtpOffer, "220 ready\r\n"), OK, "", ""},
		{"IMAP with STARTTLS is well", "imap", false, upgraded(good, imapGreeting, "* CAPABILITY IMAP4\r\na OK Begin TLS negotiation now.\r\n"), OK, "", ""},
		{"POP3 with STLS is well", "pop3", false, upgraded(good, pop3Greeting, "+OK Begin TLS negotiation.\r\n"), OK, "", ""},

		{"the certificate is for another name", "imap", true, overTLS(l.good(t, "mail.contoso.com"), greets(imapGreeting)), Broken, "server-certificate-name", "mail.contoso.com"},
		{"the certificate has ended", "imap", true, overTLS(l.server(t, -365*days, -2*days, "127.0.0.1"), greets(imapGreeting)), Broken, "server-certificate-ended", now.AddDate(0, 0, -2).UTC().Format("2006-01-02")},
		{"the certificate isn't valid yet", "imap", true, overTLS(l.server(t, 2*days, 365*days, "127.0.0.1"), greets(imapGreeting)), Broken, "server-certificate-early", "this machine has"},
		{"nobody trusts the certificate", "imap", true, overTLS(newLab(t, "Fabrikam").good(t, "127.0.0.1"), greets(imapGreeting)), Broken, "server-certificate-untrusted", "Fabrikam"},
		{"the certificate after STARTTLS is for another name", "smtp", false, upgraded(l.good(t, "mail.contoso.com"), smtpGreeting, smtpOffer, "220 ready\r\n"), Broken, "server-certificate-name", ""},
		{"TLS 1.1 at most", "imap", true, overTLS(old, greets(imapGreeting)), Broken, "tls-version", ""},

		{"HTTP where TLS is expected", "imap", true, greets("HTTP/1.1 400 Bad Request\r\n\r\n"), Broken, "answers-http", ""},
		{"HTTP where a greeting is expected", "smtp", false, greets("HTTP/1.1 502 Bad Gateway\r\n\r\n"), Broken, "answers-http", "502"},
		{"HTTP over TLS", "imap", true, overTLS(good, greets("HTTP/1.1 400 Bad Request\r\n\r\n")), Broken, "answers-http", ""},
		{"in clear where TLS is expected", "smtp", true, greets(smtpGreeting), Broken, "starttls-needed", "220"},
		{"garbage where TLS is expected", "imap", true, greets("\x00\x01\x02\x03\x04\x05"), Broken, "not-tls", ""},
		{"an alert of TLS where a greeting is expected", "smtp", false, greets("\x15\x03\x01\x00\x02\x02\x28\r\n"), Broken, "tls-at-once", ""},
		{"another protocol", "imap", true, overTLS(good, greets(smtpGreeting)), Broken, "wrong-protocol", "SMTP"},
		{"another protocol in clear", "smtp", false, greets(pop3Greeting), Broken, "wrong-protocol", "POP3"},
		{"garbage", "imap", true, overTLS(good, greets("\x1b[2Jwhat\xff\r\n")), Broken, "greeting-foreign", "?[2Jwhat?"},
		{"SSH", "smtp", false, greets("SSH-2.0-OpenSSH_9.9\r\n"), Broken, "greeting-foreign", "OpenSSH"},
		{"a flood without a line's end", "smtp", false, floods("", "A"), Broken, "greeting-foreign", ""},
		{"a flood of lines", "smtp", false, floods("", "220-welcome\r\n"), Broken, "greeting-foreign", ""},
		{"a flood of untagged responses", "imap", false, asked(imapGreeting, strings.Repeat("* OK still here\r\n", 1000)), Broken, "greeting-foreign", ""},
		{"BYE", "imap", true, overTLS(good, greets("* BYE Connection is closed. 13\r\n")), Broken, "greeting-refuses", "closed. 13"},
		{"421", "smtp", false, greets("421 4.3.2 Service not available\r\n"), Broken, "greeting-refuses", "4.3.2"},
		{"closed at once", "imap", true, func(conn net.Conn) { hear(conn) }, Broken, "connection-closed", ""},
		{"closed before the greeting", "smtp", false, func(net.Conn) {}, Broken, "connection-closed", ""},
		{"reset", "imap", true, reset, Broken, "connection-reset", ""},
		{"STARTTLS is taken out", "smtp", false, asked(smtpGreeting, smtpNoOffer), Broken, "starttls-missing", ""},
		{"STARTTLS is offered and refused", "smtp", false, asked(smtpGreeting, smtpOffer, "454 4.7.0 TLS not available\r\n"), Broken, "starttls-missing", "4.7.0"},
		{"STARTTLS of IMAP is refused", "imap", false, asked(imapGreeting, "a BAD Command received in Invalid state.\r\n"), Broken, "starttls-missing", "BAD"},
		{"STLS is refused", "pop3", false, asked(pop3Greeting, "-ERR Protocol error. 14\r\n"), Broken, "starttls-missing", "14"},
		{"words behind the agreement to TLS", "smtp", false, asked(smtpGreeting, smtpOffer, "220 ready\r\n250 injected\r\n"), Broken, "tls-injected", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := listenTo(t, test.server)
			e, n := examine(l.roots, nil, at(test.protocol, address, test.implicit))
			e.network(t.Context())
			if tcp := n.of("tcp"); len(tcp) != 1 || tcp[0].Status != OK || tcp[0].Subject != address {
				t.Errorf("tcp: %+v", tcp)
			}
			got := n.of("tls")
			if len(got) != 1 || got[0].Status != test.status || got[0].Cause != test.cause || !strings.Contains(got[0].Seen, test.seen) {
				t.Fatalf("tls: %+v, want %s %q", got, test.status, test.cause)
			}
			if dead := test.status == Broken; (e.unreachable[address] != "") != dead || (e.broken == 1) != dead {
				t.Errorf("unreachable: %v, broken: %d", e.unreachable, e.broken)
			}
			checkTexts(t, got[0])
		})
	}
}

// checkTexts looks for what isn't fit to be read.
func checkTexts(t *testing.T, f Finding) {
	t.Helper()
	for _, text := range append([]string{f.Seen, f.Means, f.Do}, f.Fix...) {
		if text != clean(text) && len(text) <= maxSeen {
			t.Errorf("not legible: %q", text)
		}
		for _, name := range []string{"HOST", "PROTOCOL", "ADDRESS", "ISSUER", "NAMES", "SINCE", "UNTIL", "OFFSET", "TENANT", "STATUS"} {
			if slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r < 'A' || r > 'Z' }), name) {
				t.Errorf("not filled in: %q", text)
			}
		}
		if strings.Contains(text, "proxy PROXY") {
			t.Errorf("not filled in: %q", text)
		}
	}
	if f.Status == Broken && (f.Means == "" || f.Do == "" || f.Who == "") {
		t.Errorf("broken, and no word of what to do: %+v", f)
	}
}

// TestRefusedPort: the rest isn't tried.
func TestRefusedPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	e, n := examine(nil, nil, at("imap", address, true))
	e.network(t.Context())
	if tcp := n.of("tcp"); len(tcp) != 1 || tcp[0].Status != Broken || tcp[0].Cause != "port-refused" {
		t.Errorf("tcp: %+v", tcp)
	}
	if got := n.of("tls"); len(got) != 1 || got[0].Status != Skipped {
		t.Errorf("tls: %+v", got)
	}
	if got := e.unreachable[address]; got != "tcp of "+address {
		t.Errorf("unreachable: %q", got)
	}
}

// TestInspected: who has signed counts for Microsoft's hosts alone.
func TestInspected(t *testing.T) {
	const theirs, ours = "outlook.office365.com", "mail.contoso.com"
	tests := []struct {
		name, host, organization string
		trusted                  bool
		status                   Status
		cause                    string
	}{
		{"Microsoft's, by DigiCert", theirs, "DigiCert Inc", true, OK, ""},
		{"Microsoft's, by Microsoft", theirs, "Microsoft Corporation", true, OK, ""},
		{"Microsoft's, by a proxy that is trusted", theirs, "Contoso Web Gateway", true, Note, "tls-inspected"},
		{"Microsoft's, by a proxy that isn't trusted", theirs, "Contoso Web Gateway", false, Broken, "tls-inspected"},
		{"Microsoft's, and there are no roots", theirs, "DigiCert Inc", false, Broken, "server-certificate-untrusted"},
		{"our own", ours, "Contoso", true, OK, ""},
		{"our own, not trusted", ours, "Contoso", false, Broken, "server-certificate-untrusted"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, test.organization)
			address := listenTo(t, overTLS(l.good(t, test.host), greets(imapGreeting)))
			roots := l.roots
			if !test.trusted {
				roots = newLab(t, "Another").roots
			}
			e, n := examine(roots, map[string]string{test.host: address}, at("imap", test.host+":993", true))
			e.network(t.Context())
			got := n.of("tls")
			if len(got) != 1 || got[0].Status != test.status || got[0].Cause != test.cause {
				t.Fatalf("%+v", n.found)
			}
			if test.cause != "" && !strings.Contains(got[0].Seen+got[0].Means, test.organization) {
				t.Errorf("doesn't name the issuer: %+v", got[0])
			}
			checkTexts(t, got[0])
		})
	}
}

// TestEachOnce: a thousand accounts at the same hosts are one question.
func TestEachOnce(t *testing.T) {
	l := newLab(t, "Contoso")
	address := listenTo(t, overTLS(l.good(t, "mail.contoso.com"), greets(imapGreeting)))
	var accounts []Account
	for range 1000 {
		accounts = append(accounts, at("imap", "mail.contoso.com:993", true))
	}
	e, n := examine(l.roots, map[string]string{"mail.contoso.com": address}, accounts...)
	e.network(t.Context())
	if len(n.found) != 3 || n.begun != 3 || e.broken != 0 {
		t.Errorf("%d begun, found %+v", n.begun, n.found)
	}
}

// TestOneWayOfTwo: a host that one account reaches in the wrong way is no dead
// one for the others.
func TestOneWayOfTwo(t *testing.T) {
	l := newLab(t, "Contoso")
	address := listenTo(t, overTLS(l.good(t, "127.0.0.1"), greets(smtpGreeting)))
	e, _ := examine(l.roots, nil, at("smtp", address, true), at("imap", address, true))
	e.network(t.Context())
	if e.unreachable[address] != "" || e.broken != 1 {
		t.Errorf("unreachable: %v, broken: %d", e.unreachable, e.broken)
	}
}

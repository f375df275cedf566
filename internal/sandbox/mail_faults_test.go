package sandbox

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faulty starts a sandbox whose every mail listener has a fault.
func faulty(t *testing.T, f MailFault) *Sandbox {
	s := start(t, Options{IMAPStartTLSAddress: "127.0.0.1:0", POP3StartTLSAddress: "127.0.0.1:0"})
	for _, address := range mailListeners(s) {
		s.SetMailFault(address, f)
	}
	return s
}

func mailListeners(s *Sandbox) []string {
	return []string{s.IMAP(), s.POP3(), s.SMTP(), s.IMAPStartTLS(), s.POP3StartTLS()}
}

func TestMailFaultGreetings(t *testing.T) {
	s := faulty(t, ByeAtConnect)
	for address, goodbye := range map[string]string{
		s.IMAP():         "* BYE Connection is closed. 10",
		s.IMAPStartTLS(): "* BYE Connection is closed. 10",
		s.POP3():         "-ERR Connection is closed. 10",
		s.SMTP():         "421 4.3.2 Service not available",
	} {
		talk(t, s, address, "S: "+goodbye+"\nEOF:")
	}
	s = faulty(t, AnswersHTTP)
	for _, address := range mailListeners(s) {
		talk(t, s, address, "S: HTTP/1.1 400 Bad Request")
	}
	s.SetMailFault(s.SMTP(), NoMailFault)
	talk(t, s, s.SMTP(), smtpHello)
}

func TestSaysNothing(t *testing.T) {
	s := faulty(t, SaysNothing)
	for _, address := range mailListeners(s) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "EHLO client.example\r\n")
		conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		var timeout net.Error
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%s: read %d bytes, %v, want silence", address, n, err)
		}
	}
}

func TestNotTLS(t *testing.T) {
	s := faulty(t, NotTLS)
	for address, starttls := range map[string]string{
		s.IMAP():         "",
		s.POP3():         "",
		s.SMTP():         "C: STARTTLS\nS: 220 2.0.0 SMTP server ready",
		s.IMAPStartTLS(): "C: A1 STARTTLS\nS: A1 OK Begin TLS negotiation now.",
		s.POP3StartTLS(): "C: STLS\nS: +OK Begin TLS negotiation.",
	} {
		p := plainPeer(t, s, address)
		if starttls != "" {
			p.line() // the greeting
			p.talk(starttls)
		}
		var notTLS tls.RecordHeaderError
		if err := tls.Client(p.conn, clientTLS(t, s)).Handshake(); !errors.As(err, &notTLS) {
			t.Errorf("%s: %v, want a handshake that is not TLS", address, err)
		}
	}
}

// plainPeer connects without TLS.
func plainPeer(t *testing.T, s *Sandbox, address string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { conn.Close() })
	return &peer{t: t, s: s, conn: conn, r: bufio.NewReader(conn)}
}

func TestNoStartTLS(t *testing.T) {
	s := faulty(t, NoStartTLS)
	for address, dialogue := range map[string]string{
		s.SMTP():         "S~ 220 .*\nC: STARTTLS\nS~ 500 5\\.3\\.3 Unrecognized command.*",
		s.IMAPStartTLS(): "S~ \\* OK .*\nC: A1 STARTTLS\nS: A1 BAD Command Error. 12",
		s.POP3StartTLS(): "S~ \\+OK .*\nC: STLS\nS: -ERR Command is not valid in this state.",
	} {
		talk(t, s, address, dialogue)
	}
	for address, last := range map[string][2]string{
		s.SMTP():         {"EHLO client.example", "250 SMTPUTF8"},
		s.IMAPStartTLS(): {"A1 CAPABILITY", "A1 OK CAPABILITY completed."},
		s.POP3StartTLS(): {"CAPA", "."},
	} {
		p := talk(t, s, address, "S~ .*\nC: "+last[0])
		for line := ""; line != last[1]; {
			if line = p.line(); strings.Contains(line, "STARTTLS") || strings.Contains(line, "STLS") {
				t.Errorf("%s offers %q", address, line)
			}
		}
	}
	talk(t, s, s.IMAP(), imapHello)
}

func TestResetAtConnect(t *testing.T) {
	s := faulty(t, ResetAtConnect)
	for _, address := range mailListeners(s) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want a reset", address, err)
		}
	}
}

func TestUnknownIssuer(t *testing.T) {
	s := faulty(t, UnknownIssuer)
	var unknown x509.UnknownAuthorityError
	_, err := tls.Dial("tcp", s.IMAP(), clientTLS(t, s))
	if !errors.As(err, &unknown) || unknown.Cert.Issuer.CommonName != "Contoso TLS inspection" {
		t.Errorf("IMAP: %v, want an unknown issuer", err)
	}
	p := talk(t, s, s.SMTP(), "S~ 220 .*\nC: STARTTLS\nS~ 220 .*")
	if err := tls.Client(p.conn, clientTLS(t, s)).Handshake(); !errors.As(err, &unknown) {
		t.Errorf("SMTP: %v, want an unknown issuer", err)
	}
}

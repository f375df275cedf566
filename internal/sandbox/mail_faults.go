package sandbox

import (
	"crypto/tls"
	"net"
)

// A MailFault is what a mail listener does in place of its protocol, to
// everybody: it comes before there is a mailbox. None of it is what Exchange
// does, unless it says so.
type MailFault int

const (
	NoMailFault    MailFault = iota
	ByeAtConnect             // the greeting is a goodbye. Exchange does it (a limit, an outage); its words are a guess
	AnswersHTTP              // the greeting is an answer of HTTP, under TLS where that comes first
	SaysNothing              // connections are taken, and not a byte is sent
	NotTLS                   // a TLS handshake is answered with plain text
	NoStartTLS               // STARTTLS and STLS are neither offered nor known, as behind a gateway that removes them
	ResetAtConnect           // connections are reset at once
	UnknownIssuer            // the certificate is signed by another authority, as that of an inspecting gateway is
)

// httpAnswer is what a web server says to a client that is none of its own.
const httpAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" +
	"<html><body>400 Bad Request</body></html>"

// goodbyes are the greetings of ByeAtConnect. That of IMAP is reported of
// other builds of Exchange, that of SMTP is its usual one when it goes away,
// that of POP3 is a guess.
var goodbyes = map[protocol]string{
	imapProtocol: "* BYE Connection is closed. 10",
	pop3Protocol: "-ERR Connection is closed. 10",
	smtpProtocol: "421 4.3.2 Service not available",
}

// SetMailFault makes a fault meet all connections that come to a listener from
// now on: that of IMAP, POP3, SMTP, IMAPStartTLS or POP3StartTLS. NoMailFault
// ends it.
func (s *Sandbox) SetMailFault(address string, f MailFault) {
	s.faultsMu.Lock()
	defer s.faultsMu.Unlock()
	s.mailFaults[address] = f
}

func (s *Sandbox) mailFault(address string) MailFault {
	s.faultsMu.Lock()
	defer s.faultsMu.Unlock()
	return s.mailFaults[address]
}

// meetMailFault does to a new connection what the fault says, and tells
// whether the dialogue may go on.
func (s *Sandbox) meetMailFault(c *lineConn, f MailFault) (goOn bool) {
	switch f {
	case SaysNothing:
		c.stall()
	case ResetAtConnect:
		if tcp, ok := c.conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) // close with RST
		}
		c.closing = true
	}
	c.fault = f
	return !c.closing
}

// greetsWith returns the greeting that a fault puts in place of the protocol's
// own, or "".
func (f MailFault) greetsWith(p protocol) string {
	switch f {
	case ByeAtConnect:
		return goodbyes[p]
	case AnswersHTTP:
		return httpAnswer
	}
	return ""
}

// strangeTLS has a certificate for the right names whose issuer nobody trusts.
func strangeTLS() (*tls.Config, error) {
	_, certificate, err := newCertificates("Contoso TLS inspection")
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, err
}

//go:build linux

package interop

import (
	"strings"
	"testing"
)

// TestPipelining sends a whole session in one write, as programs do that wait
// for nobody: what stands behind the credentials is for the upstream, and the
// local password never is.
func TestPipelining(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		for n, mode := range tlsModes {
			t.Run(mode, func(t *testing.T) {
				message := newMessage(from, to, ordinaryBody)
				s.pipelineSMTP(t, mode, from, to, message)
				wantSame(t, "delivered", s.received(t, to, n+1), message)
				s.pipelineIMAP(t, mode, to, message)
				s.pipelinePOP3(t, mode, to, message)
			})
		}
	})
}

// pipelineSMTP sends the message in two writes: RFC 2920 section 3.1 lets no
// client send it before it has read the reply to DATA.
func (s *site) pipelineSMTP(t *testing.T, mode, from, to string, message []byte) {
	t.Helper()
	c := s.connect(t, "smtp", mode)
	c.send("EHLO desk\r\nAUTH PLAIN " + plain(from, shared.password) + "\r\n" +
		"MAIL FROM:<" + from + ">\r\nRCPT TO:<" + to + ">\r\nRCPT TO:<" + s.refused() + ">\r\nDATA\r\n")
	c.until("250 ")
	for _, prefix := range []string{"235 ", "250 ", "250 ", "550 ", "354 "} {
		c.expect(prefix)
	}
	c.send(stuff(message) + "NOOP\r\nQUIT\r\n")
	for _, prefix := range []string{"250 ", "250 ", "221 "} {
		c.expect(prefix)
	}
	c.expectEnd()
}

func (s *site) pipelineIMAP(t *testing.T, mode, user string, message []byte) {
	t.Helper()
	c := s.connect(t, "imap", mode)
	c.send("1 CAPABILITY\r\n2 LOGIN {" + length(user) + "+}\r\n" + user + " " + quote(shared.password) + "\r\n" +
		"3 SELECT INBOX\r\n4 FETCH 1 BODY.PEEK[]\r\n5 LOGOUT\r\n")
	c.until("1 OK ")
	c.expect("2 OK ")
	c.until("3 OK ")
	line := c.expect("* 1 FETCH ")
	wantSame(t, "IMAP", [][]byte{c.literal(line)}, message)
	c.expect("4 OK ")
	c.expect("* BYE ")
	c.expect("5 OK ")
	c.expectEnd()
}

// pipelinePOP3 also deletes the message.
func (s *site) pipelinePOP3(t *testing.T, mode, user string, message []byte) {
	t.Helper()
	c := s.connect(t, "pop3", mode)
	c.send("CAPA\r\nUSER " + user + "\r\nPASS " + shared.password + "\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
	c.expect("+OK")
	if capabilities := string(c.dotted()); !strings.Contains(capabilities, "\r\nUIDL\r\n") {
		t.Errorf("CAPA: %q, want UIDL in it", capabilities)
	}
	for _, prefix := range []string{"+OK", "+OK", "+OK 1 ", "+OK"} {
		c.expect(prefix)
	}
	wantSame(t, "POP3", [][]byte{c.dotted()}, message)
	c.expect("+OK")
	c.expect("+OK")
	c.expectEnd()
}

// TestPipelinedRefusal checks that a pipelined session whose password is wrong
// is refused command by command, and that nothing is sent.
func TestPipelinedRefusal(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		wrong := shared.password + "!"

		smtp := s.connect(t, "smtp", none)
		smtp.send("EHLO desk\r\nAUTH PLAIN " + plain(from, wrong) + "\r\nMAIL FROM:<" + from + ">\r\nRCPT TO:<" + to + ">\r\nDATA\r\nQUIT\r\n")
		smtp.until("250 ")
		for _, prefix := range []string{"535 ", "530 ", "530 ", "530 ", "221 "} {
			smtp.expect(prefix)
		}
		smtp.expectEnd()

		imap := s.connect(t, "imap", none)
		imap.send("1 LOGIN " + from + " " + quote(wrong) + "\r\n2 SELECT INBOX\r\n3 LOGOUT\r\n")
		for _, prefix := range []string{"1 NO [AUTHENTICATIONFAILED] ", "2 BAD ", "* BYE ", "3 OK "} {
			imap.expect(prefix)
		}
		imap.expectEnd()

		pop3 := s.connect(t, "pop3", none)
		pop3.send("USER " + from + "\r\nPASS " + wrong + "\r\nSTAT\r\nQUIT\r\n")
		for _, prefix := range []string{"+OK", "-ERR [AUTH] ", "-ERR ", "+OK"} {
			pop3.expect(prefix)
		}
		pop3.expectEnd()
	})
}

// TestInjectionBeforeTLS pipelines a command behind STARTTLS, in clear: what
// came before the handshake counts for nothing after it (CVE-2011-0411).
func TestInjectionBeforeTLS(t *testing.T) {
	s := newSite(t, newStandIn(t))
	for _, test := range []struct{ protocol, injected, next, answer string }{
		{"imap", "b NOOP", "c NOOP", "c OK "},
		{"pop3", "USER injected", "PASS x", "-ERR USER "},
		{"smtp", "HELP", "NOOP", "250 "},
	} {
		t.Run(test.protocol, func(t *testing.T) {
			c := dial(t, s.address(test.protocol, startTLS))
			c.expect(greetings[test.protocol])
			begin := startTLSCommands[test.protocol]
			c.send(begin.say + "\r\n" + test.injected + "\r\n")
			c.expect(begin.hear)
			c.startTLS()
			c.command(test.next, test.answer)
		})
	}
}

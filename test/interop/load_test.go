//go:build linux

package interop

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
)

// TestLoginsAtOnce logs in with all protocols at once. The mailbox's access
// token is asked for once.
func TestLoginsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		user, before := s.mailboxes()[0], s.entra().TokenRequests()
		var clients []*client
		// SMTP comes three times: Exchange allows a mailbox no more.
		for _, protocol := range []string{"imap", "pop3", "smtp", "imap", "pop3", "smtp", "imap", "pop3", "smtp", "imap", "imap"} {
			c := s.connect(t, protocol, none)
			c.say("%s", map[string]string{
				"imap": "a LOGIN " + user + " " + quote(shared.password),
				"pop3": "AUTH PLAIN " + plain(user, shared.password),
				"smtp": "AUTH PLAIN " + plain(user, shared.password),
			}[protocol])
			clients = append(clients, c)
		}
		for _, c := range clients {
			if line := c.hear(); line[:3] != "+OK" && line[:4] != "235 " && line[:5] != "a OK " {
				t.Errorf("heard %q, want a login", line)
			}
		}
		if requests := s.entra().TokenRequests() - before; requests != 1 {
			t.Errorf("%d token requests, want 1", requests)
		}
	})
}

// TestSlowReader lets the upstream say everything and close before the client
// has read more than its socket holds: it loses nothing.
func TestSlowReader(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		user := s.mailboxes()[0]
		message := newMessage(user, user, large(20<<20))
		c := s.logInIMAP(t, none, user)
		c.send(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s\r\n", len(message), message))
		c.until("a OK ")
		for _, mode := range tlsModes {
			c := s.connect(t, "imap", mode)
			c.setReadBuffer(64 << 10)
			c.send("a LOGIN " + user + " " + quote(shared.password) + "\r\nb EXAMINE INBOX\r\nc FETCH 1 BODY.PEEK[]\r\nd LOGOUT\r\n")
			c.until("b OK ")
			wantSame(t, mode, [][]byte{c.literal(c.expect("* 1 FETCH "))}, message)
			c.until("d OK ")
			c.expectEnd()
		}
	})
}

// setReadBuffer says how much the client's socket holds.
func (c *client) setReadBuffer(size int) {
	c.t.Helper()
	conn := c.conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(size); err != nil {
		c.t.Fatal(err)
	}
}

// TestStopWithSessions stops the proxy while clients are connected: those that
// can be told are told why, and all of them go.
func TestStopWithSessions(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		arriving := map[string]*client{}
		var loggedIn []*client
		for i, protocol := range protocols {
			arriving[protocol] = s.connect(t, protocol, tlsModes[i])
			loggedIn = append(loggedIn, s.logIn(t, protocol, tlsModes[i], s.mailboxes()[0]))
		}
		if err := s.stop(); err != nil {
			t.Errorf("SIGTERM: %v, want status 0", err)
		}
		for protocol, reason := range map[string]string{"imap": "* BYE ", "pop3": "-ERR [SYS/TEMP] ", "smtp": "421 4.3.2 "} {
			arriving[protocol].expect(reason)
			arriving[protocol].expectEnd()
		}
		loggedIn[len(loggedIn)-1].expect("421 4.3.2 ")
		for _, c := range loggedIn {
			c.expectEnd()
		}
	})
}

//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// logIn returns a client that is logged in.
func (s *site) logIn(t *testing.T, protocol, mode, mailbox string) *client {
	t.Helper()
	switch protocol {
	case "imap":
		return s.logInIMAP(t, mode, mailbox)
	case "pop3":
		return s.logInPOP3(t, mode, mailbox)
	}
	return s.logInSMTP(t, mode, mailbox)
}

// logInSMTP returns a client that may send.
func (s *site) logInSMTP(t *testing.T, mode, mailbox string) *client {
	t.Helper()
	c := s.connect(t, "smtp", mode)
	c.say("EHLO desk")
	c.until("250 ")
	c.command("AUTH PLAIN "+plain(mailbox, shared.password), "235 ")
	return c
}

// logInPOP3 returns a client with an open mailbox.
func (s *site) logInPOP3(t *testing.T, mode, mailbox string) *client {
	t.Helper()
	c := s.connect(t, "pop3", mode)
	c.command("USER "+mailbox, "+OK")
	c.command("PASS "+shared.password, "+OK")
	return c
}

// logInIMAP returns a client whose INBOX is open.
func (s *site) logInIMAP(t *testing.T, mode, mailbox string) *client {
	t.Helper()
	c := s.connect(t, "imap", mode)
	c.command("l LOGIN "+mailbox+" "+quote(shared.password), "l OK ")
	c.say("s SELECT INBOX")
	c.until("s OK ")
	return c
}

func length(text string) string { return strconv.Itoa(len(text)) }

// quote writes a string in IMAP's quotes.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// sendMessage sends a message in one transaction and checks that it has been
// accepted.
func (c *client) sendMessage(from string, to []string, message []byte) {
	c.t.Helper()
	c.command("MAIL FROM:<"+from+">", "250 ")
	for _, recipient := range to {
		c.command("RCPT TO:<"+recipient+">", "250 ")
	}
	c.command("DATA", "354 ")
	c.send(stuff(message))
	c.expect("250 ")
}

// stuff makes a message ready for DATA: dots doubled, and its end behind it.
func stuff(message []byte) string {
	return strings.TrimPrefix(string(bytes.ReplaceAll(append([]byte("\r\n"), message...), []byte("\r\n."), []byte("\r\n.."))), "\r\n") + ".\r\n"
}

// fetchIMAP returns the messages in the open folder.
func (c *client) fetchIMAP() (messages [][]byte) {
	c.t.Helper()
	c.say("f UID FETCH 1:* BODY.PEEK[]")
	for {
		line := c.hear()
		switch {
		case strings.HasPrefix(line, "f OK "):
			return messages
		case strings.HasSuffix(line, "}"):
			messages = append(messages, c.literal(line))
		default:
			c.t.Fatalf("heard %q, want a FETCH response", line)
		}
	}
}

// fetchPOP3 returns the messages in the mailbox.
func (c *client) fetchPOP3() (messages [][]byte) {
	c.t.Helper()
	var n, size int
	line := c.command("STAT", "+OK ")
	if _, err := fmt.Sscanf(line, "+OK %d %d", &n, &size); err != nil {
		c.t.Fatalf("%q: %v", line, err)
	}
	for i := range n {
		c.command(fmt.Sprintf("RETR %d", i+1), "+OK")
		messages = append(messages, c.dotted())
	}
	return messages
}

// wantSame checks that got are the messages of want, in any order, each behind
// the header fields that servers have put before it.
func wantSame(t *testing.T, where string, got [][]byte, want ...[]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d messages, want %d", where, len(got), len(want))
	}
	for i, message := range want {
		if !containsMessage(got, message) {
			t.Errorf("%s: message %d isn't there as it was sent%s", where, i+1, difference(got, message))
		}
	}
}

func containsMessage(got [][]byte, message []byte) bool {
	for _, g := range got {
		if bytes.HasSuffix(g, message) {
			return true
		}
	}
	return false
}

// difference shows where the only message there is begins to differ from the
// one that was sent, from the end.
func difference(got [][]byte, message []byte) string {
	if len(got) != 1 {
		return ""
	}
	same := 0
	for same < min(len(got[0]), len(message)) && got[0][len(got[0])-1-same] == message[len(message)-1-same] {
		same++
	}
	around := func(text []byte) []byte {
		end := len(text) - same
		return text[max(0, end-60):min(len(text), end+20)]
	}
	return fmt.Sprintf(": %d bytes from its end it has %q, sent was %q", same, around(got[0]), around(message))
}

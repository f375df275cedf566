//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestIdle waits for a message in IDLE (RFC 2177), which another client sends
// meanwhile through the same proxy.
func TestIdle(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		idler := s.logInIMAP(t, startTLS, to)
		idler.command("i IDLE", "+ ")
		message := newMessage(from, to, ordinaryBody)
		s.logInSMTP(t, startTLS, from).sendMessage(from, []string{to}, message)
		idler.until("* 1 EXISTS")
		idler.say("DONE")
		idler.until("i OK ")
		wantSame(t, "IMAP", idler.fetchIMAP(), message)
	})
}

// TestAppend stores large and odd messages by APPEND, with both kinds of
// literals, and reads them back whole and in parts.
func TestAppend(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		mailbox := s.mailboxes()[0]
		c := s.logInIMAP(t, implicit, mailbox)
		small := newMessage(mailbox, mailbox, ordinaryBody)
		c.send(fmt.Sprintf("a APPEND INBOX (\\Seen) {%d+}\r\n%s\r\n", len(small), small))
		c.until("a OK ")
		big := newMessage(mailbox, mailbox, large(20<<20))
		c.command(fmt.Sprintf("b APPEND INBOX {%d}", len(big)), "+")
		c.send(string(big) + "\r\n")
		c.until("b OK ")
		wantSame(t, "IMAP", c.fetchIMAP(), small, big)

		const offset, size = 10 << 20, 1 << 20
		c.say("p FETCH 2 BODY.PEEK[]<%d.%d>", offset, size)
		part := c.literal(c.expect("* 2 FETCH "))
		c.expect("p OK ")
		if !bytes.Equal(part, big[offset:offset+size]) {
			t.Errorf("a part of %d bytes is not what was stored there", len(part))
		}
	})
}

// TestCapabilities checks what clients are offered: before the login our ways
// to log in alone, in the answer to it what the upstream offers and no login.
func TestCapabilities(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		c := dial(t, s.address("imap", startTLS))
		before := c.expect("* OK [CAPABILITY ")
		wantWords(t, "greeting", before, "STARTTLS AUTH=PLAIN AUTH=LOGIN SASL-IR IDLE", "AUTH=XOAUTH2 LOGINDISABLED")
		after := c.command("a LOGIN "+s.mailboxes()[0]+" "+quote(shared.password), "a OK [CAPABILITY ")
		c.say("b CAPABILITY")
		upstream := strings.TrimPrefix(c.expect("* CAPABILITY "), "* CAPABILITY ")
		c.expect("b OK ")
		wantWords(t, "OK to LOGIN", after, strings.ReplaceAll(upstream, "AUTH=XOAUTH2", ""), "STARTTLS AUTH=XOAUTH2 LOGINDISABLED")
	})
}

// wantWords checks that a line holds some words and not others.
func wantWords(t *testing.T, what, line, want, unwanted string) {
	t.Helper()
	has := func(word string) bool {
		return strings.Contains(" "+strings.ReplaceAll(line, "]", " ")+" ", " "+word+" ")
	}
	for word := range strings.FieldsSeq(want) {
		if !has(word) {
			t.Errorf("%s: %q, want %s in it", what, line, word)
		}
	}
	for word := range strings.FieldsSeq(unwanted) {
		if has(word) {
			t.Errorf("%s: %q, want no %s in it", what, line, word)
		}
	}
}

//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestManyMessages sends several messages on one connection, with what
// programs do in between.
func TestManyMessages(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		c := s.logInSMTP(t, startTLS, from)
		var sent [][]byte
		send := func() {
			message := newMessage(from, to, fmt.Sprintf("Message %d.\r\n", len(sent)))
			c.sendMessage(from, []string{to}, message)
			sent = append(sent, message)
		}
		send()
		send()
		c.command("NOOP", "250 ")
		c.command("MAIL FROM:<"+from+">", "250 ")
		c.command("RCPT TO:<"+to+">", "250 ")
		c.command("RSET", "250 ")
		send()
		c.say("EHLO desk")
		c.until("250 ")
		send()
		c.command("QUIT", "221 ")
		c.expectEnd()
		wantSame(t, "delivered", s.received(t, to, len(sent)), sent...)
	})
}

// TestRefusedRecipients checks that the upstream's word on each recipient
// reaches the client, and that the others get the message.
func TestRefusedRecipients(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		from, to, other := s.mailboxes()[0], s.mailboxes()[1], s.mailboxes()[2]
		c := s.logInSMTP(t, implicit, from)

		c.command("MAIL FROM:<"+from+">", "250 ")
		c.command("RCPT TO:<"+s.refused()+">", "550 5.1.1")
		c.command("DATA", "554 ")
		c.command("RSET", "250 ")

		c.command("MAIL FROM:<"+from+">", "250 ")
		c.command("RCPT TO:<"+to+">", "250 ")
		c.command("RCPT TO:<"+s.refused()+">", "550 5.1.1")
		c.command("RCPT TO:<"+other+">", "250 ")
		message := newMessage(from, to, ordinaryBody)
		c.command("DATA", "354 ")
		c.send(stuff(message))
		c.expect("250 ")
		wantSame(t, to, s.received(t, to, 1), message)
		wantSame(t, other, s.received(t, other, 1), message)
	})
}

// TestManyRecipients sends to 150 recipients: one command at a time, and all
// in one write.
func TestManyRecipients(t *testing.T) {
	const recipients = 150
	onEach(t, func(t *testing.T, s *site) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		name, domain, _ := strings.Cut(to, "@")
		var all []string
		for n := range recipients - 1 {
			all = append(all, fmt.Sprintf("%s+%d@%s", name, n, domain))
		}
		all = append(all, to)
		c := s.logInSMTP(t, none, from)
		c.sendMessage(from, all, newMessage(from, to, "One by one.\r\n"))

		c.send("MAIL FROM:<" + from + ">\r\nRCPT TO:<" + strings.Join(all, ">\r\nRCPT TO:<") + ">\r\nDATA\r\n")
		for range 1 + recipients {
			c.expect("250 ")
		}
		c.expect("354 ")
		message := newMessage(from, to, "All at once.\r\n")
		c.send(stuff(message))
		c.expect("250 ")
		if got := s.received(t, to, 2); !containsMessage(got, message) {
			t.Errorf("the message isn't among the %d in %s", len(got), to)
		}
	})
}

// TestDevices speaks as printers and scanners do.
func TestDevices(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		c := s.connect(t, "smtp", none)
		c.command("HELO", "250 ")
		c.command("auth login", "334 VXNlcm5hbWU6")
		c.command(encode(from), "334 UGFzc3dvcmQ6")
		c.command(encode(shared.password), "235 ")
		c.command("mail from: "+from, "250 ")
		c.command("rcpt to: <"+to+">", "250 ")
		c.command("DATA ", "354 ")
		message := []byte("Subject: Scan_0001\r\n\r\nNo Date, no From, no Message-ID.\r\n")
		c.send(stuff(message))
		c.expect("250 ")
		c.command("QUIT ", "221 ")
		c.expectEnd()
		wantSame(t, "delivered", s.received(t, to, 1), message)
	})
}

// TestDeviceWithoutLogin sends as a device does that is known by its address
// alone, and knows addresses without a domain alone.
func TestDeviceWithoutLogin(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		from, _, _ := strings.Cut(s.mailboxes()[0], "@")
		to, _, _ := strings.Cut(s.mailboxes()[1], "@")
		c := dialFrom(t, deviceAddress, s.address("smtp", none))
		c.expect("220 ")
		c.command("HELO copier_1", "250 ")
		message := newMessage(from, to, ordinaryBody)
		c.sendMessage(from, []string{to}, message)
		repaired := bytes.Replace(message, []byte("From: <"+from+">"), []byte("From: <"+s.mailboxes()[0]+">"), 1)
		wantSame(t, "delivered", s.received(t, s.mailboxes()[1], 1), repaired)

		stranger := s.connect(t, "smtp", none)
		stranger.command("HELO copier_2", "250 ")
		stranger.command("MAIL FROM:<"+from+">", "530 5.7.0 ")
	})
}

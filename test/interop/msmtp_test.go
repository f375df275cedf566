//go:build linux

package interop

import (
	"fmt"
	"testing"
)

// configureMsmtp writes msmtp's file. It has quotes and no escapes: what
// stands between the outer quotes is taken as it is.
func (s *site) configureMsmtp(p program, at port, mechanism, user, password string) string {
	tls := map[string]string{none: "tls off", startTLS: "tls on", implicit: "tls on\ntls_starttls off"}[at.tls]
	return p.configure("msmtprc", fmt.Sprintf("account default\nhost localhost\nport %s\nauth %s\nuser \"%s\"\npassword \"%s\"\ntls_trust_file %s\n%s\n",
		s.port("smtp", at.listener), mechanism, user, password, shared.RootFile, tls))
}

// TestMsmtp sends with msmtp: each message arrives as it was sent.
func TestMsmtp(t *testing.T) {
	needs(t, "msmtp")
	onEachLogin(t, func(t *testing.T, s *site, at port, login oddLogin, n int) {
		mailbox, p := s.mailboxes()[0], newProgram(t)
		// By default ("on") it wants TLS first.
		mechanism := []string{"plain", "login"}[n%2]
		message := newMessage(mailbox, mailbox, ordinaryBody+login.name+"\r\n")
		file := s.configureMsmtp(p, at, mechanism, login.User, login.password)
		p.must(unixLines(message), "msmtp", "-C", file, "-f", mailbox, mailbox)
		if got := s.received(t, mailbox, n+1); !containsMessage(got, message) {
			t.Errorf("the message isn't among the %d as it was sent", len(got))
		}
	})
}

// TestMsmtpBig sends a message of 25 MB.
func TestMsmtpBig(t *testing.T) {
	needs(t, "msmtp")
	s := newSite(t, newRealService(t))
	from, to, p := s.mailboxes()[0], s.mailboxes()[1], newProgram(t)
	message := newMessage(from, to, big25MB())
	// In clear: over TLS each line would be a record of its own.
	file := s.configureMsmtp(p, port{none, none}, "plain", from, shared.password)
	p.must(unixLines(message), "msmtp", "-C", file, "-f", from, to)
	wantSame(t, to, s.received(t, to, 1), message)
}

// Exit statuses of msmtp, of sysexits.h.
const (
	dataError    = 65
	noPermission = 77
)

// TestMsmtpIsRefused checks that msmtp takes a wrong password for one, and a
// refused recipient for the upstream's word.
func TestMsmtpIsRefused(t *testing.T) {
	needs(t, "msmtp")
	onEach(t, func(t *testing.T, s *site) {
		mailbox, p := s.mailboxes()[0], newProgram(t)
		message := newMessage(mailbox, mailbox, ordinaryBody)
		for _, at := range ports {
			file := s.configureMsmtp(p, at, "plain", mailbox, "wrong")
			if out, status := p.run(message, "msmtp", "-C", file, "-f", mailbox, mailbox); status != noPermission {
				t.Errorf("%v: status %d, want %d: %s", at, status, noPermission, out)
			}
		}
		login := oddLogins[0]
		file := s.configureMsmtp(p, ports[0], "plain", login.User, login.password)
		if out, status := p.run(message, "msmtp", "-C", file, "-f", mailbox, s.refused()); status != dataError {
			t.Errorf("refused recipient: status %d, want %d: %s", status, dataError, out)
		}
	})
}

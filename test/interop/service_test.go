//go:build linux

package interop

import (
	"testing"

	"oauthproxy/internal/sandbox"
)

// service is a mail service that the proxy stands before.
type service interface {
	// entra is where the proxy gets its access tokens.
	entra() *sandbox.Sandbox
	// host is where the service speaks a protocol.
	host(protocol string) host
	// mailboxes are three that nobody else uses. They are empty.
	mailboxes() []string
	// refused is a recipient that the service refuses.
	refused() string
	// received waits until a mailbox has got its nth message by SMTP, and
	// returns what is in it, with the service's own header fields, in no
	// particular order.
	received(t *testing.T, mailbox string, n int) [][]byte
}

// host is an address, and how its clients come to TLS.
type host struct{ Address, TLS string }

// standIn is the sandbox as a service.
type standIn struct{ *sandbox.Sandbox }

func newStandIn(t *testing.T) standIn {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{
		IMAPStartTLSAddress: "127.0.0.1:0", POP3StartTLSAddress: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return standIn{s}
}

func (s standIn) entra() *sandbox.Sandbox { return s.Sandbox }

func (s standIn) mailboxes() []string { return s.Mailboxes()[:3] }

func (s standIn) refused() string { return "unknown-recipient@" + sandbox.Domain }

func (s standIn) host(protocol string) host {
	switch protocol {
	case "imap":
		return host{s.IMAP(), implicit}
	case "pop3":
		return host{s.POP3(), implicit}
	}
	return host{s.SMTP(), startTLS}
}

// received has nothing to wait for: the sandbox delivers before it replies.
func (s standIn) received(_ *testing.T, mailbox string, _ int) [][]byte { return s.Messages(mailbox) }

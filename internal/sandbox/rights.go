package sandbox

import (
	"fmt"
	"strings"
)

// right is what somebody may do with another's mailbox.
type right int

const (
	fullAccess right = iota // open it with IMAP and POP3
	sendAs                  // send messages from its address
)

type rightGrant struct {
	right  right
	person string // in lower case
}

// GrantFullAccess lets a person open another mailbox with IMAP and POP3; with
// SMTP they go on logging in as themselves. An unknown mailbox is an error.
func (s *Sandbox) GrantFullAccess(person, mailbox string) error {
	return s.grant(fullAccess, person, mailbox)
}

// GrantSendAs lets a person send messages from the address of another mailbox.
// An unknown mailbox is an error.
func (s *Sandbox) GrantSendAs(person, mailbox string) error { return s.grant(sendAs, person, mailbox) }

func (s *Sandbox) grant(what right, person, address string) error {
	m := s.mailbox(address)
	if m == nil {
		return fmt.Errorf("no mailbox %s", address)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rights[rightGrant{what, strings.ToLower(person)}] = true
	return nil
}

// allows tells whether a person has a right on the mailbox: their own, or
// granted.
func (m *mailbox) allows(person string, what right) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.EqualFold(person, m.address) || m.rights[rightGrant{what, strings.ToLower(person)}]
}

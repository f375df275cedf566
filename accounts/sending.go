package accounts

import "strings"

// Sending are the rules for what a login sends. A nil Sending has none. They
// are only handed on, but for the two questions below.
type Sending struct {
	// Sender is the address that messages get as theirs; empty leaves the
	// client's own.
	Sender string
	// AllowSenders and AllowRecipients are addresses, or domains with an @
	// before them; empty allows all.
	AllowSenders    []string
	AllowRecipients []string
	// 0 means no limit.
	MaxMessageSize       int64 // bytes
	MessagesPerMinute    int
	RecipientsPerMessage int
}

// AllowsSender tells whether the login may give the address as its sender.
func (s *Sending) AllowsSender(address string) bool {
	return s == nil || listed(s.AllowSenders, address)
}

// AllowsRecipient tells whether the login may send to the address.
func (s *Sending) AllowsRecipient(address string) bool {
	return s == nil || listed(s.AllowRecipients, address)
}

// listed tells whether a list holds the address or its domain. Only a plain
// address is compared: a route, a quoted name or one with a second @ could mean
// another domain to Exchange than it does here.
func listed(list []string, address string) bool {
	if len(list) == 0 {
		return true
	}
	name, domain, _ := strings.Cut(address, "@")
	if name == "" || domain == "" || strings.ContainsAny(address, "\"\\%!:,;<>()[] \t") || strings.Contains(domain, "@") {
		return false
	}
	for _, entry := range list {
		if FoldUser(entry) == FoldUser(address) || entry[0] == '@' && FoldUser(entry) == FoldUser("@"+domain) {
			return true
		}
	}
	return false
}

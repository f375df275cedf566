package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Sending are the rules for what a login sends. The zero value has none.
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

// Values of a login's sender other than an address.
const (
	keepSender    = "keep"
	mailboxSender = "mailbox"
)

// sending reads a login's rules for sending.
func (s *section) sending(mailbox string, protocols []string) Sending {
	rules := Sending{
		Sender:               s.sender(mailbox),
		AllowSenders:         s.addresses("allow_senders"),
		AllowRecipients:      s.addresses("allow_recipients"),
		MaxMessageSize:       s.size("max_message_size"),
		MessagesPerMinute:    s.count("messages_per_minute", 0),
		RecipientsPerMessage: s.count("recipients_per_message", 0),
	}
	if len(protocols) > 0 && !slices.Contains(protocols, SMTP) {
		for _, key := range loginSendingKeys {
			if s.has(key) {
				s.report(key, "remove it, or add smtp to protocols", "this login can't send")
			}
		}
	}
	return rules
}

func (s *section) sender(mailbox string) string {
	switch v := s.text("sender"); v {
	case "", keepSender:
		return ""
	case mailboxSender:
		return mailbox
	default:
		if !IsAddress(v) {
			s.report("sender", "keep, mailbox, or an address such as scanner@contoso.com", "unknown value %q", v)
		}
		return v
	}
}

// addresses returns the items of a key that are addresses or domains.
func (s *section) addresses(key string) []string {
	var all []string
	for _, w := range s.words(key) {
		if domain, ok := strings.CutPrefix(w.text, "@"); !IsAddress(w.text) && (!ok || !IsAddress("x@"+domain)) {
			s.reader.report(w.line, w.path, `all of a domain is "@contoso.com"`, "%q is neither an address nor a domain", w.text)
			continue
		}
		all = append(all, w.text)
	}
	return all
}

// IsAddress tells whether text can be a mail address. What an address may hold
// is for Exchange to say.
func IsAddress(text string) bool {
	at := strings.LastIndexByte(text, '@')
	return at > 0 && at < len(text)-1 && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '<' || r == '>'
	}) && !strings.Contains(text[:at], "@")
}

// size returns a number of bytes, which may have a unit.
func (s *section) size(key string) int64 {
	v := s.text(key)
	if v == "" {
		return 0
	}
	number, unit := v, int64(1)
	for suffix, factor := range map[string]int64{"KB": 1 << 10, "MB": 1 << 20} {
		if cut, ok := strings.CutSuffix(strings.ToUpper(v), suffix); ok {
			number, unit = strings.TrimSpace(cut), factor
		}
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		s.report(key, "such as 10MB, 500KB (of 1024 bytes) or 2000000; 0 means no limit", "expected a size")
		return 0
	}
	return int64(n) * unit
}

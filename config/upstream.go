package config

import "strings"

// upstream reads where Exchange is.
func upstream(s *section) Upstream {
	name := s.choice("cloud", worldwide, worldwide, "gcc-high", "dod", "china")
	if name == "" {
		name = worldwide // reported; go on to find what else is wrong
	}
	c := clouds[name]
	u := Upstream{
		Cloud: name,
		IMAP:  Host{c.imap, Implicit},
		POP3:  Host{c.pop3, Implicit},
		SMTP:  Host{c.smtp, StartTLS},
	}
	u = hosts(s, u)
	u.CAFile = s.roots("ca_file")
	return u
}

// hosts returns u with the hosts that a section has of its own.
func hosts(s *section, u Upstream) Upstream {
	u.IMAP = host(s.child("imap", hostKeys), u.IMAP)
	u.POP3 = host(s.child("pop3", hostKeys), u.POP3)
	u.SMTP = host(s.child("smtp", hostKeys), u.SMTP)
	return u
}

const hostHint = `such as "outlook.office365.com:993"`

// host returns otherwise with what a section has of its own.
func host(s *section, otherwise Host) Host {
	h := otherwise
	if s.has("address") {
		h.Address = s.required("address", hostHint)
		if s.checkAddress(h.Address, 1, hostHint) && strings.HasPrefix(h.Address, ":") {
			s.report("address", hostHint, "expected a host before the colon")
		}
	}
	switch s.text("tls") {
	case None, "plain":
		s.report("tls", "known: implicit, starttls", "a connection to Exchange is never without TLS: it carries access tokens")
	default:
		h.TLS = s.choice("tls", otherwise.TLS, Implicit, StartTLS)
	}
	return h
}

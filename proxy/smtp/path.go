package smtp

import "strings"

// path is the argument of MAIL or RCPT.
type path struct {
	// address stands between the angle brackets, as the client wrote it.
	address string
	// parameters follow, as the client wrote them.
	parameters string
}

// parsePath reads "FROM:<address> parameters" and the forms that devices make
// of it: blanks before the keyword and around the colon, no angle brackets, no domain. The address is
// not unquoted and not otherwise interpreted, so nothing in it can turn into a
// parameter on its way to Exchange.
func parsePath(argument, keyword string) (p path, ok bool) {
	argument = strings.TrimLeft(argument, " \t")
	if len(argument) < len(keyword) || !strings.EqualFold(argument[:len(keyword)], keyword) {
		return path{}, false
	}
	rest, found := strings.CutPrefix(strings.TrimLeft(argument[len(keyword):], " \t"), ":")
	if !found {
		return path{}, false
	}
	rest = strings.TrimLeft(rest, " \t")
	if bracketed, found := strings.CutPrefix(rest, "<"); found {
		p.address, rest, ok = cutAt(strings.TrimLeft(bracketed, " \t"), ">")
		if !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return path{}, false
		}
	} else {
		p.address, rest, ok = cutAt(rest+" ", " \t")
		if !ok || p.address == "" || strings.ContainsAny(p.address, "<>") {
			return path{}, false
		}
	}
	p.address = strings.Trim(p.address, " \t")
	p.parameters = strings.Trim(rest, " \t")
	return p, !hasControl(p.address) && !hasControl(p.parameters)
}

// cutAt cuts s at the first of the characters that stands outside a quoted
// string (RFC 5321 section 4.1.2).
func cutAt(s, characters string) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"' && (quoted || i == 0 || s[i-1] == ':'):
			// A quoted string is the whole of a local part, which stands
			// first or behind a source route.
			quoted = !quoted
		case !quoted && strings.IndexByte(characters, c) >= 0:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// withDomain completes an address that a device gave without one.
func (p path) withDomain(domain string) path {
	if p.address != "" && !strings.Contains(p.address, "@") {
		p.address += "@" + domain
	}
	return p
}

// String returns the path as it goes upstream.
func (p path) String() string {
	if p.parameters == "" {
		return "<" + p.address + ">"
	}
	return "<" + p.address + "> " + p.parameters
}

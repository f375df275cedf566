package remedy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Placeholders are the names that stand in braces in the texts.
var Placeholders = []string{
	// Of an account and its app.
	"mailbox", "person", "app", "client_id", "tenant",
	// Of a protocol: its name, the delegated permission and the application's.
	"protocol", "scope", "role", "permissions",
	// Of a message.
	"sender",
	// What a token says.
	"user", "audience", "issuer",
	// Of a server and the way there.
	"host", "address", "names", "since", "until", "proxy", "status", "offset",
	// Of what is on this machine.
	"file", "folder", "what",
	// Of an application in Exchange: its tokens tell it, else a person looks it up.
	"object_id",
}

// maxFact bounds a value that is filled in. The longest address has 254 octets
// (RFC 5321 section 4.5.3.1.3).
const maxFact = 400

// Fill returns the remedy with its placeholders replaced: {mailbox} by
// facts["mailbox"]. What isn't known, or isn't fit to be shown, is named in
// capitals: MAILBOX. In lines to paste, values are quoted as their shell needs.
func (r Remedy) Fill(facts map[string]string) Remedy {
	plain := func(value string) string { return value }
	for _, text := range []*string{&r.Says, &r.Tells, &r.Do} {
		*text = fill(*text, facts, plain)
	}
	r.Fix = fillAll(r.Fix, func(line string) string {
		if isCommand(line) {
			return fill(line, facts, quoteShell)
		}
		return fill(line, facts, plain)
	})
	r.PowerShell = fillAll(r.PowerShell, func(line string) string { return fill(line, facts, QuotePowerShell) })
	return r
}

func fillAll(lines []string, fill func(string) string) []string {
	var filled []string
	for _, line := range lines {
		filled = append(filled, fill(line))
	}
	return filled
}

// fill replaces the placeholders of a text, once: what is filled in isn't
// looked at again.
func fill(text string, facts map[string]string, quote func(string) string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, found := strings.Cut(rest, "}")
		if !found {
			b.WriteString("{" + rest)
			return b.String()
		}
		if fact := facts[name]; isFit(fact) {
			b.WriteString(quote(fact))
		} else {
			b.WriteString(strings.ToUpper(name))
		}
		text = after
	}
}

// isFit tells whether a value may be shown: it may come from a server, or from
// a token.
func isFit(value string) bool {
	if value == "" || len(value) > maxFact || !utf8.ValidString(value) {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isCommand tells whether a step is one for this machine's shell.
func isCommand(line string) bool {
	for _, program := range []string{"oauthproxy ", "chmod "} {
		if strings.HasPrefix(line, program) {
			return true
		}
	}
	return false
}

// quoteShell quotes a value for a shell of Unix where it needs that.
func quoteShell(value string) string {
	if !strings.ContainsFunc(value, isSpecial) && value[0] != '-' {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

func isSpecial(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("@%+=:,./_-", r)
}

// QuotePowerShell returns a value as a literal of PowerShell, in which nothing
// has a meaning but the quotation mark itself, which is doubled. To PowerShell
// the typographic ones end such a literal too.
func QuotePowerShell(value string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range value {
		if strings.ContainsRune("'‘’‚‛", r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	b.WriteByte('\'')
	return b.String()
}

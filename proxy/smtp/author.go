package smtp

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"unicode/utf8"
)

// flushFrom passes on the From field, edited.
func (e *editor) flushFrom() {
	if e.from == nil {
		return
	}
	field := e.from
	e.from = nil
	_, value, _ := bytes.Cut(field, []byte(":"))
	original := strings.Join(strings.Fields(string(value)), " ")
	if e.sender == "" {
		e.emit(withDomain(field, e.domain))
		return
	}
	author, reply, foreign := rewritten(original, e.sender)
	if !foreign {
		e.emit(field)
		return
	}
	e.reply = reply
	e.add("From", author)
}

// cutFrom ends a From field that is too long to be held: it passes as it is, or
// the sender alone takes its place.
func (e *editor) cutFrom() {
	if e.from == nil {
		return
	}
	if e.sender == "" {
		e.emit(e.from)
	} else {
		e.add("From", "<"+e.sender+">")
		e.dropped = true
	}
	e.from = nil
}

// maxName bounds a display name, in bytes: encoded and with its address it stays
// below the 998 of a line (RFC 5322 section 2.1.1).
const maxName = 150

// rewritten returns what From says when a message is sent by the sender in
// place of its authors: the first stays as display name, and all of them as
// addresses for replies where they are that. foreign is false if the author is
// the sender.
func rewritten(original, sender string) (author, reply string, foreign bool) {
	name := original
	// A group without members is a list of none.
	if list, err := mail.ParseAddressList(original); err == nil && len(list) > 0 {
		first := list[0]
		if len(list) == 1 && strings.EqualFold(first.Address, sender) {
			return "", "", false
		}
		name = first.Name
		if name == "" {
			name = first.Address
		}
		reply = replyTo(list)
	}
	return displayName(name) + " <" + sender + ">", reply, true
}

// replyTo lists the addresses that replies can get to, each on its own line.
func replyTo(authors []*mail.Address) string {
	var list []string
	for _, author := range authors {
		if answerable(author.Address) {
			list = append(list, (&mail.Address{Name: cutName(author.Name), Address: author.Address}).String())
		}
	}
	return strings.Join(list, ",\r\n ")
}

// cutName shortens a name to its bound, at the end of a character.
func cutName(name string) string {
	if len(name) <= maxName {
		return name
	}
	end := maxName
	for end > maxName-utf8.UTFMax && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// answerable tells whether replies can get to an address: many devices are
// somebody at localhost. None is longer than 254 bytes (RFC 5321 section
// 4.5.3.1.3).
func answerable(address string) bool {
	if len(address) > 254 {
		return false
	}
	domain := address[strings.LastIndexByte(address, '@')+1:]
	last := strings.ToLower(domain[strings.LastIndexByte(domain, '.')+1:])
	return last != "" && last != strings.ToLower(domain) && last != "local" && last != "localdomain" && !strings.HasPrefix(domain, "[")
}

// displayName writes a name for a header: quoted, or encoded where it isn't
// ASCII (RFC 5322 section 3.2.4, RFC 2047).
func displayName(name string) string {
	name = cutName(withoutControls(name))
	encoding := mime.QEncoding
	if strings.ContainsAny(name, "\"#$%&'(),.:;<>@[\\]^`{|}~") { // not in a name's Q (RFC 2047 section 5, rule 3)
		encoding = mime.BEncoding
	}
	if !utf8.ValidString(name) {
		return encoding.Encode("iso-8859-1", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > '~' }) {
		return encoding.Encode("utf-8", name)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// withoutControls drops what would break a header line; all else stays, byte
// for byte.
func withoutControls(text string) string {
	kept := make([]byte, 0, len(text))
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c != 0x7f {
			kept = append(kept, c)
		}
	}
	return string(kept)
}

// localOnly is a From field whose one address is a local part alone, with or
// without a name, brackets and a comment; the first part ends where the domain
// belongs.
var localOnly = regexp.MustCompile(`^([^:]+:[ \t]*(?:(?:"(?:[^"\\]|\\.)*"\s*|[^<>@:;,]*)<)?[^\s<>()@:;,"]+)(>?\s*(?:\([^()\\]*\)\s*)?)$`)

// withDomain completes the address of a From field.
func withDomain(field []byte, domain string) []byte {
	return localOnly.ReplaceAll(field, []byte("${1}@"+strings.ReplaceAll(domain, "$", "$$")+"${2}"))
}

// newMessageID returns a new Message-ID in the domain.
func newMessageID(domain string) string {
	random := make([]byte, 15)
	rand.Read(random)
	return "<" + strings.ToLower(base32.StdEncoding.EncodeToString(random)) + "@" + domain + ">"
}

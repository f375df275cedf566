package smtp

import (
	"crypto/rand"
	"encoding/base32"
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"unicode/utf8"
)

// rewritten returns what From says when a message is sent by the sender in
// place of its author: the author stays as display name, and as the address
// for replies where that is one. foreign is false if the author is the sender.
func rewritten(original, sender string) (author, reply string, foreign bool) {
	name := original
	if list, err := mail.ParseAddressList(original); err == nil {
		first := list[0]
		if len(list) == 1 && strings.EqualFold(first.Address, sender) {
			return "", "", false
		}
		name = first.Name
		if name == "" {
			name = first.Address
		}
		if answerable(first.Address) {
			reply = first.String()
		}
	}
	return displayName(name) + " <" + sender + ">", reply, true
}

// answerable tells whether replies can get to an address: many devices are
// somebody at localhost.
func answerable(address string) bool {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	last := strings.ToLower(domain[strings.LastIndexByte(domain, '.')+1:])
	return last != "" && last != strings.ToLower(domain) && last != "local" && last != "localdomain" && !strings.HasPrefix(domain, "[")
}

// displayName writes a name for a header: quoted, or encoded where it isn't
// ASCII (RFC 5322 section 3.2.4, RFC 2047).
func displayName(name string) string {
	name = withoutControls(name)
	if !utf8.ValidString(name) {
		return mime.QEncoding.Encode("iso-8859-1", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > '~' }) {
		return mime.QEncoding.Encode("utf-8", name)
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
// without a name and brackets; the first part ends where the domain belongs.
var localOnly = regexp.MustCompile(`^([^:]+:[ \t]*(?:[^<>@:;,]*<)?[^\s<>()@:;,"]+)(>?\s*)$`)

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

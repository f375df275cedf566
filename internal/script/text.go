package script

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape replaces the escapes of a Go string: \r, \n, \x00, \\ ...
func unescape(text string) (string, error) {
	var b strings.Builder
	for text != "" {
		if text[0] != '\\' {
			b.WriteByte(text[0])
			text = text[1:]
			continue
		}
		char, multibyte, rest, err := strconv.UnquoteChar(text, 0)
		if err != nil {
			return "", fmt.Errorf("unknown escape: %s", text)
		}
		if multibyte {
			b.WriteRune(char)
		} else {
			b.WriteByte(byte(char))
		}
		text = rest
	}
	return b.String(), nil
}

// escape makes control characters and broken UTF-8 visible.
func escape(text string) string {
	var b strings.Builder
	for text != "" {
		char, size := utf8.DecodeRuneInString(text)
		switch {
		case char == '\r':
			b.WriteString(`\r`)
		case char == '\n':
			b.WriteString(`\n`)
		case char < ' ', char == 0x7f, char == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		default:
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// matches tells whether a heard line is what the story says: a * in the
// pattern is anything, but for one at its very beginning.
func matches(pattern, heard string) bool {
	if strings.HasPrefix(pattern, "*") {
		if !strings.HasPrefix(heard, "*") {
			return false
		}
		pattern, heard = pattern[1:], heard[1:]
	}
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return heard == pattern
	}
	heard, ok := strings.CutPrefix(heard, first)
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, heard, ok = strings.Cut(heard, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(heard, last)
}

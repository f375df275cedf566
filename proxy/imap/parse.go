package imap

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"oauthproxy/internal/wire"
)

const (
	// maxLine bounds a line, which may carry a SASL response: RFC 4954
	// section 4.3 names 12,288 octets for those, RFC 9051 none.
	maxLine = 12288
	// maxLiteral bounds a user name or password sent as a literal.
	maxLiteral = 4096
	// maxSkipped bounds a non-synchronizing literal of a refused command,
	// which comes whether we want it or not.
	maxSkipped = 64 << 10
)

// syntaxError is a command that can't be understood; its text goes to the
// client behind BAD.
type syntaxError string

func (e syntaxError) Error() string { return string(e) }

const (
	errArguments = syntaxError("Wrong arguments")
	errTooLarge  = syntaxError("Literal too large")
	errLine      = syntaxError("Command line too long")
)

// errUnskippable means that a literal is under way that is too large to skip:
// only a close ends it.
var errUnskippable = errors.New("the client sends a literal that is too large")

// parser reads one command: a line and, where that ends in the announcement
// of a literal, the literal and what follows it (RFC 9051 section 4.3).
type parser struct {
	conn *wire.Conn
	// proceed asks the client for a synchronizing literal.
	proceed func()
	// rest is what is left of the current line; it is valid until the next
	// read.
	rest []byte
}

// readLine reads a line without its end. openssl s_client -crlf, fed with CRLF,
// ends each in CR CR LF.
func readLine(conn *wire.Conn) ([]byte, error) {
	line, err := conn.ReadLine(maxLine)
	return bytes.TrimRight(line, "\r"), err
}

// word takes the next word, and the blanks before it: a tag, a command's name,
// an atom.
func (p *parser) word() string {
	word, rest, _ := bytes.Cut(bytes.TrimLeft(p.rest, " "), []byte{' '})
	p.rest = rest
	return string(word)
}

// end checks that nothing is left. Blanks don't matter.
func (p *parser) end() error {
	if len(bytes.TrimSpace(p.rest)) > 0 {
		return errArguments
	}
	p.rest = nil
	return nil
}

// astring takes the next argument: an atom, a quoted string or a literal, and
// the blanks before it. An atom goes to the next blank, whatever is in it: old
// programs don't quote what they should.
func (p *parser) astring() (string, error) {
	p.rest = bytes.TrimLeft(p.rest, " ")
	if len(p.rest) == 0 {
		return "", errArguments
	}
	switch p.rest[0] {
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	atom := p.word()
	if strings.ContainsRune(atom, 0) {
		return "", errArguments
	}
	return atom, nil
}

// quoted takes a quoted string. Any character may be escaped, not just the two
// that have to be.
func (p *parser) quoted() (string, error) {
	var text []byte
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '"':
			rest := p.rest[i+1:]
			if len(rest) > 0 && rest[0] != ' ' {
				return "", errArguments
			}
			p.rest = rest
			return string(text), nil
		case '\\':
			i++
			if i == len(p.rest) {
				return "", errArguments
			}
			text = append(text, p.rest[i])
		case 0:
			return "", errArguments
		default:
			text = append(text, c)
		}
	}
	return "", errArguments
}

// literal takes a literal, which ends the line, and reads the line that
// follows it.
func (p *parser) literal() (string, error) {
	text, err := p.readLiteral()
	if err != nil {
		return "", err
	}
	if strings.ContainsRune(text, 0) || len(p.rest) > 0 && p.rest[0] != ' ' {
		return "", errArguments
	}
	return text, nil
}

func (p *parser) readLiteral() (string, error) {
	size, waits, ok := announced(p.rest)
	if !ok {
		return "", errArguments
	}
	if size > maxLiteral {
		return "", errTooLarge // skip deals with it
	}
	p.rest = nil
	if waits {
		p.proceed()
	}
	data, err := p.conn.ReadFull(size)
	if err != nil {
		return "", err
	}
	text := string(data)
	p.rest, err = readLine(p.conn)
	if errors.Is(err, wire.ErrTooLong) {
		err = errLine
	}
	return text, err
}

// skip passes over what is left of a refused command: literals that are sent
// without waiting for us, and what follows them. One that waits isn't asked
// for and doesn't come.
func (p *parser) skip() error {
	for skipped := 0; ; {
		open := bytes.LastIndexByte(p.rest, '{')
		if open < 0 {
			return nil
		}
		size, waits, ok := announced(p.rest[open:])
		if !ok || waits {
			return nil
		}
		if skipped += size; size > maxSkipped || skipped > maxSkipped {
			return errUnskippable
		}
		if err := p.conn.Discard(size); err != nil {
			return err
		}
		line, err := readLine(p.conn)
		if err != nil {
			return err
		}
		p.rest = line
	}
}

// announced reads the announcement of a literal, {n} or {n+}. A size that is
// beyond any bound is returned as a very large one.
func announced(text []byte) (size int, waits, ok bool) {
	text = bytes.TrimRight(text, " ")
	if len(text) < 3 || text[0] != '{' || text[len(text)-1] != '}' {
		return 0, false, false
	}
	digits, plus := bytes.CutSuffix(text[1:len(text)-1], []byte{'+'})
	if len(digits) == 0 || bytes.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 32)
	if err != nil {
		n = 1<<31 - 1
	}
	return int(n), !plus, true
}

// passOver takes the rest of the command, literals and all: arguments that
// nobody reads.
func (p *parser) passOver() error {
	for {
		open := bytes.LastIndexByte(p.rest, '{')
		if open < 0 {
			break
		}
		if _, _, ok := announced(p.rest[open:]); !ok {
			break
		}
		p.rest = p.rest[open:]
		if _, err := p.readLiteral(); err != nil {
			return err
		}
	}
	p.rest = nil
	return nil
}

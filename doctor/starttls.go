package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"oauthproxy/internal/wire"
)

const (
	maxReplyLine  = 2000 // bytes of a mail server's line
	maxReplyLines = 100  // of one reply
)

// errNoSTARTTLS means that a mail server doesn't come to TLS.
var errNoSTARTTLS = errors.New("the mail server offers no STARTTLS")

// A refusal is a mail server's no, in its own words.
type refusal string

func (r refusal) Error() string { return string(r) }

// A dismissal is a refusal that came before the login, and isn't about it.
type dismissal string

func (d dismissal) Error() string { return string(d) }

// beforeLogin makes a dismissal of a refusal.
func beforeLogin(err error) error {
	var no refusal
	if errors.As(err, &no) {
		return dismissal(no)
	}
	return err
}

// nonsense is an answer that isn't one of the protocol.
type nonsense string

func (n nonsense) Error() string { return fmt.Sprintf("an answer that makes no sense: %q", string(n)) }

// startTLS brings a mail server to the point where TLS begins (RFC 3207, 9051
// section 6.2.1, 2595 section 4), and returns its greeting.
func startTLS(c *wire.Conn, protocol string) (greeting []byte, err error) {
	switch protocol {
	case "smtp":
		return startTLSOfSMTP(c)
	case "imap":
		return startTLSOfIMAP(c)
	}
	return startTLSOfPOP3(c)
}

func startTLSOfSMTP(c *wire.Conn) (greeting []byte, err error) {
	if greeting, err = readSMTP(c, "220"); err != nil {
		return nil, err
	}
	c.Printf("EHLO localhost")
	offered, err := readSMTP(c, "250")
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(bytes.ToUpper(offered), []byte("STARTTLS\r\n")) {
		return nil, errNoSTARTTLS
	}
	c.Printf("STARTTLS")
	_, err = readSMTP(c, "220")
	return greeting, err
}

// readSMTP reads a reply (RFC 5321 section 4.2), which has to have that code.
func readSMTP(c *wire.Conn, code string) ([]byte, error) {
	var reply []byte
	for range maxReplyLines {
		line, err := c.ReadLine(maxReplyLine)
		if err != nil {
			return nil, err
		}
		isCode := len(line) >= 3 && line[0] >= '2' && line[0] <= '5' && areDigits(line[:3])
		if !isCode || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return nil, nonsense(clean(string(line)))
		}
		reply = append(append(reply, line...), "\r\n"...)
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if string(line[:3]) != code {
			return nil, refusal(clean(string(line)))
		}
		return reply, nil
	}
	return nil, errFlood
}

func areDigits(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r < '0' || r > '9' })
}

func startTLSOfIMAP(c *wire.Conn) (greeting []byte, err error) {
	line, err := c.ReadLine(maxReplyLine)
	if err != nil {
		return nil, err
	}
	greeting = append(bytes.Clone(line), "\r\n"...)
	if !hasWord(line, "* OK") {
		return nil, noOrNonsense(line, "* BYE")
	}
	c.Printf("A1 STARTTLS")
	for range maxReplyLines {
		switch line, err = c.ReadLine(maxReplyLine); {
		case err != nil:
			return nil, err
		case hasWord(line, "*"):
			continue
		case hasWord(line, "A1 OK"):
			return greeting, nil
		case hasWord(line, "A1 NO"), hasWord(line, "A1 BAD"):
			return nil, errNoSTARTTLS
		}
		return nil, nonsense(clean(string(line)))
	}
	return nil, errFlood
}

func startTLSOfPOP3(c *wire.Conn) (greeting []byte, err error) {
	line, err := c.ReadLine(maxReplyLine)
	if err != nil {
		return nil, err
	}
	greeting = append(bytes.Clone(line), "\r\n"...)
	if !hasWord(line, "+OK") {
		return nil, noOrNonsense(line, "-ERR")
	}
	c.Printf("STLS")
	if line, err = c.ReadLine(maxReplyLine); err != nil {
		return nil, err
	}
	if hasWord(line, "+OK") {
		return greeting, nil
	}
	if hasWord(line, "-ERR") {
		return nil, errNoSTARTTLS
	}
	return nil, nonsense(clean(string(line)))
}

// noOrNonsense is the error of a line that should have been a yes: a refusal,
// if it begins with no.
func noOrNonsense(line []byte, no string) error {
	if hasWord(line, no) {
		return refusal(clean(string(line)))
	}
	return nonsense(clean(string(line)))
}

// hasWord tells whether a line begins with words, whatever their case.
func hasWord(line []byte, words string) bool {
	if len(line) < len(words) || !strings.EqualFold(string(line[:len(words)]), words) {
		return false
	}
	return len(line) == len(words) || line[len(words)] == ' '
}

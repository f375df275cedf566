package doctor

import (
	"bytes"
	"errors"
	"net"
	"strings"

	"oauthproxy/internal/wire"
)

const (
	maxLine  = 2 << 10 // RFC 5321 wants 512, RFC 9051 nothing
	maxLines = 100     // of one reply
)

// speaker names the protocol in which something begins to speak: imap, pop3,
// smtp, http, tls or ssh; "" is none of them.
func speaker(line []byte) string {
	switch {
	case bytes.HasPrefix(line, []byte("HTTP/")):
		return "http"
	case bytes.HasPrefix(line, []byte("* ")):
		return "imap"
	case bytes.HasPrefix(line, []byte("+OK")), bytes.HasPrefix(line, []byte("-ERR")):
		return "pop3"
	case bytes.HasPrefix(line, []byte("SSH-")):
		return "ssh"
	case len(line) > 1 && (line[0] == 0x15 || line[0] == 0x16) && line[1] == 3:
		return "tls"
	case len(line) > 3 && isDigits(line[:3]) && (line[3] == ' ' || line[3] == '-'):
		return "smtp"
	}
	return ""
}

func isDigits(text []byte) bool {
	return !bytes.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// judgeGreeting tells what is odd about the first line of a mail server; nil is
// that nothing is.
func judgeGreeting(protocol string, line []byte) error {
	switch who := speaker(line); who {
	case protocol:
		if isWelcome(line) {
			return nil
		}
		return &odd{remedy: "greeting-refuses", seen: "it greets with " + quote(line)}
	case "http":
		return &odd{remedy: "answers-http", seen: "it answers " + quote(line)}
	case "tls":
		return &odd{remedy: "tls-at-once", seen: "it speaks TLS from the start"}
	case "imap", "pop3", "smtp":
		return &odd{remedy: "wrong-protocol", seen: "it speaks " + strings.ToUpper(who) + ": " + quote(line)}
	}
	return &odd{remedy: "greeting-foreign", seen: "it greets with " + quote(line)}
}

// isWelcome tells whether a greeting lets one in: not BYE, -ERR, 421 or 554.
func isWelcome(line []byte) bool {
	for _, good := range []string{"* OK", "* PREAUTH", "+OK", "220"} {
		if len(line) >= len(good) && strings.EqualFold(string(line[:len(good)]), good) {
			return true
		}
	}
	return false
}

// readGreeting reads what a mail server says first.
func readGreeting(c *wire.Conn, protocol string) error {
	line, err := c.ReadLine(maxLine)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &odd{remedy: "port-silent", seen: "it takes the connection and says nothing"}
	}
	if err != nil {
		return err
	}
	if err := judgeGreeting(protocol, line); err != nil || protocol != "smtp" {
		return err
	}
	_, err = readReply(c, line)
	return err
}

// askForTLS reads the greeting and asks for TLS: STARTTLS (RFC 3207, RFC 9051)
// or STLS (RFC 2595). Nil is that the server has agreed.
func askForTLS(c *wire.Conn, protocol string) error {
	if err := readGreeting(c, protocol); err != nil {
		return err
	}
	switch protocol {
	case "imap":
		return askIMAP(c)
	case "pop3":
		return agreement(command(c, "STLS"))("+OK")
	}
	lines, err := exchange(c, "EHLO "+ourName(c))
	if err != nil {
		return err
	}
	if !offers(lines, "STARTTLS") {
		return &odd{remedy: "starttls-missing", seen: "it offers no STARTTLS"}
	}
	return agreement(command(c, "STARTTLS"))("220")
}

// askIMAP sends STARTTLS and skips what comes before its tagged response.
func askIMAP(c *wire.Conn) error {
	line, err := command(c, "a STARTTLS")
	for n := 0; err == nil && bytes.HasPrefix(line, []byte("* ")); n++ {
		if n == maxLines {
			return wire.ErrFlood
		}
		line, err = c.ReadLine(maxLine)
	}
	return agreement(line, err)("a OK")
}

// agreement returns what tells whether a reply begins with the word for yes.
func agreement(line []byte, err error) func(yes string) error {
	return func(yes string) error {
		switch {
		case err != nil:
			return err
		case len(line) < len(yes) || !strings.EqualFold(string(line[:len(yes)]), yes):
			return &odd{remedy: "starttls-missing", seen: "it answers " + quote(line) + " when asked for TLS"}
		}
		return nil
	}
}

// command sends a line and returns the first line of the answer.
func command(c *wire.Conn, line string) ([]byte, error) {
	c.Printf("%s", line)
	return c.ReadLine(maxLine)
}

// exchange sends a line and returns all lines of an SMTP reply.
func exchange(c *wire.Conn, line string) ([]string, error) {
	answer, err := command(c, line)
	if err != nil {
		return nil, err
	}
	return readReply(c, answer)
}

// readReply reads the rest of an SMTP reply (RFC 5321 section 4.2).
func readReply(c *wire.Conn, line []byte) ([]string, error) {
	lines := []string{string(line)}
	for len(line) > 3 && line[3] == '-' {
		if len(lines) == maxLines {
			return nil, wire.ErrFlood
		}
		var err error
		if line, err = c.ReadLine(maxLine); err != nil {
			return nil, err
		}
		lines = append(lines, string(line))
	}
	return lines, nil
}

// offers tells whether a reply to EHLO lists the keyword.
func offers(lines []string, keyword string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line, "250") && len(line) > 4 && strings.EqualFold(strings.TrimSpace(line[4:]), keyword) {
			return true
		}
	}
	return false
}

// ourName is what we call ourselves: an address literal (RFC 5321 section
// 4.1.3), which is right whatever this machine's name is.
func ourName(c *wire.Conn) string {
	host, _, err := net.SplitHostPort(c.NetConn().LocalAddr().String())
	switch ip := net.ParseIP(host); {
	case err != nil || ip == nil:
		return "[127.0.0.1]"
	case ip.To4() == nil:
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + host + "]"
}

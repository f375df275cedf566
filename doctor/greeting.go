package doctor

import "strings"

// speaker names the protocol in which something begins to speak: imap, pop3,
// smtp, http, tls or ssh; "" is none of them.
func speaker(line string) string {
	switch {
	case strings.HasPrefix(line, "HTTP/"):
		return "http"
	case strings.HasPrefix(line, "* "):
		return "imap"
	case strings.HasPrefix(line, "+OK"), strings.HasPrefix(line, "-ERR"):
		return "pop3"
	case strings.HasPrefix(line, "SSH-"):
		return "ssh"
	case len(line) > 1 && (line[0] == 0x15 || line[0] == 0x16) && line[1] == 3:
		return "tls"
	case len(line) > 3 && isDigits(line[:3]) && (line[3] == ' ' || line[3] == '-'):
		return "smtp"
	}
	return ""
}

func isDigits(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// judgeGreeting tells what is odd about the first line of a mail server; nil is
// that nothing is.
func judgeGreeting(protocol, line string) error {
	switch who := speaker(line); who {
	case protocol:
		if isWelcome(line) {
			return nil
		}
		return &odd{remedy: "greeting-refuses", seen: "it greets with " + quote(line), words: line}
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
func isWelcome(line string) bool {
	for _, good := range []string{"* OK", "* PREAUTH", "+OK", "220"} {
		if len(line) >= len(good) && strings.EqualFold(line[:len(good)], good) {
			return true
		}
	}
	return false
}

// hasWord tells whether a line begins with words, whatever their case.
func hasWord(line, words string) bool {
	if len(line) < len(words) || !strings.EqualFold(line[:len(words)], words) {
		return false
	}
	return len(line) == len(words) || line[len(words)] == ' '
}

package sandbox

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// pop3Session is a POP3 connection after the login. It shows the INBOX as it
// was then (RFC 1939 section 5).
type pop3Session struct {
	*lineConn
	login    login
	folder   *folder
	messages []*message
	deleted  map[*message]bool
}

func newPOP3Session(c *lineConn, l login) *pop3Session {
	f := l.mailbox.folder(inbox)
	return &pop3Session{lineConn: c, login: l, folder: f, messages: f.list(), deleted: map[*message]bool{}}
}

// serve answers commands until the client leaves.
func (p *pop3Session) serve() {
	for !p.closing {
		line, err := p.readLine()
		if err != nil {
			return
		}
		if p.login.behaviour == garble {
			p.writeLine("%s", garbageLine)
			continue
		}
		p.command(line)
	}
}

func (p *pop3Session) command(line string) {
	verb, argument := cutWord(line)
	switch strings.ToUpper(verb) {
	case "CAPA":
		p.multiLine("+OK", "TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER")
	case "STAT":
		count, size := p.total()
		p.writeLine("+OK %d %d", count, size)
	case "LIST":
		p.listing(argument, func(m *message) string { return strconv.Itoa(len(m.raw)) })
	case "UIDL":
		p.listing(argument, func(m *message) string { return fmt.Sprintf("%d-%d", p.folder.validity, m.uid) })
	case "RETR":
		p.retrieve(argument)
	case "TOP":
		p.top(argument)
	case "DELE":
		if m := p.find(argument); m != nil {
			p.deleted[m] = true
			p.writeLine("+OK")
		}
	case "RSET":
		clear(p.deleted)
		p.writeLine("+OK")
	case "NOOP":
		p.writeLine("+OK")
	case "QUIT":
		p.folder.remove(func(m *message) bool { return p.deleted[m] })
		p.writeLine(pop3Bye)
		p.closing = true
	default:
		p.writeLine(pop3BadState)
	}
}

// total returns number and size of the messages that are not deleted.
func (p *pop3Session) total() (count, size int) {
	for _, m := range p.messages {
		if !p.deleted[m] {
			count++
			size += len(m.raw)
		}
	}
	return count, size
}

// find returns the message of that number. When there is none it says so, in
// words that are a guess, and returns nil.
func (p *pop3Session) find(number string) *message {
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > len(p.messages) || p.deleted[p.messages[n-1]] {
		p.writeLine("-ERR The specified message is out of range.")
		return nil
	}
	return p.messages[n-1]
}

// listing answers LIST and UIDL, for one message or for all.
func (p *pop3Session) listing(number string, about func(*message) string) {
	if number != "" {
		if m := p.find(number); m != nil {
			p.writeLine("+OK %s %s", number, about(m))
		}
		return
	}
	count, size := p.total()
	lines := []string{fmt.Sprintf("+OK %d %d", count, size)}
	for i, m := range p.messages {
		if !p.deleted[m] {
			lines = append(lines, fmt.Sprintf("%d %s", i+1, about(m)))
		}
	}
	p.multiLine(lines...)
}

func (p *pop3Session) multiLine(lines ...string) {
	for _, line := range append(lines, ".") {
		p.writeLine("%s", line)
	}
}

func (p *pop3Session) retrieve(number string) {
	m := p.find(number)
	switch {
	case m == nil:
	case p.login.behaviour == dropLater:
		p.closing = true
	default:
		p.writeLine("+OK")
		p.writeMessage(m.raw)
	}
}

// top answers TOP: the header and so many lines of the body.
func (p *pop3Session) top(argument string) {
	number, linesText := cutWord(argument)
	lines, err := strconv.Atoi(linesText)
	if err != nil || lines < 0 {
		p.writeLine(pop3BadState)
		return
	}
	m := p.find(number)
	if m == nil {
		return
	}
	end := len(m.raw)
	if i := bytes.Index(m.raw, []byte("\r\n\r\n")); i >= 0 {
		end = i + 4
	}
	for ; lines > 0 && end < len(m.raw); lines-- {
		i := bytes.Index(m.raw[end:], []byte("\r\n"))
		if i < 0 {
			i = len(m.raw) - end - 2
		}
		end += i + 2
	}
	p.writeLine("+OK")
	p.writeMessage(m.raw[:end])
}

// writeMessage sends a message dot-stuffed (RFC 1939 section 3). One that does
// not end in a line end gets one.
func (p *pop3Session) writeMessage(raw []byte) {
	for line := range bytes.SplitAfterSeq(raw, []byte("\r\n")) {
		if bytes.HasPrefix(line, []byte(".")) {
			p.w.WriteByte('.')
		}
		p.w.Write(line)
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		p.w.WriteString("\r\n")
	}
	p.writeLine(".")
}

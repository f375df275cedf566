package smtp

import (
	"bytes"
	"strings"
	"time"
)

// maxField bounds what is held of a header: a line without its end, or a From
// field with all its lines. What is longer passes as it is.
const maxField = 8 << 10

// edit is what is changed in a message on its way. The zero value changes
// nothing.
type edit struct {
	// sender is the address that From gets; empty leaves From as it is.
	sender string
	// complete adds Date and Message-ID where they are missing, and the domain
	// to From.
	complete bool
	// lineEnds makes CRLF of a bare LF, which Exchange refuses.
	lineEnds bool
	// domain is the mailbox's.
	domain string
}

// changes tells whether the edit changes anything.
func (e edit) changes() bool { return e.sender != "" || e.complete || e.lineEnds }

// editor edits a message that passes through it in blocks of any size, without
// the line that ends the data. Of the message itself nothing is held but a line
// of its header.
type editor struct {
	edit
	out []byte // what next returns

	part part
	line []byte // of the header, without its end so far
	from []byte // the From field, held until its last line is known
	last byte   // the last byte that came
	has  struct{ from, date, messageID, replyTo bool }
	// reply is the address that answers should go to, once From has been
	// rewritten.
	reply string
	any   bool // a field has been seen
}

// part is where in the message the editor is.
type part int

const (
	inHeader   part = iota
	inLongLine      // of the header, too long to be held
	inBody
)

func newEditor(e edit) *editor { return &editor{edit: e} }

// next returns what becomes of the next block. It is valid until the next
// call.
func (e *editor) next(block []byte) []byte {
	e.out = e.out[:0]
	for rest := block; len(rest) > 0; {
		switch e.part {
		case inHeader:
			rest = e.header(rest)
		case inLongLine:
			rest = e.longLine(rest)
		case inBody:
			e.emit(rest)
			rest = nil
		}
	}
	return e.out
}

// end returns what is still held: the message may end in its header.
func (e *editor) end() []byte {
	e.out = e.out[:0]
	if len(e.line) > 0 {
		e.headerLine(e.line)
	}
	if e.part != inBody {
		e.endHeader()
	}
	return e.out
}

// header takes text up to the end of a line.
func (e *editor) header(text []byte) (rest []byte) {
	end := bytes.IndexByte(text, '\n') + 1
	if end == 0 {
		end = len(text)
	}
	if room := maxField - len(e.line); end > room {
		line := append(e.line, text[:room]...)
		e.line = nil
		e.headerLine(line)
		e.emit(e.from) // too long to be edited
		e.from = nil
		if e.part == inHeader {
			e.part = inLongLine
		}
		return text[room:]
	}
	e.line = append(e.line, text[:end]...)
	if e.line[len(e.line)-1] == '\n' {
		line := e.line
		e.line = nil
		e.headerLine(line)
	}
	return text[end:]
}

// longLine passes on the rest of an overlong line.
func (e *editor) longLine(text []byte) (rest []byte) {
	end := bytes.IndexByte(text, '\n') + 1
	if end == 0 {
		end = len(text)
	} else {
		e.part = inHeader
	}
	e.emit(text[:end])
	return text[end:]
}

// headerLine takes a whole line.
func (e *editor) headerLine(line []byte) {
	switch {
	case e.any && (line[0] == ' ' || line[0] == '\t'): // goes on with the field before it
		if e.from == nil {
			e.emit(line)
		} else if e.from = append(e.from, line...); len(e.from) > maxField {
			e.emit(e.from)
			e.from = nil
		}
	case e.note(line):
		e.flushFrom()
		if (e.sender != "" || e.complete) && fieldName(line) == "from" {
			e.from = line
			return
		}
		e.emit(line)
	default: // a blank line, or a body that nothing parts from the header
		e.endHeader()
		if !e.any && e.addsFields() && len(bytes.TrimRight(line, "\r\n")) > 0 {
			e.emit([]byte("\r\n"))
		}
		e.part = inBody
		e.emit(line)
	}
}

// note notes which field a line begins; it returns false for a line that is
// none.
func (e *editor) note(line []byte) (field bool) {
	switch name := fieldName(line); name {
	case "":
		return false
	case "from":
		e.has.from = true
	case "date":
		e.has.date = true
	case "message-id":
		e.has.messageID = true
	case "reply-to":
		e.has.replyTo = true
	}
	e.any = true
	return true
}

// fieldName returns the name of a header field in lower case, or nothing (RFC
// 5322 section 3.6.8, and the blanks before the colon of section 4.5).
func fieldName(line []byte) string {
	name, _, found := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !found || len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return strings.ToLower(string(name))
}

// addsFields tells whether the end of the header will bring further ones.
func (e *editor) addsFields() bool {
	return e.sender != "" && !e.has.from || e.complete && !(e.has.date && e.has.messageID)
}

// endHeader adds what is missing.
func (e *editor) endHeader() {
	e.flushFrom()
	if e.sender != "" && !e.has.from {
		e.add("From", "<"+e.sender+">")
	}
	if e.reply != "" && !e.has.replyTo {
		e.add("Reply-To", e.reply)
	}
	if e.complete && !e.has.date {
		e.add("Date", time.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700")) // RFC 5322 section 3.3
	}
	if e.complete && !e.has.messageID {
		e.add("Message-ID", newMessageID(e.domain))
	}
}

func (e *editor) add(name, value string) { e.emit([]byte(name + ": " + value + "\r\n")) }

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

// emit passes text on, with its line ends mended if that is wanted.
func (e *editor) emit(text []byte) {
	for e.lineEnds {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			break
		}
		e.pass(text[:i])
		if e.last != '\r' {
			e.pass([]byte{'\r'})
		}
		e.pass([]byte{'\n'})
		text = text[i+1:]
	}
	e.pass(text)
}

func (e *editor) pass(text []byte) {
	if len(text) > 0 {
		e.last = text[len(text)-1]
		e.out = append(e.out, text...)
	}
}

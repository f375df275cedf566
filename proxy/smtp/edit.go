package smtp

import (
	"bytes"
	"regexp"
	"strings"
	"time"
)

// maxField bounds what is held of a header: a line without its end, a From
// field with all its lines, or lines that may not belong to it. What is longer
// passes as it is, but for a From that the sender replaces.
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
// the line that ends the data. Of the message itself nothing is held but a field
// of its header. What it doesn't understand it passes on as it is.
type editor struct {
	edit
	out []byte // what next returns

	part part
	line []byte // of the header, without its end so far
	from []byte // the From field, held until its last line is known
	junk []byte // lines that are no field, held until it's known whether the header goes on
	last byte   // the last byte that came
	has  struct{ from, date, messageID, replyTo bool }
	// reply is the address that answers should go to, once From has been
	// rewritten.
	reply   string
	any     bool // a field has been seen
	dropped bool // the field is left out: a From that the sender replaces
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
		e.cutFrom()
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
	if !e.dropped {
		e.emit(text[:end])
	}
	return text[end:]
}

// mboxLine is the line that parts the messages of an mbox file (RFC 4155
// appendix A); some devices put it before their header.
var mboxLine = regexp.MustCompile(`^From \S+ .*\d\d:\d\d`)

// headerLine takes a whole line.
func (e *editor) headerLine(line []byte) {
	name := fieldName(line)
	folded := e.any && (line[0] == ' ' || line[0] == '\t') // goes on with the field before it
	isFrom := name == "from" && !e.has.from || folded && e.from != nil
	switch {
	case hasBareCR(line) && (!e.any || isFrom): // its lines may end with it, and the body stand behind it
		e.passRest(line)
	case folded:
		e.continuation(line)
	case name != "":
		e.field(name, line)
	case !e.any && mboxLine.Match(line):
		e.emit(line)
	case e.any && !isBlank(line):
		e.flushFrom()
		e.hold(line)
	default: // a blank line, or a body without a header
		e.endHeader()
		if !e.any && e.addsFields() && !isBlank(line) {
			e.emit([]byte("\r\n"))
		}
		e.part = inBody
		e.emit(line)
	}
}

// passRest passes on the line and all that follows it, unedited.
func (e *editor) passRest(line []byte) {
	e.emit(e.from)
	e.emit(e.junk)
	e.from, e.junk = nil, nil
	e.part = inBody
	e.emit(line)
}

// field takes the first line of a field. Of several From fields only the first
// is left when the sender replaces the author: RFC 5322 section 3.6 allows one.
func (e *editor) field(name string, line []byte) {
	e.flushFrom()
	e.emit(e.junk) // the header has gone on behind it
	e.junk = nil
	e.dropped = name == "from" && e.has.from && e.sender != ""
	e.note(name)
	switch {
	case e.dropped:
	case name == "from" && (e.sender != "" || e.complete):
		e.from = line
	default:
		e.emit(line)
	}
}

// continuation takes a further line of a field.
func (e *editor) continuation(line []byte) {
	switch {
	case e.junk != nil:
		e.hold(line)
	case e.dropped:
	case e.from != nil:
		if e.from = append(e.from, line...); len(e.from) > maxField {
			e.cutFrom()
		}
	default:
		e.emit(line)
	}
}

// hold holds back a line that is no field. If a field follows before a blank
// line, the line is one of the header; if not, the header ended before it, and
// what is missing belongs there.
func (e *editor) hold(line []byte) {
	if e.junk = append(e.junk, line...); len(e.junk) >= maxField {
		e.endHeader()
		e.part = inBody
	}
}

// note notes which fields there are.
func (e *editor) note(name string) {
	switch name {
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
}

func isBlank(line []byte) bool { return len(bytes.TrimRight(line, "\r\n")) == 0 }

// hasBareCR tells whether a CR stands within a line.
func hasBareCR(line []byte) bool { return bytes.IndexByte(bytes.TrimRight(line, "\r\n"), '\r') >= 0 }

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

// endHeader adds what is missing, before the lines held back.
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
	e.emit(e.junk)
	e.junk = nil
}

// add adds a field, on a line of its own even behind one that the message ended
// in.
func (e *editor) add(name, value string) {
	if e.last != 0 && e.last != '\n' {
		e.emit([]byte("\r\n"))
	}
	e.emit([]byte(name + ": " + value + "\r\n"))
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

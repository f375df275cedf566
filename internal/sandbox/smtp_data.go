package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// content is a message as it comes in.
type content struct {
	raw      []byte
	tooLarge bool // more than maxMessage came; raw is empty
	bareLF   bool // a line ended in LF alone
}

// Write appends p, as long as the message is not too large.
func (c *content) Write(p []byte) (int, error) {
	if c.tooLarge = c.tooLarge || len(c.raw)+len(p) > maxMessage; c.tooLarge {
		c.raw = nil
	} else {
		c.raw = append(c.raw, p...)
	}
	return len(p), nil
}

// data answers DATA.
func (d *smtpDialogue) data() {
	if !d.mayBeginMessage() {
		return
	}
	if d.mail.binary || d.mail.chunks != nil {
		// RFC 3030 sections 2 and 3: such a message comes by BDAT alone.
		d.bad("503 5.5.1 Bad sequence of commands")
		return
	}
	d.writeLine("354 Start mail input; end with <CRLF>.<CRLF>")
	message, err := d.readMessage()
	if err != nil {
		d.sayLost(err)
		d.closing = true
		return
	}
	d.submit(message)
}

// mayBeginMessage refuses a message that has no sender or no recipient.
func (d *smtpDialogue) mayBeginMessage() bool {
	switch {
	case !d.mail.begun:
		d.bad("503 5.5.2 Need mail command")
	case len(d.mail.recipients) == 0:
		d.bad("503 5.5.2 Need rcpt command")
	default:
		return true
	}
	return false
}

// readMessage reads up to CRLF . CRLF, which alone ends a message, and undoes
// dot-stuffing (RFC 5321 section 4.5.2).
func (d *smtpDialogue) readMessage() (*content, error) {
	message := &content{}
	lineStart, afterCR := true, false
	for {
		piece, err := d.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if lineStart && string(piece) == ".\r\n" {
			return message, nil
		}
		hasLF := bytes.HasSuffix(piece, []byte("\n"))
		hasCRLF := bytes.HasSuffix(piece, []byte("\r\n")) || afterCR && string(piece) == "\n"
		message.bareLF = message.bareLF || hasLF && !hasCRLF
		afterCR = bytes.HasSuffix(piece, []byte("\r"))
		if lineStart {
			piece = bytes.TrimPrefix(piece, []byte("."))
		}
		message.Write(piece)
		lineStart = hasCRLF
	}
}

// bdat answers BDAT (RFC 3030). The chunk is read whether it is welcome or
// not: the client has sent it.
func (d *smtpDialogue) bdat(argument string) {
	sizeText, last := cutWord(argument)
	size, err := strconv.ParseInt(sizeText, 10, 64)
	isLast := strings.EqualFold(strings.TrimSpace(last), "LAST")
	if err != nil || size < 0 || last != "" && !isLast {
		d.bad("501 5.5.4 Invalid arguments")
		d.closing = true // where the next command starts is not known
		return
	}
	chunks := d.mail.chunks
	if chunks == nil {
		chunks = &content{}
	}
	if _, err := io.CopyN(chunks, d.r, size); err != nil {
		d.sayLost(err)
		d.closing = true
		return
	}
	if !d.mayBeginMessage() {
		return
	}
	d.mail.chunks = chunks
	if isLast {
		d.submit(chunks)
		return
	}
	d.writeLine("250 2.6.0 CHUNK received OK, %d octets", size)
}

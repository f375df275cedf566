package wire

import (
	"bytes"
	"fmt"
	"time"
)

// Traced directions, as seen from this program: what the peer said and what
// it was told.
const (
	Heard = "<"
	Said  = ">"
)

// Printf collects a line for the peer: the text and CRLF. It goes out with the
// next Flush or read. The line is traced, so it never holds a secret.
func (c *Conn) Printf(format string, args ...any) {
	start := len(c.out)
	c.out = fmt.Appendf(c.out, format, args...)
	c.trace(Said, c.out[start:])
	c.out = append(c.out, '\r', '\n')
}

// PrintSecret collects a line that is a secret. It is traced as ***.
func (c *Conn) PrintSecret(s Secret) {
	c.trace(Said, []byte(hidden))
	c.out = append(c.out, s.Reveal()...)
	c.out = append(c.out, '\r', '\n')
	c.Hide(s)
}

// Hide cuts lines of the peer that repeat a piece of s, as some servers repeat
// what they don't understand: the rest reads ***.
func (c *Conn) Hide(s Secret) { c.told = append(c.told, s) }

// Unhide forgets what Hide and PrintSecret have been given, once the peer has
// understood it.
func (c *Conn) Unhide() { c.told = nil }

// hide returns line without what it repeats of the secrets told.
func (c *Conn) hide(line []byte) []byte { return Redact(line, c.told...) }

// Redact cuts line where it repeats a piece of one of the secrets: the rest
// reads ***.
func Redact(line []byte, secrets ...Secret) []byte {
	const piece = 16
	from := len(line)
	for _, s := range secrets {
		secret := s.Reveal()
		for i := 0; i+piece <= len(secret); i += piece / 2 {
			at := bytes.Index(line[:from], []byte(secret[i:i+piece]))
			if at < 0 {
				continue
			}
			from = at
			for j := i; j > 0 && from > 0 && line[from-1] == secret[j-1]; j-- {
				from--
			}
		}
	}
	if from == len(line) {
		return line
	}
	return append(bytes.Clone(line[:from]), hidden...)
}

// Write sends p at once, behind whatever has been collected: the message of a
// mail transaction and other streams. It is not traced.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.Flush(); err != nil {
		return 0, err
	}
	if err := c.armWrite(); err != nil {
		return 0, err
	}
	n, err := c.conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// Flush sends what has been collected, in one write.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.armWrite(); err != nil {
		return err
	}
	n, err := c.conn.Write(c.out)
	c.sent.Add(int64(n))
	clear(c.out)
	c.out = c.out[:0]
	return err
}

func (c *Conn) armWrite() error {
	return c.conn.SetWriteDeadline(c.deadline(c.WriteTimeout))
}

// TraceHeard traces a line, or as much of one as holds no secret, that the
// peer has said.
func (c *Conn) TraceHeard(line string) {
	if c.Trace != nil {
		c.Trace(Heard, line)
	}
}

func (c *Conn) trace(direction string, line []byte) {
	if c.Trace != nil {
		c.Trace(direction, string(line))
	}
}

// Farewell leaves a little time for a last line to a peer that may not be
// reading any more.
func (c *Conn) Farewell(timeout time.Duration) {
	c.SetLimit(time.Now().Add(timeout))
}

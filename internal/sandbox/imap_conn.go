package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// imapConn is a logged-in connection as go-imap's server sees it. It stands
// between the two to say what Exchange says where the library says something
// else: it swallows the library's greeting, answers CAPABILITY, ID, LOGOUT and
// unknown commands itself, and ends the session when the token runs out.
//
// To know where commands begin it follows literals, and nothing else.
type imapConn struct {
	net.Conn
	lines *lineConn
	login login
	ended chan struct{} // closed with the session

	// What Read has taken from the client. go-imap's server reads from one
	// goroutine.
	pending   []byte // bytes for the server
	literal   int64  // bytes of a literal still to come
	offered   bool   // a literal is offered that the server may decline
	size      int64  // of that literal
	midline   bool   // the command goes on, after a literal or a part of a long line
	throttled bool   // a SELECT has been throttled

	mu        sync.Mutex
	greeted   bool // the server's greeting has been swallowed
	continued bool // the server has asked for the literal that is offered
	idling    bool // IDLE, until the next line
	waiting   bool // Read waits for the client, so nothing is being answered
	expired   bool // the token has run out
	over      bool // and the client has been told: nothing may follow
}

// imapIdleTimeout bounds the wait for a client that has logged in: RFC 3501
// section 5.4 asks for 30 minutes at least.
const imapIdleTimeout = 35 * time.Minute

func newIMAPConn(c *lineConn, l login) *imapConn {
	c.delay = 0
	c.timeout = imapIdleTimeout
	return &imapConn{Conn: c.conn, lines: c, login: l, ended: make(chan struct{})}
}

// Read gives the server the client's next bytes, one line at a time.
func (c *imapConn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		if c.literal > 0 {
			n, err := c.lines.r.Read(p[:min(int64(len(p)), c.literal)])
			c.literal -= int64(n)
			return n, err
		}
		if err := c.nextLine(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// nextLine reads a line, or a part of one that is longer than the buffer, and
// leaves it in pending unless it is answered here.
func (c *imapConn) nextLine() error {
	if err := c.startWaiting(); err != nil || c.literal > 0 {
		return err
	}
	line, err := c.lines.r.ReadSlice('\n')
	wasIdling := c.stopWaiting()
	whole := !errors.Is(err, bufio.ErrBufferFull)
	if err != nil && whole {
		return err
	}
	size, mayDecline, isLiteral := trailingLiteral(line)
	if whole && !c.midline && !wasIdling && !isLiteral {
		answered, err := c.intercept(string(bytes.TrimRight(line, "\r\n")))
		if answered || err != nil {
			return err
		}
	}
	c.midline = !whole || isLiteral
	if c.offered = isLiteral && mayDecline; c.offered {
		c.size = size
	} else if isLiteral {
		c.literal = size
	}
	c.pending = bytes.Clone(line)
	return nil
}

// startWaiting notes that the server waits for the client: for the literal that
// is offered, if it has asked for that, else for a line.
func (c *imapConn) startWaiting() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expired {
		return c.sayExpired()
	}
	if c.offered {
		c.offered = false
		if c.continued {
			c.literal = c.size
		} else {
			c.midline = false // it is declined, and will not come
		}
	}
	c.continued = false
	c.waiting = c.literal == 0
	return nil
}

func (c *imapConn) stopWaiting() (wasIdling bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wasIdling = c.idling
	c.waiting, c.idling = false, false
	return wasIdling
}

var literalEnd = regexp.MustCompile(`\{([0-9]{1,18})(\+?)\}\r?\n$`)

// trailingLiteral tells whether a line ends in the size of a literal, and
// whether the server may decline it: {9} it may, {9+} it may not (RFC 3501
// section 4.3, RFC 7888).
func trailingLiteral(line []byte) (size int64, mayDecline, ok bool) {
	m := literalEnd.FindSubmatch(line)
	if m == nil {
		return 0, false, false
	}
	size, err := strconv.ParseInt(string(m[1]), 10, 64)
	return size, len(m[2]) == 0, err == nil
}

// intercept answers commands that Exchange answers in words of its own.
func (c *imapConn) intercept(line string) (answered bool, err error) {
	tag, rest := cutWord(line)
	verb, _ := cutWord(rest)
	verb = strings.ToUpper(verb)
	isSelect := verb == "SELECT" || verb == "EXAMINE"
	switch b := c.login.behaviour; {
	case b == garble:
		return true, c.say(garbageLine)
	case b == dropFirst, b == dropLater && isSelect:
		return true, io.EOF
	case b == throttleAll && verb != "LOGOUT":
		return true, c.say(tag + " " + imapThrottledAll)
	case b == expireInCommand && isSelect:
		return true, c.sayLast(tag + " " + imapExpiredTag)
	case b == revoke && isSelect:
		return true, c.sayLast(imapInvalid)
	case b == fail && isSelect:
		return true, c.sayLast(tag+" "+imapUnavailable, imapClosed)
	case b == idleOut && verb == "IDLE":
		return true, c.sayLast("+ IDLE accepted, awaiting DONE command.", imapIdleTooLong)
	case b == throttle && isSelect && !c.throttled:
		c.throttled = true
		return true, c.say(tag + " " + imapThrottled)
	case b == expireInIdle && verb == "IDLE":
		c.mu.Lock()
		defer c.mu.Unlock()
		return true, c.sayExpired("+ IDLE accepted, awaiting DONE command.")
	}
	switch {
	case verb == "CAPABILITY":
		return true, c.say("* CAPABILITY "+imapCapsAfter, tag+" OK CAPABILITY completed.")
	case verb == "ID":
		return true, c.say(imapID, tag+" OK ID completed.")
	case verb == "LOGOUT":
		c.say(imapBye, tag+" OK LOGOUT completed.")
		return true, io.EOF
	case verb == "IDLE":
		c.mu.Lock()
		c.idling = true
		c.mu.Unlock()
	case verb != "" && !exchangeIMAPVerbs[verb]:
		return true, c.say(tag + " " + imapBadCommand)
	}
	return false, nil
}

// sayLast sends lines of our own and ends the session.
func (c *imapConn) sayLast(lines ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	_ = c.say(lines...)
	return io.EOF
}

// say sends lines of our own.
func (c *imapConn) say(lines ...string) error {
	_, err := c.lines.drain([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	return err
}

// Write passes on what the server says, except its greeting and its words
// for IDLE.
func (c *imapConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over:
		return 0, net.ErrClosed
	case !c.greeted:
		c.greeted = bytes.HasSuffix(p, []byte("\n"))
		return len(p), nil
	case c.idling && string(p) == "+ idling\r\n":
		return len(p), c.say("+ IDLE accepted, awaiting DONE command.")
	case bytes.HasPrefix(p, []byte("+ ")):
		c.continued = true
	}
	return c.lines.drain(p)
}

// endAt ends the session at the time when its token runs out. The returned
// function calls that off.
func (c *imapConn) endAt(expires time.Time) (stop func() bool) {
	return time.AfterFunc(time.Until(expires), c.expire).Stop
}

// expire ends the session, at once when the client is idle, else as soon as
// its command has been answered. (What Exchange answers to a command at that
// moment is reported both as NO and as BAD.)
func (c *imapConn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expired = true
	if c.waiting {
		c.sayExpired()
		c.Conn.Close()
	}
}

// sayExpired says that the token has run out, after lines, and returns io.EOF.
// The caller holds c.mu.
func (c *imapConn) sayExpired(lines ...string) error {
	c.over = true
	c.say(append(lines, imapExpired)...)
	return io.EOF
}

// end tells who waits for the session that it has ended.
func (c *imapConn) end() { close(c.ended) }

package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"oauthproxy/internal/wire"
)

// maxHeard bounds what is read from a mail server in one probe, in bytes.
const maxHeard = 1 << 20

var (
	errBye        = errors.New("the mail server has said goodbye")
	errNoAsterisk = errors.New("not said: the login has been refused already")
)

// A link is a connection to a mail server, over TLS, for a client library that
// knows no context and no bounds: what the link is given at its start holds,
// whatever the library sets.
type link struct {
	net.Conn
	name     string // what we call ourselves
	greeting []byte // read before STARTTLS; a client expects one
	left     int    // bytes that may still be read
	line     []byte // the beginning of the line that is being read
	first    string // the first line that isn't empty
	last     string // the last one
	bye      string // the line in which an IMAP server has ended the session
	failed   error  // what has ended the reading, before Close
	isClosed atomic.Bool
}

// open connects with a host and comes to TLS. Until release is called, the end
// of ctx closes the connection, and limit ends each read and write.
func (e *examination) open(ctx context.Context, h Host, limit time.Duration) (l *link, release func(), err error) {
	end := time.Now().Add(limit)
	dialing := e.attempt(ctx, "tcp", h.Address)
	if dialing.err != nil {
		return nil, nil, dialing.err
	}
	raw := dialing.conn
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	release = func() {
		stop()
		_ = raw.Close()
	}
	d := newDialogue(raw, h.Protocol, e.HostName)
	d.SetLimit(end)
	greeting, err := e.upgrade(d, h.service())
	err = beforeLogin(err)
	if err == nil {
		_, err = d.Buffered() // nothing: TLS has just begun
	}
	if err == nil {
		err = d.NetConn().SetDeadline(end)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	l = &link{Conn: d.NetConn(), name: d.name, left: maxHeard}
	for _, line := range greeting {
		l.greeting = append(l.greeting, line+"\r\n"...)
	}
	return l, release, nil
}

// Read gives the greeting again, and then what comes. After an IMAP server's
// BYE nothing is waited for: go-imap's client would, until its deadline.
func (l *link) Read(p []byte) (int, error) {
	if len(l.greeting) > 0 {
		n := copy(p, l.greeting)
		l.greeting = l.greeting[n:]
		return n, nil
	}
	switch {
	case l.bye != "":
		return 0, errBye
	case l.left <= 0:
		l.failed = wire.ErrFlood
		return 0, wire.ErrFlood
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	l.hear(p[:n])
	if !l.isClosed.Load() {
		l.failed = err
	}
	return n, err
}

// Close closes.
func (l *link) Close() error {
	l.isClosed.Store(true)
	return l.Conn.Close()
}

// hear keeps the last line, which go-imap's client keeps to itself when it
// doesn't understand it, or when it is the server's goodbye.
func (l *link) hear(p []byte) {
	const most = 512 // of a line
	for len(p) > 0 {
		piece, rest, whole := bytes.Cut(p, []byte("\n"))
		l.line = append(l.line, piece[:min(len(piece), most-len(l.line))]...)
		if p = rest; !whole {
			return
		}
		l.heard(string(bytes.TrimRight(l.line, "\r")))
		l.line = l.line[:0]
	}
}

func (l *link) heard(line string) {
	if line == "" {
		return
	}
	l.first, l.last = cmp.Or(l.first, line), line
	if hasWord(line, "* BYE") {
		l.bye = line
	}
}

// odd is what makes no sense in an answer: the line itself, not what a library
// makes of it. A web server is known by its first.
func (l *link) odd(err nonsense) nonsense {
	if strings.HasPrefix(l.first, "HTTP/") {
		return nonsense(l.first)
	}
	return nonsense(cmp.Or(l.last, string(l.line), string(err)))
}

// Write sends. go-smtp's client takes a login back that has been refused
// ("*"), and waits for the answer to that: it isn't sent.
func (l *link) Write(p []byte) (int, error) {
	if string(p) == "*\r\n" {
		return 0, errNoAsterisk
	}
	return l.Conn.Write(p)
}

// SetDeadline, SetReadDeadline and SetWriteDeadline change nothing.
func (l *link) SetDeadline(time.Time) error      { return nil }
func (l *link) SetReadDeadline(time.Time) error  { return nil }
func (l *link) SetWriteDeadline(time.Time) error { return nil }

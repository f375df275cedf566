package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"oauthproxy/internal/wire"
)

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 15 * time.Second
	// maxHeard bounds what is read from a mail server in one probe, in bytes.
	maxHeard = 1 << 20
)

var (
	errFlood      = errors.New("the mail server sends more than any answer needs")
	errBye        = errors.New("the mail server has said goodbye")
	errNoAsterisk = errors.New("not said: the login has been refused already")
)

// A link is a connection to a mail server, over TLS, for a client library that
// knows no context and no bounds: what the link is given at its start holds,
// whatever the library sets.
type link struct {
	net.Conn
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
	d := net.Dialer{Timeout: dialTimeout}
	raw, err := d.DialContext(ctx, "tcp", h.Address)
	if err != nil {
		return nil, nil, err
	}
	end := time.Now().Add(limit)
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	release = func() {
		stop()
		_ = raw.Close()
	}
	c := wire.New(raw)
	c.SetLimit(end)
	greeting, err := secure(c, h, e.tlsFor(h))
	err = beforeLogin(err)
	if err == nil {
		_, err = c.Buffered() // nothing: TLS has just begun
	}
	if err == nil {
		err = c.NetConn().SetDeadline(end)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return &link{Conn: c.NetConn(), greeting: greeting, left: maxHeard}, release, nil
}

// tlsFor returns the settings of TLS with a host.
func (e *examination) tlsFor(h Host) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.TLS != nil {
		config = e.TLS.Clone()
	}
	config.ServerName, _, _ = net.SplitHostPort(h.Address)
	return config
}

// secure comes to TLS, by itself or in the protocol's own words, and returns
// what was said in greeting before it.
func secure(c *wire.Conn, h Host, config *tls.Config) (greeting []byte, err error) {
	if !h.Implicit {
		if greeting, err = startTLS(c, h.Protocol); err != nil {
			return nil, err
		}
	}
	return greeting, c.ConnectTLS(config, handshakeTimeout)
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
		l.failed = errFlood
		return 0, errFlood
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
	if hasWord([]byte(line), "* BYE") {
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

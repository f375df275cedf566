package smtp

import (
	"slices"
	"strings"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// upstream is an authenticated connection to Exchange, good for one
// transaction at a time. It belongs to a mailbox's pool, and is leased to the
// session whose transaction it serves.
type upstream struct {
	conn *wire.Conn
	pool *pool
	// offered are the upstream's EHLO keywords. pipelining tells that
	// commands may be sent in one write (RFC 2920), chunking that BDAT is
	// known (RFC 3030).
	offered              []string
	pipelining, chunking bool
	// used counts the transactions that have begun on it. After the first,
	// RSET comes before the next.
	used int
	// goodUntil is when it is too old for another transaction.
	goodUntil time.Time

	// While it is watched: what closes when the upstream says something or
	// ends.
	spoke <-chan struct{}
	// While it is kept: since when.
	keptSince time.Time
	// While it is leased: what unties it from the session's context.
	untie func() bool
}

// newUpstream returns an upstream that has just logged in, with a token that
// expires at the time given, if that is known.
func newUpstream(conn *wire.Conn, offered []string, expires time.Time) *upstream {
	conn.ReadTimeout, conn.WriteTimeout = replyTimeout, blockTimeout
	up := &upstream{
		conn:       conn,
		offered:    offered,
		pipelining: offers(offered, "PIPELINING"),
		chunking:   offers(offered, "CHUNKING"),
		goodUntil:  time.Now().Add(maxAge),
	}
	if early := expires.Add(-tokenMargin); !expires.IsZero() && early.Before(up.goodUntil) {
		up.goodUntil = early
	}
	return up
}

// offers tells whether a keyword that takes no parameter is among those
// offered.
func offers(offered []string, keyword string) bool {
	return slices.ContainsFunc(offered, func(k string) bool { return strings.EqualFold(strings.TrimSpace(k), keyword) })
}

// beginBy is begin with a time by which all has to be answered.
func (u *upstream) beginBy(by time.Time, mail string, recipients []string) ([]reply, error) {
	u.conn.SetLimit(by)
	defer u.conn.SetLimit(time.Time{})
	return u.begin(mail, recipients)
}

// askBy is ask likewise.
func (u *upstream) askBy(by time.Time, commands []string) ([]reply, error) {
	u.conn.SetLimit(by)
	defer u.conn.SetLimit(time.Time{})
	return u.ask(commands...)
}

// begin begins a transaction and returns the replies to MAIL and to the
// recipients. All goes in one write where the upstream allows it.
func (u *upstream) begin(mail string, recipients []string) ([]reply, error) {
	commands := append([]string{mail}, recipients...)
	if u.used++; u.used == 1 {
		return u.ask(commands...)
	}
	replies, err := u.ask(append([]string{"RSET"}, commands...)...)
	if err == nil && !replies[0].positive() && replies[0].code != 421 {
		err = proxy.Fail(proxy.UpstreamProtocol, "reply to RSET: %s", proxy.Sanitize([]byte(replies[0].lines[0])))
	}
	if err != nil {
		return nil, err
	}
	return replies[1:], nil
}

// ask sends commands and returns their replies. 421 says that the upstream
// closes (RFC 5321 section 3.8): it is the reply to the others too.
func (u *upstream) ask(commands ...string) ([]reply, error) {
	if u.conn.HasLine() {
		// It may say that it closes; anything else would be taken for the
		// reply to the next command.
		r, err := readReply(u.conn)
		if err == nil && r.code != 421 {
			err = proxy.Fail(proxy.UpstreamProtocol, "a reply to no command: %s", proxy.Sanitize([]byte(r.lines[0])))
		}
		return repeat(r, len(commands)), err
	}
	if u.pipelining {
		for _, command := range commands {
			u.conn.Printf("%s", command)
		}
	}
	replies := make([]reply, 0, len(commands))
	for _, command := range commands {
		if !u.pipelining {
			u.conn.Printf("%s", command)
		}
		r, err := readReply(u.conn)
		if err == nil && r.code < 400 && !r.positive() && command != "DATA" {
			err = proxy.Fail(proxy.UpstreamProtocol, "reply that asks for more: %s", proxy.Sanitize([]byte(r.lines[0])))
		}
		if err != nil {
			return nil, err
		}
		replies = append(replies, r)
		if r.code == 421 {
			return append(replies, repeat(r, len(commands)-len(replies))...), nil
		}
	}
	return replies, nil
}

// isAlive tells whether a kept upstream has neither said anything nor ended,
// without disturbing it.
func (u *upstream) isAlive() bool {
	select {
	case <-u.spoke:
		return false
	default:
		return true
	}
}

// watch begins to watch over an upstream that has nothing to say.
func (u *upstream) watch() { u.spoke = u.conn.Watch() }

// rouse ends that, and returns why the upstream can't serve, if it can't. What
// can't stays so.
func (u *upstream) rouse() error {
	if u.spoke == nil {
		return errUnasked
	}
	u.spoke = nil
	spoke, err := u.conn.Unwatch()
	if spoke {
		return errUnasked
	}
	return err
}

// due is when a kept upstream has to be closed.
func (u *upstream) due() time.Time {
	if idle := u.keptSince.Add(maxIdle); idle.Before(u.goodUntil) {
		return idle
	}
	return u.goodUntil
}

// quit says goodbye, and if it is patient waits a moment for the upstream to
// close, which has counted the connection off then.
func (u *upstream) quit(patient bool) {
	u.conn.Farewell(farewell)
	u.conn.Printf("QUIT")
	for err := u.conn.Flush(); patient && err == nil; {
		_, err = readReply(u.conn)
	}
	_ = u.conn.Close()
}

package smtp

import (
	"context"
	"slices"
	"strings"

	"oauthproxy/internal/wire"
)

// upstream is an authenticated connection to Exchange, good for one
// transaction at a time.
type upstream struct {
	conn *wire.Conn
	// pipelining tells that commands may be sent in one write (RFC 2920).
	pipelining bool
	// used tells that it has served a transaction: RSET comes first.
	used bool
}

func newUpstream(conn *wire.Conn, offered []string) *upstream {
	conn.ReadTimeout, conn.WriteTimeout = replyTimeout, replyTimeout
	return &upstream{
		conn:       conn,
		pipelining: slices.ContainsFunc(offered, func(k string) bool { return strings.EqualFold(strings.TrimSpace(k), "PIPELINING") }),
	}
}

// ask sends commands and returns their replies: in one write where the
// upstream allows it.
func (u *upstream) ask(commands ...string) ([]reply, error) {
	replies := make([]reply, 0, len(commands))
	if !u.pipelining {
		for _, command := range commands {
			u.conn.Printf("%s", command)
			r, err := readReply(u.conn)
			if err != nil {
				return nil, err
			}
			replies = append(replies, r)
		}
		return replies, nil
	}
	for _, command := range commands {
		u.conn.Printf("%s", command)
	}
	for range commands {
		r, err := readReply(u.conn)
		if err != nil {
			return nil, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

// quit says goodbye without waiting for an answer.
func (u *upstream) quit() {
	u.conn.Printf("QUIT")
	_ = u.conn.Close()
}

// pool hands out upstream connections for transactions. It keeps one, which
// the session's login has opened or its last transaction has given back.
type pool struct {
	open func(ctx context.Context) (*upstream, error)
	kept *upstream
}

// lease returns a connection that is known to be alive, or opens one.
func (p *pool) lease(ctx context.Context) (*upstream, error) {
	up := p.kept
	p.kept = nil
	if up == nil {
		return p.open(ctx)
	}
	if spoke, err := up.conn.Unwatch(); spoke || err != nil {
		// A server speaks between transactions to say that it closes.
		up.conn.Abort()
		return p.open(ctx)
	}
	return up, nil
}

// keep takes a connection back that is ready for another transaction.
func (p *pool) keep(up *upstream) {
	if p.kept != nil {
		up.quit()
		return
	}
	up.conn.Watch()
	p.kept = up
}

// close ends what is kept.
func (p *pool) close() {
	if p.kept == nil {
		return
	}
	if spoke, err := p.kept.conn.Unwatch(); spoke || err != nil {
		p.kept.conn.Abort()
	} else {
		p.kept.quit()
	}
	p.kept = nil
}

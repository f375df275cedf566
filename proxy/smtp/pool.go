package smtp

import (
	"context"
	"slices"
	"strings"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// upstream is an authenticated connection to Exchange, good for one
// transaction at a time.
type upstream struct {
	conn *wire.Conn
	// pipelining tells that commands may be sent in one write (RFC 2920).
	pipelining bool
	// used tells that a transaction has begun on it: RSET comes first.
	used bool
	// release unties it from the session's context.
	release func() bool
}

// newUpstream returns an upstream that doesn't outlive ctx.
func newUpstream(ctx context.Context, conn *wire.Conn, offered []string) *upstream {
	conn.ReadTimeout, conn.WriteTimeout = replyTimeout, blockTimeout
	return &upstream{
		conn:       conn,
		release:    context.AfterFunc(ctx, conn.Abort),
		pipelining: slices.ContainsFunc(offered, func(k string) bool { return strings.EqualFold(strings.TrimSpace(k), "PIPELINING") }),
	}
}

// begin begins a transaction and returns the replies to MAIL and to the
// recipients. All goes in one write where the upstream allows it.
func (u *upstream) begin(mail string, recipients []string) ([]reply, error) {
	commands := append([]string{mail}, recipients...)
	if !u.used {
		u.used = true
		return u.ask(commands...)
	}
	replies, err := u.ask(append([]string{"RSET"}, commands...)...)
	if err == nil && !replies[0].positive() {
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

// quit says goodbye without waiting for an answer.
func (u *upstream) quit() {
	u.conn.Farewell(farewell)
	u.conn.Printf("QUIT")
	_ = u.conn.Close()
	u.release()
}

// abort closes at once.
func (u *upstream) abort() {
	u.conn.Abort()
	u.release()
}

// pool hands out upstream connections for transactions. It keeps one, which
// the session's login has opened or its last transaction has given back.
type pool struct {
	open func(ctx context.Context) (*upstream, error)
	kept *upstream
}

// lease returns the kept connection, if it is alive as far as is known, or
// opens one.
func (p *pool) lease(ctx context.Context) (up *upstream, kept bool, err error) {
	if up = p.take(); up != nil {
		return up, true, nil
	}
	up, err = p.open(ctx)
	return up, false, err
}

// take returns the kept connection, or nil if there is none or the upstream has
// said something: that it closes, or what belongs to nothing that was asked.
func (p *pool) take() *upstream {
	up := p.kept
	p.kept = nil
	if up == nil {
		return nil
	}
	if spoke, err := up.conn.Unwatch(); spoke || err != nil {
		up.abort()
		return nil
	}
	return up
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
	if up := p.take(); up != nil {
		up.quit()
	}
}

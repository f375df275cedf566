package smtp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"oauthproxy/proxy"
)

const (
	// lendAfter is how long a client may be silent in the middle of a
	// transaction, or take to send a small message, before its connection
	// serves others who wait for one.
	lendAfter = 5 * time.Second
	// seizeAfter is that for a client whose message has partly gone upstream,
	// where nobody else can go on: RFC 5321 section 4.5.3.2.5 gives each
	// block of the message three minutes.
	seizeAfter = 3 * time.Minute
)

// errSeized means that a client was silent for too long in the middle of its
// message.
var errSeized = errors.New("others waited for the connection, and the client had been silent for " + seizeAfter.String())

// seized is what such a client hears.
func seized() *proxy.Failure {
	return &proxy.Failure{Kind: proxy.Busy, Text: "the message came too slowly while others waited, try again", Cause: errSeized}
}

// loan is a leased connection whose transaction waits for its client. After a
// while of that it goes to others who wait, if it has to.
type loan struct {
	up       *upstream
	reusable bool // others can use the connection, and not only its slot
	timer    *time.Timer

	rested bool // it has ended before its time, and can be renewed

	// Of the pool, under its lock:
	watched bool // the upstream is, by the loan
	over    bool // the client isn't waited for any more
	taken   bool
}

// offer begins a loan.
func (p *pool) offer(up *upstream, reusable bool) *loan {
	l := &loan{up: up, reusable: reusable}
	l.timer = time.AfterFunc(l.patience(), func() { p.lay(l) })
	return l
}

func (l *loan) patience() time.Duration {
	if l.reusable {
		return lendAfter
	}
	return seizeAfter
}

// renew begins a loan again, if it can: a large message would leave many
// behind.
func (p *pool) renew(l *loan) bool {
	if !l.rested {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.over, l.rested = false, false
	l.timer.Reset(l.patience())
	return true
}

// lay lets others have the connection from now on.
func (p *pool) lay(l *loan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.over {
		return
	}
	if l.reusable && l.up.spoke == nil {
		l.up.watch()
		l.watched = true
	}
	p.silent = append(p.silent, l)
	p.grant()
}

// reclaim ends a loan, and tells whether the connection is still the
// transaction's. One that has ended meanwhile is nobody's.
func (p *pool) reclaim(l *loan) bool {
	l.rested = l.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	l.over = true
	if i := slices.Index(p.silent, l); i >= 0 {
		p.silent = slices.Delete(p.silent, i, i+1)
	}
	if l.taken || !l.watched || l.up.rouse() == nil {
		return !l.taken
	}
	p.accepted--
	p.discard(l.up)
	p.grant()
	return false
}

// take takes the connection of a silent client, whose own words on it another
// transaction's RSET will undo. If nobody else can use it, its slot is free.
func (p *pool) take() *upstream {
	i := max(0, slices.IndexFunc(p.silent, func(l *loan) bool { return l.reusable }))
	l := p.silent[i]
	p.silent = slices.Delete(p.silent, i, i+1)
	l.taken = true
	if l.reusable && l.up.rouse() == nil {
		p.unlend(l.up)
		return l.up
	}
	p.accepted--
	p.discard(l.up)
	return nil
}

// silent lets others have the transaction's connection while its client is
// silent, up to heard.
func (d *dialogue) silent(reusable bool) {
	switch l := d.loan; {
	case d.tx.up == nil:
		d.loan = nil
	case l != nil && l.up == d.tx.up && l.reusable == reusable && d.pool.renew(l):
	default:
		d.loan = d.pool.offer(d.tx.up, reusable)
	}
}

// heard ends that. A transaction that has lent its connection resumes on
// another; one that can't has failed.
func (d *dialogue) heard() {
	if d.loan != nil && !d.pool.reclaim(d.loan) {
		d.tx.up = nil
		d.tx.seized = !d.loan.reusable
		d.loan = nil
	}
}

// lend makes a connection part of a session: it doesn't outlive ctx, and the
// session's log tells what is said on it.
func (p *pool) lend(up *upstream, ctx context.Context, s *proxy.Session) {
	up.untie = context.AfterFunc(ctx, up.conn.Abort)
	s.TraceUpstream(up.conn)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leased[up] = lease{s, time.Now()}
}

// unlend is the opposite.
func (p *pool) unlend(up *upstream) {
	if up.untie != nil {
		up.untie()
	}
	up.untie, up.conn.Trace = nil, nil
	delete(p.leased, up)
}

// lease is who has a connection, and since when.
type lease struct {
	session *proxy.Session
	since   time.Time
}

func (l lease) String() string {
	return fmt.Sprintf("session %s (login %s, client %s) for %v",
		l.session.ID, l.session.Login(), l.session.Address(), time.Since(l.since).Round(time.Second))
}

// holders tells who has the connections, for the log.
func (p *pool) holders() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]string, 0, len(p.leased))
	for _, l := range p.leased {
		all = append(all, l.String())
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

package smtp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

const (
	// answerTimeout is for the answer to a transaction's first recipient,
	// whatever it takes: RFC 5321 section 4.5.3.2.3 gives it 5 minutes, but
	// devices wait about one.
	answerTimeout = 55 * time.Second
	// turnTimeout is for the part of it that is spent in the queue,
	// workTimeout for the rest.
	turnTimeout = 40 * time.Second
	workTimeout = 30 * time.Second
)

// errClientLeft means that the client has gone while it waited.
var errClientLeft = errors.New("the client went away while it waited for a connection")

// lease gives the transaction a connection of the mailbox's pool, for which it
// waits for at most patience, and returns by when the client has to be answered.
// One that has had a connection before has had its turn.
func (d *dialogue) lease(patience time.Duration) (by time.Time, err error) {
	asked := time.Now()
	for again := d.tx.opened; ; again = true {
		up, err := d.waitTurn(asked.Add(patience), again)
		if err != nil {
			return by, err
		}
		d.tx.waited += time.Since(asked)
		by = earlier(time.Now().Add(workTimeout), asked.Add(answerTimeout))
		d.tx.kept = up != nil
		if up == nil {
			up, err = d.pool.open(d.ctx, d.openBy(by))
		}
		if errors.Is(err, errCrowded) && d.pool.isKnown() {
			continue // one of the others will do
		}
		if err != nil {
			return by, err
		}
		d.tx.up = up
		d.pool.lend(up, d.ctx, d.session)
		return by, nil
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// openBy returns what opens a connection by the time given.
func (d *dialogue) openBy(by time.Time) opener {
	return func(ctx context.Context) (*upstream, error) {
		ctx, cancel := context.WithDeadline(ctx, by)
		defer cancel()
		return d.open(ctx)
	}
}

// waitTurn returns a kept connection or, as nil, a slot, when it is the
// client's turn. A client that goes away leaves the queue.
func (d *dialogue) waitTurn(until time.Time, again bool) (*upstream, error) {
	t, err := d.pool.arrive(again)
	if err != nil {
		return nil, busy(err)
	}
	select {
	case up := <-t.granted:
		return up, nil
	default:
	}
	ctx, cancel := context.WithDeadline(d.ctx, until)
	defer cancel()
	ctx, release := d.session.UntilStop(ctx)
	defer release()
	presence := d.attend()
	defer presence.end()
	for {
		select {
		case up := <-t.granted:
			return up, nil
		case <-presence.ended:
			if presence.left() {
				d.pool.leave(t)
				return nil, errClientLeft
			}
		case <-ctx.Done():
			d.pool.leave(t)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, busy(fmt.Errorf("no connection to this mailbox became free within %v; they are with %s", turnTimeout, d.pool.holders()))
			}
			return nil, &proxy.Failure{Kind: proxy.ShuttingDown}
		}
	}
}

// busy is what a client hears that has waited in vain.
func busy(cause error) error {
	return &proxy.Failure{Kind: proxy.Busy, Text: "too many messages at once for this mailbox, try again later", Cause: cause}
}

// insist does a step of the transaction, and once more on a fresh connection if
// this one turns out to be dead: as long as nothing of the message has gone
// that we don't hold, nothing can be lost or doubled by that.
func (d *dialogue) insist(step func(up *upstream) error) error {
	err := step(d.tx.up)
	if err == nil {
		return nil
	}
	if err = d.replay(err); err != nil {
		return err
	}
	return step(d.tx.up)
}

// isDead tells whether a connection has ended. One that is merely silent has
// used up the client's patience.
func isDead(err error) bool {
	_, judged := errors.AsType[*proxy.Failure](err)
	return !judged && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, wire.ErrFlood) && !errors.Is(err, wire.ErrTooLong)
}

// replay repeats the transaction so far on a fresh connection. The client has
// been told which recipients are accepted: where that isn't so any more, the
// transaction has failed. So it has, of the cause itself, where there is no
// replay.
func (d *dialogue) replay(cause error) error {
	if !isDead(cause) || !d.tx.canReplay() {
		return cause
	}
	d.session.Log.Info("the upstream connection was dead, using a fresh one", "account", d.session.Account, "cause", cause)
	by := time.Now().Add(workTimeout)
	if err := d.freshen(by); err != nil {
		return err
	}
	return d.repeat(by)
}

// repeat says again what the transaction has said so far.
func (d *dialogue) repeat(by time.Time) error {
	first, rest := split(d.tx.recipients)
	replies, err := d.start(by, first)
	for err == nil && len(rest) > 0 {
		first, rest = split(rest)
		var more []reply
		more, err = d.tx.up.askBy(by, first)
		replies = append(replies, more...)
	}
	if err != nil {
		return err
	}
	for _, r := range replies {
		if !r.positive() {
			return d.lost(fmt.Errorf("on another connection what had been accepted was refused: %s", proxy.Sanitize([]byte(r.lines[0]))))
		}
	}
	return nil
}

// park gives the transaction's connection back while its message waits for its
// mailbox's turn: others may have messages to send, and recipients to ask for.
// What can't be repeated keeps its connection.
func (d *dialogue) park() {
	if d.tx.up == nil || !d.tx.canRepeat() {
		return
	}
	d.tx.up.pool.keep(d.tx.up)
	d.tx.up = nil
}

// resume goes on with a transaction that has been parked, or has lent its
// connection.
func (d *dialogue) resume(patience time.Duration) error {
	if d.tx.up != nil {
		return nil
	}
	by, err := d.lease(patience)
	if err != nil {
		return err
	}
	if err := d.repeat(by); err != nil {
		return d.replay(err)
	}
	return nil
}

// split cuts a batch off.
func split(recipients []string) (batch, rest []string) {
	n := min(maxBatch, len(recipients))
	return recipients[:n], recipients[n:]
}

// freshen replaces the transaction's connection, which is dead.
func (d *dialogue) freshen(by time.Time) error {
	dead := d.tx.up
	d.tx.up, d.tx.kept, d.tx.replayed = nil, false, true
	up, err := d.pool.replace(d.ctx, dead, d.openBy(by))
	if err != nil {
		return err
	}
	d.tx.up = up
	d.pool.lend(up, d.ctx, d.session)
	return nil
}

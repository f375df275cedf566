package smtp

import "time"

const (
	// maxIdle is how long a connection is kept without use. Exchange drops
	// it after some minutes, and somebody else may want its place.
	maxIdle = 2 * time.Minute
	// maxMessages and maxAge bound the use of one connection: a fault that
	// sticks to it is over some time.
	maxMessages = 100
	maxAge      = 30 * time.Minute
	// tokenMargin is how long before the end of its access token a connection
	// serves its last transaction: that may take a while, and what Exchange
	// makes of a message behind the end isn't known.
	tokenMargin = time.Minute
)

// keep takes a connection back that is ready for another transaction.
func (p *pool) keep(up *upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlend(up)
	now := time.Now()
	if p.closed || up.used >= maxMessages || now.After(up.goodUntil) || p.accepted > p.slots {
		p.part(up)
	} else {
		up.keptSince = now
		up.watch()
		p.kept = append(p.kept, up)
	}
	p.grant()
}

// part closes a connection with QUIT, in the background. Its slot is free when
// Exchange has heard that, so that it doesn't count the next one as one too
// many.
func (p *pool) part(up *upstream) {
	p.accepted--
	p.leaving++
	patient := !p.closed
	p.parting.Go(func() {
		up.quit(patient)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.leaving--
		p.grant()
	})
}

// remove closes a connection that has been kept: with QUIT if it is alive.
func (p *pool) remove(up *upstream) {
	if up.rouse() == nil {
		p.part(up)
		return
	}
	p.accepted--
	p.discard(up)
}

// sift closes the kept connections that aren't good.
func (p *pool) sift(good func(*upstream) bool) {
	var left []*upstream
	for _, up := range p.kept {
		if good(up) {
			left = append(left, up)
			continue
		}
		p.remove(up)
	}
	p.kept = left
}

// schedule sets the timer for what is due next.
func (p *pool) schedule() {
	if p.closed {
		return
	}
	next := p.crowded
	for _, up := range p.kept {
		if due := up.due(); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	switch {
	case p.timer == nil && !next.IsZero():
		p.timer = time.AfterFunc(time.Until(next), p.tidy)
	case p.timer != nil && next.IsZero():
		p.timer.Stop()
	case p.timer != nil:
		p.timer.Reset(time.Until(next))
	}
}

// tidy does what is due.
func (p *pool) tidy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	now := time.Now()
	p.sift(func(up *upstream) bool { return now.Before(up.due()) })
	if !now.Before(p.crowded) {
		p.slots, p.crowded = maxConnections, time.Time{}
	}
	p.grant()
}

// Close closes what is kept, with QUIT. The sessions have ended before.
func (p *pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.sift(func(*upstream) bool { return false })
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.parting.Wait()
	return nil
}

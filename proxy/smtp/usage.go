package smtp

import (
	"math"

	"oauthproxy/proxy"
)

// Usage is what a mailbox has used of what it may send. A limit of zero is none.
type Usage struct {
	// Messages are those of which the mailbox's turns haven't come back yet:
	// each minute brings as many as MessagesPerMinute.
	Messages, MessagesPerMinute int
	// Recipients are those of the last 24 hours.
	Recipients, RecipientsPerDay int
	// Waiting are the messages that wait for their turn.
	Waiting int
}

// Usage tells what a mailbox has sent.
func (l *Ledger) Usage(account string) Usage {
	l.mu.Lock()
	p, pace := l.mailboxes[account], l.pace
	l.mu.Unlock()
	if p == nil {
		return Usage{MessagesPerMinute: pace.MessagesPerMinute, RecipientsPerDay: pace.RecipientsPerDay}
	}
	return p.usage()
}

func (p *pacer) usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := Usage{
		MessagesPerMinute: p.pace.MessagesPerMinute,
		Recipients:        p.today(),
		RecipientsPerDay:  p.pace.RecipientsPerDay,
		Waiting:           p.waiting.Len(),
	}
	if p.messages != nil {
		// A turn that has partly come back isn't there yet.
		u.Messages = int(math.Ceil(p.messages.size - p.messages.left()))
	}
	return u
}

// Crowd tells how many use the pool.
func (p *pool) Crowd() proxy.Crowd {
	p.mu.Lock()
	defer p.mu.Unlock()
	return proxy.Crowd{Kept: len(p.kept), Used: p.inUse() - len(p.kept), Waiting: p.waiting.Len()}
}

package smtp

import (
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// denialMemory is how long a sender that Exchange has refused is refused
	// without asking. A right that has been granted meanwhile takes longer
	// than that to be in force: up to two hours (Microsoft, 2026).
	denialMemory = 10 * time.Minute
	// maxDenials bounds the senders remembered for a mailbox.
	maxDenials = 100
)

// denials remembers which senders Exchange has refused for a mailbox. It does
// so only after the whole message has been sent; the next one of the same
// sender hears the same words at MAIL.
type denials struct {
	mu  sync.Mutex
	all map[string]denial // by address in lower case
}

type denial struct {
	reply reply
	until time.Time
}

// deniedSender is how Exchange names the sender that it refuses ("554 5.2.252
// SendAsDenied; a@x not allowed to send as b@x; ...", 2026).
var deniedSender = regexp.MustCompile(`SendAsDenied; \S+ not allowed to send as ([^\s;]+);`)

// note remembers a verdict on a message, if it says that the sender isn't
// allowed: not one that is in the message's header alone.
func (d *denials) note(sender string, verdict reply) {
	found := deniedSender.FindStringSubmatch(strings.Join(verdict.lines, " "))
	if verdict.code/100 != 5 || found == nil || sender == "" || !strings.EqualFold(found[1], sender) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for address, denied := range d.all {
		if now.After(denied.until) || len(d.all) >= maxDenials {
			delete(d.all, address)
		}
	}
	if d.all == nil {
		d.all = make(map[string]denial)
	}
	d.all[strings.ToLower(sender)] = denial{verdict, now.Add(denialMemory)}
}

// of returns what Exchange has said of a sender lately.
func (d *denials) of(sender string) (reply, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	denied, ok := d.all[strings.ToLower(sender)]
	if !ok || time.Now().After(denied.until) {
		return reply{}, false
	}
	return denied.reply, true
}

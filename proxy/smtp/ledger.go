package smtp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
)

// Ledger knows what the mailboxes have sent, and holds each to its pace. It is
// shared by all sessions.
type Ledger struct {
	pace Pace

	mu        sync.Mutex
	mailboxes map[string]*pacer
	senders   map[string]*pacer // by login
}

// NewLedger returns a Ledger in which nobody has sent anything.
func NewLedger(pace Pace) *Ledger {
	return &Ledger{pace: pace, mailboxes: make(map[string]*pacer), senders: make(map[string]*pacer)}
}

// SetPace changes the pace of all mailboxes. What they have sent counts on.
func (l *Ledger) SetPace(pace Pace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace = pace
	for _, p := range l.mailboxes {
		p.setPace(pace)
	}
}

// mailbox returns the pacer of a mailbox.
func (l *Ledger) mailbox(account string) *pacer {
	return l.pacer(l.mailboxes, account, l.pace)
}

// login returns the pacer of a login that may send so many messages a minute.
func (l *Ledger) login(name string, perMinute int) *pacer {
	return l.pacer(l.senders, name, Pace{MessagesPerMinute: perMinute})
}

func (l *Ledger) pacer(among map[string]*pacer, name string, pace Pace) *pacer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := among[name]
	if p == nil {
		p = newPacer(pace)
		among[name] = p
	}
	return p
}

// book is the Ledger as it is kept over a restart: recipients by mailbox and
// by hours since 1970.
type book struct {
	Version    int                      `json:"version"`
	Recipients map[string]map[int64]int `json:"recipients"`
}

const bookVersion = 1

// ErrNewer means that a count has been kept by a newer version of the program,
// which this one doesn't understand.
var ErrNewer = errors.New("it has been written by a newer version of the program")

// maxHourly bounds what is believed of an hour: no mailbox sends as much.
const maxHourly = 10_000_000

// MarshalJSON returns the recipients of the last 24 hours. The texts of two
// calls are equal if nothing has been sent in between.
func (l *Ledger) MarshalJSON() ([]byte, error) {
	l.mu.Lock()
	mailboxes := maps.Clone(l.mailboxes)
	l.mu.Unlock()
	b := book{Version: bookVersion, Recipients: make(map[string]map[int64]int)}
	for account, p := range mailboxes {
		if counts := p.counts(); len(counts) > 0 {
			b.Recipients[account] = counts
		}
	}
	return json.Marshal(b)
}

// UnmarshalJSON adds what an earlier run has sent; ErrNewer is among its
// errors.
func (l *Ledger) UnmarshalJSON(data []byte) error {
	var version struct{ Version int }
	if err := json.Unmarshal(data, &version); err != nil {
		return errDamaged
	}
	switch {
	case version.Version > bookVersion: // whatever else it holds
		return fmt.Errorf("%w: its version is %d, and this program reads %d", ErrNewer, version.Version, bookVersion)
	case version.Version < bookVersion:
		return fmt.Errorf("it is of the version %d, and this program reads %d", version.Version, bookVersion)
	}
	var b book
	if err := json.Unmarshal(data, &b); err != nil || !b.isSane() {
		return errDamaged
	}
	for account, hours := range b.Recipients {
		l.mailbox(account).restore(hours)
	}
	return nil
}

// errDamaged stands for an error that quotes the text, and says no more.
var errDamaged = errors.New("it is damaged")

// isSane tells whether all numbers are such as can be.
func (b *book) isSane() bool {
	for _, hours := range b.Recipients {
		for _, n := range hours {
			if n < 0 || n > maxHourly {
				return false
			}
		}
	}
	return true
}

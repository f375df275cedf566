package sandbox

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// folder is a list of messages.
type folder struct {
	validity uint32
	tracker  *imapserver.MailboxTracker

	mu       sync.Mutex
	messages []*message
	nextUID  imap.UID
	watchers map[chan struct{}]bool // sessions in IDLE
}

// message is one message. Only flags ever change, under the folder's lock.
type message struct {
	uid   imap.UID
	raw   []byte
	date  time.Time
	flags map[imap.Flag]bool
}

// add appends a message and returns its UID. raw must not change afterwards.
func (f *folder) add(raw []byte, date time.Time, flags []imap.Flag) imap.UID {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &message{uid: f.nextUID, raw: raw, date: date, flags: map[imap.Flag]bool{}}
	m.setFlags(flags, true)
	f.nextUID++
	f.messages = append(f.messages, m)
	f.tracker.QueueNumMessages(uint32(len(f.messages)))
	f.wake()
	return m.uid
}

// list returns the messages as they are now.
func (f *folder) list() []*message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.messages)
}

// remove takes out the messages that match, and tells every session.
func (f *folder) remove(match func(*message) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// From the end, so that the numbers of those before stay right.
	for i := len(f.messages) - 1; i >= 0; i-- {
		if match(f.messages[i]) {
			f.messages = slices.Delete(f.messages, i, i+1)
			f.tracker.QueueExpunge(uint32(i) + 1)
		}
	}
	f.wake()
}

// watch returns a channel that gets a value after each change, until stop is
// called. Changes while nobody receives are one.
func (f *folder) watch() (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers[ch] = true
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, ch)
	}
}

// wake tells the watchers. The caller holds f.mu.
func (f *folder) wake() {
	for ch := range f.watchers {
		select {
		case ch <- struct{}{}:
		default: // it has not yet received the last one
		}
	}
}

// setFlags sets or clears flags. They are compared without case (RFC 9051
// section 2.3.2).
func (m *message) setFlags(flags []imap.Flag, value bool) {
	for _, flag := range flags {
		if flag = canonicalFlag(flag); value {
			m.flags[flag] = true
		} else {
			delete(m.flags, flag)
		}
	}
}

func (m *message) has(flag imap.Flag) bool { return m.flags[canonicalFlag(flag)] }

func (m *message) flagList() []imap.Flag { return slices.Sorted(maps.Keys(m.flags)) }

// exchangeFlags are the flags that Exchange knows.
var exchangeFlags = []imap.Flag{
	imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft, "$MDNSent",
}

func canonicalFlag(flag imap.Flag) imap.Flag {
	for _, known := range exchangeFlags {
		if strings.EqualFold(string(flag), string(known)) {
			return known
		}
	}
	return flag
}

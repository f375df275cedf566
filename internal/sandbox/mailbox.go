package sandbox

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"
)

// Folders that every mailbox has.
const (
	inbox     = "INBOX"
	sentItems = "Sent Items"
)

// mailbox is one address with its folders. IMAP and POP3 show the same one.
type mailbox struct {
	address  string
	scenario *Scenario

	mu         sync.Mutex
	folders    map[string]*folder
	validity   uint32 // UIDVALIDITY of the newest folder
	firstToken string // id of the first token seen, for refuseFirst
	rights     map[rightGrant]bool
	senders    []*smtpDialogue // SMTP connections logged in, oldest first
	submitted  []time.Time     // when messages were submitted, of the last minute
}

func newMailbox(sc *Scenario) *mailbox {
	m := &mailbox{
		address:  sc.address(),
		scenario: sc,
		folders:  map[string]*folder{},
		rights:   map[rightGrant]bool{},
	}
	m.create(inbox)
	m.create(sentItems)
	return m
}

// folder returns the folder of that name, or nil. INBOX is INBOX in any case
// (RFC 9051 section 5.1).
func (m *mailbox) folder(name string) *folder {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.folders[canonicalName(name)]
}

// create makes a folder and tells whether there was none of that name.
func (m *mailbox) create(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = canonicalName(name)
	if m.folders[name] != nil {
		return false
	}
	// RFC 9051 section 2.3.1.1: a name used again needs a new UIDVALIDITY.
	m.validity++
	m.folders[name] = &folder{
		validity: m.validity,
		tracker:  imapserver.NewMailboxTracker(0),
		nextUID:  1,
		watchers: map[chan struct{}]bool{},
	}
	return true
}

// remove deletes a folder and tells whether it could. INBOX stays.
func (m *mailbox) remove(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = canonicalName(name)
	_, ok := m.folders[name]
	if !ok || name == inbox {
		return false
	}
	delete(m.folders, name)
	return true
}

// rename renames a folder and tells whether it could. INBOX stays.
func (m *mailbox) rename(from, to string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to = canonicalName(from), canonicalName(to)
	f := m.folders[from]
	if f == nil || from == inbox || m.folders[to] != nil {
		return false
	}
	m.folders[to] = f
	delete(m.folders, from)
	return true
}

// names returns the folders' names in order.
func (m *mailbox) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.folders))
}

func canonicalName(name string) string {
	if strings.EqualFold(name, inbox) {
		return inbox
	}
	return strings.TrimRight(name, "/")
}

// isFirstToken tells whether the token is the first one that was ever used.
func (m *mailbox) isFirstToken(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.firstToken == "" {
		m.firstToken = id
	}
	return m.firstToken == id
}

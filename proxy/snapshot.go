package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Snapshot is what a server does at one moment.
type Snapshot struct {
	Sessions  []SessionState // the oldest first
	Mailboxes []MailboxState // by account and protocol
	Legacy    []LegacyClient
}

// SessionState is how a session stands.
type SessionState struct {
	ID       string
	Protocol string
	Listener string // its address
	Client   netip.Addr
	TLS      string // the version with the client, or none
	// Login and Account are empty before the client is verified.
	Login, Account string
	Since          time.Time
	LoggedIn       bool
	Phase          string
	// Up and Down are bytes from and to the client. Of a relayed session only
	// what was relayed counts.
	Up, Down int64
}

// MailboxState is how many use the connections that all sessions of a mailbox
// share.
type MailboxState struct {
	Account, Protocol string
	Crowd
}

// Snapshot tells what the server does. It holds nobody up for long.
func (s *Server) Snapshot() Snapshot {
	snapshot := Snapshot{Mailboxes: s.commons.state(), Legacy: s.LegacyClients()}
	for _, session := range s.census.all() {
		snapshot.Sessions = append(snapshot.Sessions, session.state())
	}
	slices.SortFunc(snapshot.Sessions, func(a, b SessionState) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return snapshot
}

func (s *Session) state() SessionState {
	up, down := s.bytes()
	s.mu.Lock()
	defer s.mu.Unlock()
	return SessionState{
		ID: s.ID, Protocol: s.Protocol(), Listener: s.Listener.Address, Client: s.address, TLS: tlsName(s.tls),
		Login: s.login, Account: s.Account, Since: s.started, LoggedIn: s.loggedIn, Phase: s.phase, Up: up, Down: down,
	}
}

// bytes are those from and to the client: the relayed ones, or all where
// nothing is relayed byte for byte.
func (s *Session) bytes() (up, down int64) {
	if s.relayed.Load() {
		return s.up.Load(), s.down.Load()
	}
	return s.Client.Moved()
}

// all returns the sessions.
func (c *census) all() []*Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Session, 0, len(c.present))
	for s := range c.present {
		all = append(all, s)
	}
	return all
}

// state tells of those that count their connections.
func (c *commons) state() []MailboxState {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []MailboxState
	for key, common := range c.all {
		if c, ok := common.(crowded); ok {
			all = append(all, MailboxState{key.account, key.protocol, c.Crowd()})
		}
	}
	slices.SortFunc(all, func(a, b MailboxState) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Protocol, b.Protocol))
	})
	return all
}

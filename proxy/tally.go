package proxy

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Phase is a part of what a client waits for.
type Phase int

// The phases. Those of a login are counted where they went well, those of a
// message where it has had a verdict.
const (
	PhaseVerify      Phase = iota // the check of the local password
	PhaseToken                    // the access token, most often at hand
	PhaseConnect                  // to Exchange, up to where a login is possible
	PhaseLogIn                    // XOAUTH2, up to Exchange's answer
	PhaseMessageWait              // of a message, for its turn and a connection
	PhaseMessage                  // a message, from DATA or the first BDAT to the verdict
	phases           = iota
)

var phaseNames = [phases]string{"verify", "token", "connect", "login", "message_wait", "message"}

// String returns the phase's name.
func (p Phase) String() string { return phaseNames[p] }

// Verdict is a class of what has become of a message.
type Verdict int

// The classes.
const (
	Accepted   Verdict = iota // by Exchange
	Temporary                 // Exchange's no for now
	Permanent                 // Exchange's no
	Forbidden                 // refused here, without asking Exchange
	Failed                    // no verdict could be had
	Unfinished                // its client has gone
	verdicts   = iota
)

var verdictNames = [verdicts]string{"accepted", "temporary", "permanent", "forbidden", "failed", "unfinished"}

// String returns the class's name.
func (v Verdict) String() string { return verdictNames[v] }

// What the upstream has refused.
const (
	RefusedLogin     = "login"
	RefusedSession   = "session" // it has ended one, for a cause
	RefusedSender    = "sender"
	RefusedRecipient = "recipient"
	RefusedMessage   = "message"
)

// tally counts what becomes of the sessions of a protocol. What happens often
// costs no more than an atomic addition.
type tally struct {
	sessions       atomic.Uint64
	open, loggedIn atomic.Int64 // now
	legacy         atomic.Uint64
	up, down       atomic.Uint64               // bytes
	logins         [Internal + 1]atomic.Uint64 // by Kind; 0: it succeeded
	messages       [verdicts]atomic.Uint64
	phases         [phases]durations

	mu       sync.Mutex
	refusals map[UpstreamRefusal]uint64
}

// UpstreamRefusal is a kind of refusal by the upstream.
type UpstreamRefusal struct {
	What  string // one of the constants, e.g. RefusedLogin
	Cause string // ID of what package remedy knows about it; empty: nothing
}

func (t *tally) refused(what, cause string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refusals == nil {
		t.refusals = make(map[UpstreamRefusal]uint64)
	}
	t.refusals[UpstreamRefusal{what, cause}]++
}

// tallies are those of each protocol that is served.
type tallies struct {
	mu  sync.RWMutex
	all map[string]*tally
}

func (t *tallies) of(protocol string) *tally {
	t.mu.RLock()
	found := t.all[protocol]
	t.mu.RUnlock()
	if found != nil {
		return found
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = make(map[string]*tally)
	}
	if t.all[protocol] == nil {
		t.all[protocol] = new(tally)
	}
	return t.all[protocol]
}

// Figures tell what has become of the sessions of a protocol since the start.
type Figures struct {
	Protocol           string
	Sessions           uint64 // that have begun
	Arriving, LoggedIn int    // now
	LegacyTLS          uint64 // sessions that have needed it
	Up, Down           uint64 // bytes relayed to Exchange and to clients; of SMTP, messages alone
	Accepted           uint64 // logins
	Refused            map[Kind]uint64
	Messages           map[Verdict]uint64
	Phases             map[Phase]Durations
	Refusals           map[UpstreamRefusal]uint64
}

// Figures returns those of each protocol that has been served, by name.
func (s *Server) Figures() []Figures {
	s.tallies.mu.RLock()
	defer s.tallies.mu.RUnlock()
	var all []Figures
	for _, protocol := range slices.Sorted(maps.Keys(s.tallies.all)) {
		all = append(all, s.tallies.all[protocol].figures(protocol))
	}
	return all
}

func (t *tally) figures(protocol string) Figures {
	loggedIn := t.loggedIn.Load() // first: whoever is, is open
	f := Figures{
		Protocol:  protocol,
		Sessions:  t.sessions.Load(),
		Arriving:  int(max(0, t.open.Load()-loggedIn)),
		LoggedIn:  int(loggedIn),
		LegacyTLS: t.legacy.Load(),
		Up:        t.up.Load(),
		Down:      t.down.Load(),
		Accepted:  t.logins[0].Load(),
		Refused:   make(map[Kind]uint64),
		Messages:  make(map[Verdict]uint64),
		Phases:    make(map[Phase]Durations),
	}
	for kind := BadCredentials; kind <= Internal; kind++ {
		if kind == TLSRequired {
			continue // said before there are credentials
		}
		f.Refused[kind] = t.logins[kind].Load()
	}
	for verdict := range Verdict(verdicts) {
		f.Messages[verdict] = t.messages[verdict].Load()
	}
	for phase := range Phase(phases) {
		f.Phases[phase] = t.phases[phase].figures()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f.Refusals = maps.Clone(t.refusals)
	return f
}

// CountMessage counts what has become of a message: its size in bytes, how long
// it had to wait, and how long it took in all.
func (s *Session) CountMessage(verdict Verdict, size int64, waited, took time.Duration) {
	s.tally.messages[verdict].Add(1)
	switch verdict {
	case Accepted, Temporary, Permanent:
		s.tally.up.Add(uint64(size))
		s.tally.phases[PhaseMessageWait].add(waited)
		s.tally.phases[PhaseMessage].add(took)
	}
}

// CountRefusal counts a reply by which the upstream has refused something of a
// message.
func (s *Session) CountRefusal(what, reply string) {
	var f Failure
	f.Explain(s.Protocol(), reply)
	s.tally.refused(what, f.Remedy.ID)
}

// Crowd is how many use a mailbox's connections.
type Crowd struct {
	Kept    int // connections that nobody uses
	Used    int
	Waiting int // clients
}

// crowded is what sessions have in common where they share connections.
type crowded interface{ Crowd() Crowd }

// Crowd tells how many use the connections that an account's sessions share by
// a protocol.
func (s *Server) Crowd(account, protocol string) Crowd {
	s.commons.mu.Lock()
	common := s.commons.all[commonKey{account, protocol}]
	s.commons.mu.Unlock()
	if c, ok := common.(crowded); ok {
		return c.Crowd()
	}
	return Crowd{}
}

// begins counts a session that has been let in, and ends the same one.
func (s *Session) begins() {
	s.tally.sessions.Add(1)
	s.tally.open.Add(1)
	s.Log.Debug("connected")
}

func (s *Session) ends() {
	if s.loggedIn {
		s.tally.loggedIn.Add(-1)
	}
	s.tally.open.Add(-1)
}

package tokens

import "time"

// States are all states of an account.
var States = []State{StateReady, StateSignIn, StateAdministrator, StateSetUp, StateUnreachable}

// Figures are what is measured of an account.
type Figures struct {
	Account string
	State   State
	// Left is how long the access token is good for; 0: there is none.
	Left time.Duration
	// Obtained counts the access tokens since the start, and Failed the
	// requests that have brought none.
	Obtained, Failed uint64
}

// IsUsable tells whether a session may have a token: while there is one, or
// as long as nothing is known to be wrong.
func (f Figures) IsUsable() bool { return f.State == StateReady || f.Left > 0 }

// Figures returns those of all accounts, in the order of NewBroker. Other than
// Accounts it reads no file.
func (b *Broker) Figures() []Figures {
	entries := b.all()
	all := make([]Figures, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.figures())
	}
	return all
}

func (e *entry) figures() Figures {
	f := Figures{Account: e.account.Name, State: StateReady}
	e.mu.Lock()
	defer e.mu.Unlock()
	f.Left = max(0, e.held.Load().left(time.Now()))
	f.Obtained, f.Failed = e.renewals, e.unrenewed
	if e.failure != nil {
		f.State = stateOf(e.failure.Class)
	}
	return f
}

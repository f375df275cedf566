package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// renewEvery is how often a sign-in is renewed, used or not. Entra ID ends
	// one that isn't used for 90 days; that leaves room for a long outage.
	renewEvery = 7 * 24 * time.Hour
	// renewSpread keeps accounts that signed in on the same day apart.
	renewSpread = 24 * time.Hour
)

func errNobody() *Error {
	return &Error{Class: PersonNeeded, Text: "nobody has signed in for this account"}
}

// load returns the sign-in, from the store the first time.
func (s *delegated) load() (*signedIn, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.current != nil:
		return s.current, nil
	case s.loaded || s.store == nil:
		return nil, errNobody()
	}
	blob, err := s.store.Load(s.account.Name)
	switch {
	case errors.Is(err, ErrNotFound):
		s.loaded = true
		return nil, errNobody()
	case errors.As(err, new(*Damaged)):
		return nil, &Error{Class: PersonNeeded, Text: err.Error(), Err: err}
	case err != nil:
		return nil, &Error{Class: SetUpWrong, Text: fmt.Sprintf("the stored sign-in can't be read: %v", err), Err: err}
	}
	in, failure := s.parse(blob)
	if failure != nil {
		return nil, failure
	}
	s.loaded = true
	s.take(in)
	return in, nil
}

// parse reads what the store had and compares it with the configuration, which
// may have changed since.
func (s *delegated) parse(blob []byte) (*signedIn, *Error) {
	in := &signedIn{}
	if json.Unmarshal(blob, in) != nil || in.Home == "" {
		return nil, s.explain(errDamaged)
	}
	if in.ClientID != s.account.App.ClientID {
		return nil, &Error{Class: PersonNeeded, Text: "the stored sign-in is for another application than client_id names: sign in again"}
	}
	if wanted := s.account.person(); !strings.EqualFold(in.SignedInAs, wanted) {
		return nil, &Error{Class: PersonNeeded, Text: fmt.Sprintf(
			"the stored sign-in is %s's, and this account needs %s: sign in as %s, or set sign_in_as", quotable(in.SignedInAs), wanted, wanted)}
	}
	return in, nil
}

// install makes in the account's sign-in, whatever was before.
func (s *delegated) install(in *signedIn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = true
	s.take(in)
	s.save()
}

// replace makes in the account's sign-in if it is still old that is replaced,
// and nobody has signed in or out meanwhile.
func (s *delegated) replace(old, in *signedIn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != old || in.Tokens == nil {
		return
	}
	s.take(in)
	s.save()
}

func (s *delegated) take(in *signedIn) {
	s.current = in
	s.renewAge = renewEvery - jitter(renewSpread)
}

// save hands the sign-in to the store. When that fails nothing is lost: it
// stays in memory, and saveAgain tries it again.
func (s *delegated) save() {
	if s.store == nil {
		return
	}
	blob, err := json.Marshal(s.current)
	if err == nil {
		err = s.store.Save(s.account.Name, blob)
	}
	s.unsaved = err
	if err != nil {
		s.log.Error("sign-in not saved, it is kept in memory and saving is tried again", "account", s.account.Name, "cause", err)
	}
}

// saveAgain saves what couldn't be saved earlier.
func (s *delegated) saveAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsaved == nil {
		return
	}
	if s.save(); s.unsaved == nil {
		s.log.Info("sign-in saved", "account", s.account.Name)
	}
}

// forget removes the sign-in from the store and from memory. When the store
// can't, nothing has changed.
func (s *delegated) forget() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		if err := s.store.Delete(s.account.Name); err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("not signed out of %s, its sign-in can't be removed: %w", s.account.Name, err)
		}
	}
	s.current, s.loaded, s.unsaved = nil, true, nil
	return nil
}

// isDue tells whether the sign-in is to be renewed by age.
func (s *delegated) isDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && now.Round(0).Sub(s.current.RefreshedAt) >= s.renewAge
}

// tell adds to the status who has signed in.
func (s *delegated) tell(status *Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		status.SignedInAs = s.current.SignedInAs
	}
	if s.unsaved != nil {
		status.Unsaved = true
		status.Text = fmt.Sprintf("the sign-in couldn't be saved: %v", s.unsaved)
		status.Next = "mend that; saving is tried again by itself"
	}
}

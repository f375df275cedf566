package main

import (
	"context"
	"fmt"

	"oauthproxy/admin"
	"oauthproxy/tokens"
)

// maxHealthProblems bounds the accounts that are told of by name.
const maxHealthProblems = 20

// live tells what is wrong if the process can't go on by itself: a port that
// nobody accepts from. Where somebody keeps a lock for ever it doesn't return.
func (s *service) live() error {
	s.server.Figures()
	if s.stopping.Load() {
		return nil // that has a limit of its own
	}
	for _, p := range s.openPortsNow() {
		if p.hasEnded.Load() && !s.stopping.Load() {
			return fmt.Errorf("nobody accepts clients at the %s listener %s", p.protocol, p.Addr())
		}
	}
	return nil
}

// ready tells how the service stands. Where no account is of use, because Entra
// ID couldn't be reached, it asks for a token: whoever sends sessions to ready
// services alone would never send the one that finds out that it can be again.
// The broker keeps its pauses between two requests.
func (s *service) ready() admin.Health {
	h, unusable := s.health()
	if h.Accounts.Usable > 0 || s.stopping.Load() {
		return h
	}
	for _, f := range unusable {
		if f.State == tokens.StateUnreachable {
			gone, cancel := context.WithCancel(context.Background())
			cancel() // the request goes on without who has asked for it
			_, _ = s.signIns.broker.Token(gone, f.Account)
			break
		}
	}
	return h
}

// health tells whether clients are served: the ports are open and there is an
// account that a session may have a token of.
func (s *service) health() (h admin.Health, unusable []tokens.Figures) {
	isOpen := !s.stopping.Load()
	if !isOpen {
		h.Problems = append(h.Problems, "the service is stopping")
	}
	for _, p := range s.openPortsNow() {
		l := admin.ListenerHealth{Protocol: p.protocol, Address: p.Addr().String(), IsOpen: !p.hasEnded.Load()}
		if !l.IsOpen {
			isOpen = false
			h.Problems = append(h.Problems, fmt.Sprintf("the %s listener %s takes no clients", l.Protocol, l.Address))
		}
		h.Listeners = append(h.Listeners, l)
	}
	unusable = s.countUsable(&h)
	for _, account := range unusable[:min(len(unusable), maxHealthProblems)] {
		h.Problems = append(h.Problems, s.whyUnusable(account))
	}
	if more := len(unusable) - maxHealthProblems; more > 0 {
		h.Problems = append(h.Problems, fmt.Sprintf("and %d more accounts: oauthproxy accounts tells of all", more))
	}
	h.IsReady = isOpen && h.Accounts.Usable > 0
	return h, unusable
}

// countUsable counts the accounts and returns those that are of no use now.
func (s *service) countUsable(h *admin.Health) (unusable []tokens.Figures) {
	for _, f := range s.signIns.broker.Figures() {
		h.Accounts.All++
		if f.IsUsable() {
			h.Accounts.Usable++
		} else {
			unusable = append(unusable, f)
		}
	}
	return unusable
}

func (s *service) whyUnusable(f tokens.Figures) string {
	status, _ := s.signIns.broker.Account(f.Account)
	text := fmt.Sprintf("%s: %s: %s", f.Account, f.State, status.Text)
	if status.Next != "" {
		text += "; " + status.Next
	}
	return text
}

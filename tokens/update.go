package tokens

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Update replaces the accounts. Those that same names go on as they are, with
// their tokens and the requests under way; where the last request has failed,
// the next session may ask at once, for a secret may have been replaced. The
// others begin anew: they take up the sign-ins in the store. After an error
// nothing has changed; it names every account that could never get a token, or
// whose sign-in would be lost.
func (b *Broker) Update(accounts []Account, o Options, same func(account string) bool) error {
	o = o.complete()
	client := guarded(o.HTTPClient)
	entries, order, err := b.compose(accounts, o, client, same)
	if err != nil {
		return err
	}
	b.mu.Lock()
	before, beforeClient := b.order, b.client
	b.entries, b.order, b.client = entries, order, client
	b.mu.Unlock()
	for _, e := range before {
		if entries[e.account.Name] != e {
			e.close()
		}
	}
	if beforeClient != nil {
		beforeClient.CloseIdleConnections()
	}
	b.takeUpSignIns(before)
	return nil
}

// compose makes the entries: new ones, and those that stay.
func (b *Broker) compose(accounts []Account, o Options, client *http.Client, same func(string) bool) (map[string]*entry, []*entry, error) {
	var (
		entries  = make(map[string]*entry, len(accounts))
		order    = make([]*entry, 0, len(accounts))
		problems []error
	)
	for _, account := range accounts {
		err := account.App.check()
		if entries[account.Name] != nil {
			err = errors.New("the account exists twice")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("account %s: %w", account.Name, err))
			continue
		}
		e := b.entry(account.Name)
		if e == nil || !same(account.Name) {
			account.App.Scopes = withoutAlwaysAsked(account.App.Scopes)
			e = &entry{account: account, log: o.Log, ctx: b.ctx, flights: &b.flights}
			e.source, e.person = newSource(account, client, o)
		}
		entries[account.Name] = e
		order = append(order, e)
	}
	for _, e := range b.all() {
		if entries[e.account.Name] == e {
			e.retry()
		} else if err := e.mayGo(); err != nil {
			problems = append(problems, fmt.Errorf("account %s: %w", e.account.Name, err))
		}
	}
	return entries, order, errors.Join(problems...)
}

// mayGo tells why the entry can't be given up.
func (e *entry) mayGo() error {
	e.saveAgain()
	e.mu.Lock()
	isSigningIn := e.signingIn
	e.mu.Unlock()
	if isSigningIn {
		return errors.New("somebody is signing in for it: try again after that")
	}
	if status := e.status(); status.Unsaved {
		return errors.New(status.Text)
	}
	return nil
}

// retry lets the next session ask at once, whatever the last request came to,
// unless a person is needed.
func (e *entry) retry() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.waitsForPerson() {
		e.notBefore = time.Time{}
	}
}

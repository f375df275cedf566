package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/admin"
	"oauthproxy/config"
)

// reload makes the running service read its configuration again.
func reload(ctx context.Context, args []string, u *ui) int {
	o := newOptions("reload", u)
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	client, status := o.runningService(ctx)
	if client == nil {
		return status
	}
	done, err := client.Reload(ctx)
	if err != nil {
		u.fail(err)
		u.hint("nothing has changed: the service goes on as before")
		return exitFailed
	}
	if len(done.Problems) > 0 {
		for _, p := range done.Problems {
			u.say("%s", p.Where)
			if p.Hint != "" {
				u.hint("%s", p.Hint)
			}
		}
		u.say("nothing has changed: the service goes on as before")
		return exitConfig
	}
	u.result("reloaded: %s", done.Summary)
	for _, note := range done.Notes {
		u.say("%s", note)
	}
	return exitWell
}

// reload reads the configuration again. It is checked whole first: what is
// wrong changes nothing. Sessions go on with what they have logged in with.
func (s *service) reload() (admin.Reloaded, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.stopping.Load() {
		return admin.Reloaded{}, errors.New("the service is about to stop")
	}
	s.manager.reloading()
	defer func() { s.manager.ready(s.standing()) }()
	done, err := s.replace()
	switch {
	case err != nil:
		s.log.Error("not reloaded, nothing has changed", "cause", err)
	case len(done.Problems) > 0:
		for _, p := range done.Problems {
			s.log.Error("not reloaded, nothing has changed", "cause", p.Where, "remedy", p.Hint)
		}
	default:
		s.log.Info("reloaded", "summary", done.Summary)
		for _, note := range done.Notes {
			s.log.Warn("reloaded, but for this", "cause", note)
		}
	}
	return done, err
}

func (s *service) replace() (admin.Reloaded, error) {
	begun := time.Now()
	c, err := config.Load(s.config.File, accounts.CheckHash)
	if invalid, ok := errors.AsType[*config.Invalid](err); ok {
		return refusedReload(invalid), nil
	}
	if err != nil {
		return admin.Reloaded{}, err
	}
	notes := keepFixed(c, s.config)
	directory, err := accounts.New(localLogins(c))
	if err != nil {
		return admin.Reloaded{}, err
	}
	directory.Succeed(s.directory)
	roots, err := trusted(c.Upstream.CAFile)
	if err != nil {
		return admin.Reloaded{}, err
	}
	before := s.openPortsNow()
	ports, err := s.openPorts(c, before)
	if err != nil {
		return admin.Reloaded{}, err
	}
	isSame := sameAccounts(s.config, c, roots.Equal(s.roots))
	if err := s.signIns.update(c, roots, isSame, s.log); err != nil {
		closePorts(added(ports, before))
		return admin.Reloaded{}, err
	}
	// From here on nothing can fail.
	s.server.Update(settings(c, directory, roots))
	s.recipients.ledger.SetPace(pace(c))
	setLevel(s.level, c.Log)
	s.mu.Lock()
	s.config, s.loaded, s.directory, s.roots, s.ports = c, begun, directory, roots, ports
	isServing := s.isServing // else serve will
	s.mu.Unlock()
	opened, closed := added(ports, before), added(before, ports)
	for _, p := range ports {
		p.shared.Set(p.next)
	}
	for _, p := range opened {
		if isServing {
			s.servePort(p)
		}
	}
	closePorts(closed)
	return admin.Reloaded{Summary: summary(c, len(opened), len(closed)), Notes: notes}, nil
}

func refusedReload(invalid *config.Invalid) admin.Reloaded {
	var refused admin.Reloaded
	for _, p := range invalid.Problems {
		refused.Problems = append(refused.Problems, admin.Problem{Where: p.Where(), Hint: p.Hint})
	}
	return refused
}

// added are the ports that are in one list and not in the other.
func added(ports, before []*port) []*port {
	return slices.DeleteFunc(slices.Clone(ports), func(p *port) bool { return slices.Contains(before, p) })
}

func summary(c *config.Config, opened, closed int) string {
	parts := []string{plural(len(c.Accounts), "account"), plural(len(c.Listeners), "listener")}
	if opened > 0 {
		parts = append(parts, fmt.Sprintf("%d of them new", opened))
	}
	if closed > 0 {
		parts = append(parts, fmt.Sprintf("%d closed", closed))
	}
	return strings.Join(parts, ", ")
}

// keepFixed keeps what can change with a restart alone, and says so.
func keepFixed(c, before *config.Config) (notes []string) {
	keep := func(key string, changed bool) {
		if changed {
			notes = append(notes, key+" has changed: that takes a restart")
		}
	}
	keep("state_directory", c.StateDirectory != before.StateDirectory)
	keep("store", c.Store != before.Store)
	keep("admin", c.Admin != before.Admin)
	keep("log.format", c.Log.Format != before.Log.Format)
	c.StateDirectory, c.Store, c.Admin, c.Log.Format = before.StateDirectory, before.Store, before.Admin, before.Log.Format
	return notes
}

// sameAccounts returns which accounts get their tokens in the same way as
// before.
func sameAccounts(before, c *config.Config, sameRoots bool) func(mailbox string) bool {
	type way struct {
		app      config.App
		signInAs string
		scopes   []string
	}
	ways := func(c *config.Config) map[string]way {
		all := make(map[string]way, len(c.Accounts))
		for _, a := range c.Accounts {
			all[a.Mailbox] = way{c.Apps[a.App], a.SignInAs, a.Scopes}
		}
		return all
	}
	old, new := ways(before), ways(c)
	sameClient := sameRoots && before.HTTPProxy == c.HTTPProxy
	return func(mailbox string) bool {
		return sameClient && reflect.DeepEqual(old[mailbox], new[mailbox])
	}
}

package main

import (
	"maps"
	"slices"

	"oauthproxy/config"
	"oauthproxy/doctor"
	"oauthproxy/proxy"
)

// explain finds the likely cause of a login that a mail server has refused, as
// check does.
func (s *service) explain(r proxy.LoginRefusal) proxy.Explanation {
	s.mu.Lock()
	x := &examiner{config: s.config}
	s.mu.Unlock()
	i := slices.IndexFunc(x.config.Accounts, func(a config.Account) bool { return a.Mailbox == r.Account })
	if i < 0 {
		return proxy.Explanation{} // removed meanwhile
	}
	replies := maps.Clone(r.Others)
	replies[r.Protocol] = r.Words
	found, facts := doctor.Diagnose(x.account(x.config.Accounts[i]), r.Protocol, doctor.ReadClaims(r.Token), replies)
	found = found.Fill(facts)
	return proxy.Explanation{Cause: found.ID, Means: found.Says, Who: found.Who.String(), Do: found.Advice(), Fix: slices.Concat(found.Fix, found.PowerShell)}
}

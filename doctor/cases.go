package doctor

import (
	"strings"

	"oauthproxy/internal/remedy"
)

// fitting returns what helps this account, where that is something else than
// the remedy in general.
func (k *caseOf) fitting(r remedy.Remedy) remedy.Remedy {
	return r.For(k.cases()...)
}

// cases tell what kind of case it is, the most special one first.
func (k *caseOf) cases() []remedy.Case {
	person := k.account.Person
	if k.isPersons() && person == "" {
		person = k.account.Mailbox
	}
	kind := remedy.CaseOf(k.account.Tenant, person, k.account.Mailbox)
	cases := []remedy.Case{kind}
	switch {
	case kind == remedy.App && len(k.claims.Roles) == 0 && len(k.replies) == 1:
		cases = append(cases, remedy.SMTPOnly)
	case kind != remedy.App && k.leavesOutScope():
		cases = append(cases, remedy.Scopes)
	}
	return cases
}

// leavesOutScope tells whether the configuration has scopes of its own and none
// of them is the protocol's.
func (k *caseOf) leavesOutScope() bool {
	return len(k.account.Scopes) > 0 && !holdsPermission(k.account.Scopes, scopes[k.protocol])
}

// holdsPermission tells whether one of the scopes, which are URLs, ends in the
// permission, or stands for all that were consented to.
func holdsPermission(scopes []string, permission string) bool {
	for _, scope := range scopes {
		name := strings.ToLower(scope[strings.LastIndexByte(scope, '/')+1:])
		if name == strings.ToLower(permission) || name == ".default" {
			return true
		}
	}
	return false
}

package remedy

import "strings"

// Case is a kind of account, or of what is wrong, that something else helps
// than in general.
type Case string

// The cases.
const (
	Personal Case = "personal" // a personal account of Microsoft's, which has no administrator
	App      Case = "app"      // an application acts by itself, or it is about one
	Shared   Case = "shared"   // a person opens a mailbox that isn't their own
	SMTPOnly Case = "smtp"     // an application without any permission, for SMTP alone
	Scopes   Case = "scopes"   // scopes in the configuration don't ask for it
)

// consumers is the ID of the tenant of all personal accounts.
const consumers = "9188040d-6c67-4c5b-b112-36a304b66dad"

// CaseOf tells what kind an account is; "": a person opens their own mailbox.
// Without a person the application acts by itself.
func CaseOf(tenant, person, mailbox string) Case {
	switch {
	case strings.EqualFold(tenant, "consumers"), strings.EqualFold(tenant, consumers):
		return Personal
	case person == "":
		return App
	case !strings.EqualFold(person, mailbox):
		return Shared
	}
	return ""
}

// For returns the remedy that takes the place of r in one of the cases: the
// first that has its own. Else it is r.
func (r Remedy) For(cases ...Case) Remedy {
	for _, c := range cases {
		if own, found := table().variants[variant{r.ID, c}]; found {
			return *own
		}
	}
	return r
}

// variant is what a remedy in a case is found by.
type variant struct {
	id string
	of Case
}

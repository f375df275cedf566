package tokens

import (
	"fmt"
	"strings"
	"time"
)

// State says in a word or two how an account stands.
type State string

// The states of an account.
const (
	// StateReady says that nothing is known to be wrong; where no token was
	// ever fetched, Text says so.
	StateReady         State = "ready"
	StateSignIn        State = "sign-in needed"
	StateAdministrator State = "administrator needed"
	StateSetUp         State = "set-up wrong"
	StateUnreachable   State = "Entra unreachable"
)

// stateOf is the state that a failure of the class leads to.
func stateOf(c Class) State {
	switch c {
	case PersonNeeded:
		return StateSignIn
	case AdministratorNeeded:
		return StateAdministrator
	case SetUpWrong:
		return StateSetUp
	}
	return StateUnreachable
}

// Status is what people want to know of an account. Times are zero where there
// is nothing to tell.
type Status struct {
	Account string
	Flow    Flow
	// SignedInAs is the address of the person who signed in; "" where nobody
	// did, or where no person takes part.
	SignedInAs string
	// TokenExpires is when the access token ends.
	TokenExpires time.Time
	// RefreshedAt is when Entra ID last gave a token.
	RefreshedAt time.Time
	// CredentialExpires is when the certificate ends; of other credentials
	// only Entra ID knows.
	CredentialExpires time.Time
	// Thumbprint is the certificate's SHA-1, in the form of Entra ID's portal.
	Thumbprint string
	// Unsaved tells that the sign-in is in memory alone, because the store
	// couldn't take it. Saving is tried again.
	Unsaved bool
	State   State
	// Text says in plain words what is wrong, Next what to do; each may be "".
	Text, Next string
}

// Accounts returns the status of all accounts, in the order of NewBroker.
func (b *Broker) Accounts() []Status {
	entries := b.all()
	all := make([]Status, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.status())
	}
	return all
}

// Account returns the status of one account, and whether there is such a one.
func (b *Broker) Account(name string) (Status, bool) {
	e := b.entry(name)
	if e == nil {
		return Status{}, false
	}
	return e.status(), true
}

// status tells the account's state. A failure counts even while an old token
// is good: it is better mended before that one ends.
func (e *entry) status() Status {
	s := Status{Account: e.account.Name, Flow: e.account.App.Flow, State: StateReady}
	e.mu.Lock()
	if h := e.held.Load(); h.left(time.Now()) > 0 {
		s.TokenExpires = h.Expires
	}
	s.RefreshedAt = e.refreshedAt
	failure := e.failure
	e.mu.Unlock()
	switch {
	case e.person != nil:
		e.person.tell(&s)
	case s.RefreshedAt.IsZero():
		s.Text, s.Next = "no access token has been fetched yet, the first session does that", "to try it now, "+runLogin(s.Account)
	}
	s.tellCertificate(e.account.App)
	if failure != nil {
		s.tellFailure(failure)
	}
	return s
}

// tellCertificate reads the certificate as the next token request will.
func (s *Status) tellCertificate(app App) {
	if app.Flow != FlowCertificate {
		return
	}
	certificate, failure := readCertificate(app)
	if failure != nil {
		s.tellFailure(failure)
	}
	if !certificate.isZero() {
		s.CredentialExpires, s.Thumbprint = certificate.NotAfter(), certificate.SHA1()
	}
}

func (s *Status) tellFailure(failure *Error) {
	s.State, s.Text = stateOf(failure.Class), failure.Text
	switch s.State {
	case StateSignIn:
		s.Next = runLogin(s.Account)
	case StateUnreachable:
		s.Next = "nothing to do, it is tried again"
	default:
		s.Next = "when that is mended, " + runLogin(s.Account)
	}
	if !s.TokenExpires.IsZero() {
		s.Text += fmt.Sprintf(" (the access token there is ends at %s)", s.TokenExpires.Format(time.DateTime))
	}
}

// runLogin is the next step where only a person can help, or where the
// administrator wants to see at once that a repair has worked.
func runLogin(account string) string { return "run: " + CommandLine("login", account) }

// CommandLine is what to enter in a shell for a command about the account,
// e.g. login.
func CommandLine(command, account string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@.-_+"
	word := account
	if strings.Trim(word, plain) != "" {
		word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	if strings.HasPrefix(account, "-") {
		word = "-- " + word
	}
	return "oauthproxy " + command + " " + word
}

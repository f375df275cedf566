package doctor

import (
	"cmp"
	"errors"
	"fmt"

	"oauthproxy/internal/remedy"
)

// TokenError is why there is no token. Its texts are for people and hold no
// secret.
type TokenError struct {
	AADSTS int // Entra ID's number for it; 0: it gave none
	Class  remedy.Class
	Text   string // what is wrong and what to do
	// TraceID and CorrelationID are what Microsoft's support asks for.
	TraceID, CorrelationID string
}

// Error returns the text.
func (e *TokenError) Error() string { return e.Text }

// asTokenError makes one of an error that is none.
func asTokenError(err error) *TokenError {
	if e, ok := errors.AsType[*TokenError](err); ok {
		return e
	}
	return &TokenError{Text: err.Error()}
}

// isOfDeadHost tells whether there is no token for Entra ID can't be reached, as
// the probes of the network have found already.
func (p *patient) isOfDeadHost(err error) bool {
	if p.unreachable[p.authorityAddress()] == "" {
		return false
	}
	e := asTokenError(err)
	_, _, isNetwork := remedy.ByError(err)
	return isNetwork || e.AADSTS == 0 && e.Class == remedy.Later
}

// isToldOf tells whether there is no token for what the probe of the authority
// has found already: it says the same in other words.
func (p *patient) isToldOf(err error) (entra Finding, isTold bool) {
	entra, isTold = p.refusing[p.tenancy()]
	e := asTokenError(err)
	if r, known := remedy.ByAADSTS(e.AADSTS); known {
		return entra, isTold && r.ID == entra.Cause
	}
	return entra, isTold && e.AADSTS == 0 && (e.Class == remedy.Later || e.Class == remedy.SetUp)
}

// tokenBroken is the finding that an account gets no token.
func (a Account) tokenBroken(err error) Finding {
	e := asTokenError(err)
	seen, facts := "no access token", a.facts()
	r, found := remedy.ByAADSTS(e.AADSTS)
	if e.AADSTS != 0 {
		seen += fmt.Sprintf(": AADSTS%d", e.AADSTS)
	} else if o := explain(err); o.remedy != unexplained {
		seen += ": " + o.seen
		r, facts, found = remedy.Named(o.remedy), with(facts, o.facts), true
	}
	if e.TraceID != "" {
		seen += fmt.Sprintf(" (for support: trace ID %s, correlation ID %s)", clean(e.TraceID), clean(e.CorrelationID))
	}
	if !found {
		// The text tells what is wrong, and what to do.
		r = remedy.Remedy{Says: clean(e.Text), Who: whoFor(e.Class)}
		if e.Class == remedy.Later {
			r.Do = "wait a few minutes and check again; the service tries again by itself"
		}
	}
	if e.Class == remedy.Person && len(r.Fix) == 0 {
		r.Who, r.Do, r.Fix = remedy.You, cmp.Or(r.Do, "sign in again"), []string{"oauthproxy login {mailbox}"}
	}
	return wrong(Broken, seen, r, facts)
}

// whoFor tells who can mend trouble of a class.
func whoFor(class remedy.Class) remedy.Who {
	switch class {
	case remedy.Later:
		return remedy.Microsoft
	case remedy.Administrator:
		return remedy.Entra
	}
	return remedy.You
}

// with returns facts with more of them.
func with(facts, more map[string]string) map[string]string {
	for name, fact := range more {
		facts[name] = fact
	}
	return facts
}

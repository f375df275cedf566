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

// tokenBroken is the finding that an account gets no token.
func (a Account) tokenBroken(err error) Finding {
	e := &TokenError{Text: err.Error()}
	errors.As(err, &e)
	seen := "no access token"
	if e.AADSTS != 0 {
		seen = fmt.Sprintf("Entra ID gives no token: AADSTS%d", e.AADSTS)
	}
	if e.TraceID != "" {
		seen += fmt.Sprintf(" (for support: trace ID %s, correlation ID %s)", clean(e.TraceID), clean(e.CorrelationID))
	}
	facts := a.facts()
	r, found := remedy.ByAADSTS(e.AADSTS)
	if !found {
		var known map[string]string
		if r, known, found = remedy.ByError(err); found {
			facts = with(facts, known)
		}
	}
	if !found {
		// The text tells what is wrong, and what to do.
		r = remedy.Remedy{Says: clean(e.Text), Who: whoFor(e.Class)}
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

package proxy

import (
	"log/slog"
	"maps"
	"strings"
	"sync"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/wire"
)

// A LoginRefusal is a login of ours that a mail server has refused.
type LoginRefusal struct {
	Account, Protocol string
	// Words are the server's, sanitized; Token is what it was shown.
	Words string
	Token wire.Secret
	// Others are the words of the account's other protocols, by protocol: ""
	// for one whose last login succeeded. One of which nothing is known is
	// absent.
	Others map[string]string
}

// Explanation is what is likely behind a refusal.
type Explanation struct {
	Cause string // a name for it, which tells causes apart
	Means string // in plain words
	Who   string // can mend it
	Do    string // the next step
	Fix   []string
}

// explanations tell each likely cause once for an account, until every protocol
// that met it works again: not with each retry.
type explanations struct {
	explain func(LoginRefusal) Explanation // nil: nothing is explained
	log     *slog.Logger

	mu      sync.Mutex
	stories map[string]*story // by account
}

// story is how an account's logins have ended lately.
type story struct {
	words map[string]string          // of each protocol's last answer; "" is a yes
	told  map[string]map[string]bool // by cause: the protocols that have met it
}

// of returns an account's story; e.mu is held.
func (e *explanations) of(account string) *story {
	if e.stories == nil {
		e.stories = make(map[string]*story)
	}
	if e.stories[account] == nil {
		e.stories[account] = &story{make(map[string]string), make(map[string]map[string]bool)}
	}
	return e.stories[account]
}

// accepted is for a login that has succeeded.
func (e *explanations) accepted(key refusalKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.of(key.account)
	s.words[key.protocol] = ""
	for cause, protocols := range s.told {
		delete(protocols, key.protocol)
		if len(protocols) == 0 {
			delete(s.told, cause)
		}
	}
}

// refused looks for the cause of a refusal and logs it, if it is a new one. The
// refusal itself names that cause from here on, rather than what its words alone
// let one think.
func (e *explanations) refused(key refusalKey, token wire.Secret, f *Failure) {
	if e.explain == nil || token.IsEmpty() || f.Cause == nil {
		return
	}
	refusal := LoginRefusal{Account: key.account, Protocol: key.protocol, Words: f.Cause.Error(), Token: token}
	refusal.Others = e.others(key, refusal.Words)
	found := e.explain(refusal)
	if found.Cause == "" {
		return
	}
	f.Remedy = remedy.Remedy{ID: found.Cause, Says: found.Means, Do: found.Do}
	if !e.isNew(key, found.Cause) {
		return
	}
	e.log.Warn("likely cause of the refusal", "account", key.account, "protocol", key.protocol, "remedy_id", found.Cause,
		"means", found.Means, "who", found.Who, "remedy", found.Do, "fix", strings.Join(found.Fix, "; "))
}

// others notes the words and returns those of the other protocols.
func (e *explanations) others(key refusalKey, words string) map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.of(key.account)
	s.words[key.protocol] = words
	others := maps.Clone(s.words)
	delete(others, key.protocol)
	return others
}

// isNew tells whether nobody has been told of the cause yet.
func (e *explanations) isNew(key refusalKey, cause string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.of(key.account)
	isNew := s.told[cause] == nil
	if isNew {
		s.told[cause] = make(map[string]bool)
	}
	s.told[cause][key.protocol] = true
	return isNew
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
)

// personalTenant is that of all personal Microsoft accounts.
const personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// isPersonal tells whether the account may be a personal one, not an
// organization's.
func (a Account) isPersonal() bool {
	switch strings.ToLower(a.Tenant) {
	case "consumers", "common", personalTenant:
		return true
	}
	return false
}

// tries are the logins of the protocols. Each returns what else it has seen.
var tries = map[string]func(*link, Account, Host, wire.Secret) (seen string, err error){
	"imap": tryIMAP, "pop3": tryPOP3, "smtp": trySMTP,
}

// logIn logs in at a host, and out. What it returns is fit to be shown, and
// holds nothing of the token, whatever the server repeats.
func (e *examination) logIn(ctx context.Context, h Host, a Account, token wire.Secret, limit time.Duration) (seen string, err error) {
	l, release, err := e.open(ctx, h, limit)
	if err != nil {
		return "", late(showable(err), limit)
	}
	defer release()
	seen, err = tries[h.Protocol](l, a, h, token)
	if odd, ok := errors.AsType[nonsense](err); ok {
		err = l.odd(odd)
	}
	secrets := secretsOf(h.User, token)
	return clean(redact(seen, secrets...)), late(showable(err, secrets...), limit)
}

// late tells for how long an answer that hasn't come was waited for.
func late(err error, limit time.Duration) error {
	if err == nil || explain(err).remedy != "answer-late" {
		return err
	}
	return &odd{remedy: "answer-late", seen: "no answer within " + inSeconds(limit)}
}

// secretsOf are the forms in which a mail server hears the token.
func secretsOf(user string, token wire.Secret) []wire.Secret {
	blob, _ := sasl.XOAUTH2(user, token) // else it has heard nothing
	return []wire.Secret{token, blob}
}

// refused is the finding about a login that didn't work.
func (p *patient) refused(h Host, err error) Finding {
	var words refusal
	var away dismissal
	switch {
	case errors.As(err, &away):
		return p.dismissed(h, string(away))
	case !errors.As(err, &words):
		return p.unanswered(h, err)
	}
	r, facts := Diagnose(p.Account, h.Protocol, p.claims, p.replies())
	seen := fmt.Sprintf("%s is refused: %s", told[h.Protocol], words)
	if r.ID == "" {
		return unknown(seen, string(words))
	}
	k := &caseOf{account: p.Account, protocol: h.Protocol, claims: p.claims, replies: p.replies()}
	return p.once(h, seen, k.fitting(r), facts)
}

// dismissed is the finding about a mail server that didn't let us come to a
// login.
func (p *patient) dismissed(h Host, words string) Finding {
	seen := fmt.Sprintf("%s ends before a login: %s", told[h.Protocol], words)
	r, found := remedy.ByReply(h.Protocol, words)
	if !found {
		return unknown(seen, words)
	}
	return p.once(h, seen, r, p.facts())
}

// replies are the words of all protocols: "" is a yes. One that gave no answer
// is left out.
func (p *patient) replies() map[string]string {
	replies := make(map[string]string)
	for protocol, login := range p.logins {
		var words refusal
		if err := login.result().err; err == nil || errors.As(err, &words) {
			replies[protocol] = string(words)
		}
	}
	return replies
}

// once is the finding of a remedy; its steps stand in the first one alone.
func (p *patient) once(h Host, seen string, r remedy.Remedy, facts map[string]string) Finding {
	key := r.ID
	if key == "scope-missing" || key == "scope-not-asked" || key == "role-missing" {
		key += facts["permissions"] // each protocol lacks its own
	}
	if first, isTold := p.causes[key]; isTold && key != "" {
		r.Do, r.Fix, r.PowerShell = "the same as for "+first, nil, nil
	} else {
		p.causes[key] = told[h.Protocol]
	}
	return broken(seen, r, facts)
}

// broken is the finding of a remedy for a mail server's reply.
func broken(seen string, r remedy.Remedy, facts map[string]string) Finding {
	if r.Section != remedy.Networks && (r.Class == remedy.Later || r.Usual) {
		seen += " (that passes by itself)"
	}
	return wrong(Broken, seen, r, facts)
}

// unknown is the finding about a refusal of which nothing is known.
func unknown(seen, words string) Finding {
	r := remedy.Remedy{Who: remedy.Exchange, Says: "the mail server's own words tell all that is known"}
	if passes(words) {
		r = remedy.Remedy{Who: remedy.Microsoft, Says: "the mail server is busy or has trouble of its own; that passes by itself", Do: "try again later"}
	}
	return wrong(Broken, seen, r, nil)
}

// unanswered is the finding about a login that got no answer, or none that
// makes sense.
func (p *patient) unanswered(h Host, err error) Finding {
	o := explain(err)
	facts := p.facts()
	facts["host"], facts["address"], facts["protocol"] = h.name(), h.Address, told[h.Protocol]
	r := remedy.Remedy{Who: remedy.Network, Says: "the connection to the mail server fails", Do: "try again; if it lasts, ask the administrator of the network"}
	if o.remedy != unexplained {
		r = remedy.Named(o.remedy)
	}
	seen := o.seen
	if rest, found := strings.CutPrefix(seen, "it "); found {
		seen = "the mail server " + rest
	}
	return p.once(h, fmt.Sprintf("no login over %s: %s", told[h.Protocol], seen), r, with(facts, o.facts))
}

package doctor

import (
	"context"
	"errors"
	"sync"
	"time"

	"oauthproxy/internal/remedy"
)

// maxAccounts is how many accounts are examined at a time.
const maxAccounts = 4

// accounts gets a token for each account and logs in with it: a few accounts at
// a time, told in their order.
func (e *examination) accounts(ctx context.Context) {
	// One is told, one waits in the hand of the goroutine below, and the others
	// wait in the channel.
	visits := make(chan *patient, maxAccounts-2)
	still := *e
	go func() {
		defer close(visits)
		for _, a := range e.Accounts {
			p := still.patient(a)
			go p.examine(ctx)
			visits <- p
		}
	}()
	m := mailing{examination: e}
	known := make(knownApps)
	for p := range visits {
		for event := range p.events {
			known.consider(p, event.found)
			if ctx.Err() == nil {
				event.tell(e)
			}
		}
		m.consider(p)
	}
	if e.Send != "" {
		m.send(ctx)
	}
}

// event is what an Observer is told, kept until it is the account's turn.
type event struct {
	probe, subject string
	found          *Finding // nil: the probe begins
}

// tell tells it.
func (v event) tell(e *examination) {
	if v.found == nil {
		e.observer.Begin(v.probe, v.subject)
		return
	}
	if v.found.Status == Broken {
		e.broken++
	}
	e.observer.Found(*v.found)
}

// events is an Observer that keeps what it is told.
type events chan event

// Begin implements [Observer].
func (q events) Begin(probe, subject string) { q <- event{probe: probe, subject: subject} }

// Found implements [Observer].
func (q events) Found(f Finding) { q <- event{found: &f} }

// patient is one account under examination.
type patient struct {
	*examination // of its own, whose observer is events
	Account
	events events
	token  Token
	claims Claims
	// logins are those that have been begun, by protocol; limit bounds each.
	logins  map[string]*login
	limit   time.Duration
	running sync.WaitGroup
	// causes are the protocols, for people, that have been told a remedy.
	causes map[string]string
}

// login is one, and how it has ended when done is closed.
type login struct {
	done chan struct{}
	seen string // of one that works
	err  error  // a refusal, or why there was no answer
	took time.Duration
}

// result waits for the end.
func (l *login) result() *login {
	<-l.done
	return l
}

// patient makes one of an account. Its events fit into the channel, so that no
// account waits for another's turn.
func (e *examination) patient(a Account) *patient {
	const probes = 2 // the token, and what it says
	q := make(events, 2*(probes+len(a.Hosts)))
	own := *e
	own.observer = q
	return &patient{
		examination: &own,
		Account:     a,
		events:      q,
		logins:      make(map[string]*login),
		limit:       loginTimeout,
		causes:      make(map[string]string),
	}
}

// examine makes all probes of the account.
func (p *patient) examine(ctx context.Context) {
	defer close(p.events)
	if ctx.Err() != nil {
		return
	}
	p.getToken(ctx)
	p.begin(ctx)
	defer p.running.Wait()
	for _, h := range p.Hosts {
		if ctx.Err() != nil {
			return
		}
		p.login(ctx, h)
	}
	if !p.claims.IsKnown && p.isPersonal() && p.isRefused() {
		p.tellOpaque()
	}
}

// isRefused tells whether a mail server has refused the token.
func (p *patient) isRefused() bool {
	for _, login := range p.logins {
		if errors.As(login.result().err, new(refusal)) {
			return true
		}
	}
	return false
}

// getToken gets the token and looks into it.
func (p *patient) getToken(ctx context.Context) {
	found := p.probe("token", p.Mailbox, p.Mailbox)
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	token, err := p.Token(limited, p.Mailbox)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && p.isOfDeadHost(err):
		found(p.untried(p.authorityAddress()))
		return
	case err != nil:
		if entra, isTold := p.isToldOf(err); isTold {
			found(Finding{Status: Skipped, Seen: "none, for the probe entra of " + entra.Subject + " has failed"})
			return
		}
		found(p.tokenBroken(err))
		return
	case token.Value.IsEmpty():
		found(p.tokenBroken(&TokenError{Text: "the token is empty"}))
		return
	}
	p.token, p.claims = token, ReadClaims(token.Value)
	seen := "Entra ID gives one"
	if !token.Expires.IsZero() {
		seen += ", until " + timeOfDay(token.Expires)
	}
	found(well(seen))
	p.tellClaims()
}

// tellClaims says what the token is for. A personal account's can't be looked
// into, which is as it should be: that is worth a word only when it is refused.
func (p *patient) tellClaims() {
	switch {
	case p.claims.IsKnown:
		p.probe("claims", p.Mailbox, p.Mailbox)(well(p.claims.String()))
	case !p.isPersonal():
		p.tellOpaque()
	}
}

func (p *patient) tellOpaque() {
	found := p.probe("claims", p.Mailbox, p.Mailbox)
	found(wrong(Note, "the token is no JWT", remedy.Named("token-opaque"), p.facts()))
}

// begin logs in at all hosts that can be reached, side by side: Exchange takes
// its time for a no.
func (p *patient) begin(ctx context.Context) {
	if p.token.Value.IsEmpty() {
		return
	}
	for _, h := range p.Hosts {
		if p.logins[h.Protocol] != nil || p.unreachable[h.Address] != "" {
			continue
		}
		l := &login{done: make(chan struct{})}
		p.logins[h.Protocol] = l
		p.running.Go(func() {
			defer close(l.done)
			begun := time.Now()
			l.seen, l.err = p.logIn(ctx, h, p.Account, p.token.Value, p.limit)
			l.took = time.Since(begun)
		})
	}
}

// login tells how the login at a host has ended.
func (p *patient) login(ctx context.Context, h Host) {
	found := p.probe(h.Protocol, h.Address, p.Mailbox)
	begun, tried := p.logins[h.Protocol]
	switch {
	case p.token.Value.IsEmpty():
		found(Finding{Status: Skipped, Seen: "not tried without a token"})
		return
	case !tried:
		found(p.untried(h.Address))
		return
	}
	result := begun.result()
	f := well("logged in as " + h.User + ", " + result.seen)
	switch {
	case result.err != nil:
		f = p.refused(h, result.err)
	case p.isUnproven(h):
		f = wrong(Note, "logged in as "+h.User, remedy.Named("smtp-unproven"), p.facts())
	}
	f.Took = result.took
	if ctx.Err() == nil {
		found(f)
	}
}

// isUnproven tells whether a login that works says nothing of the right to the
// mailbox: over SMTP Exchange looks for an application's right only when it
// gets a message. Another protocol's login shows it.
func (p *patient) isUnproven(h Host) bool {
	isPersons := p.Person != "" || p.claims.IsDelegated()
	return h.Protocol == "smtp" && !isPersons && !p.works("imap") && !p.works("pop3")
}

// untried is the finding about what isn't tried, for a probe of the network has
// failed: what is wrong there is told once, not for each account.
func (e *examination) untried(address string) Finding {
	return Finding{Status: Skipped, Seen: "not tried, for the probe " + e.unreachable[address] + " has failed"}
}

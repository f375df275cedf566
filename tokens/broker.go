package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"oauthproxy/internal/wire"
)

// Options are the broker's surroundings; each has a default.
type Options struct {
	// HTTPClient talks to Entra ID; nil: NewHTTPClient(nil).
	HTTPClient *http.Client
	// Log gets a line for each token obtained and each failure; nil: none.
	Log *slog.Logger
	// Store keeps what people have signed in for; nil: memory alone does, and
	// after a restart everybody has to sign in again.
	Store Blobs
}

// Broker holds the access tokens of all accounts. It may be used by many
// sessions at once.
type Broker struct {
	entries map[string]*entry // by account name; never changes
	order   []*entry          // as they were given
	client  *http.Client
	stop    context.CancelFunc
	flights sync.WaitGroup
}

// NewBroker returns a broker for the accounts. It takes up the sign-ins in the
// store, and asks for no token yet. The error names every account that could
// never get one. Close must be called in the end.
func NewBroker(accounts []Account, o Options) (*Broker, error) {
	if o.HTTPClient == nil {
		o.HTTPClient = NewHTTPClient(nil)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Broker{entries: map[string]*entry{}, client: guarded(o.HTTPClient), stop: stop}
	var problems []error
	for _, account := range accounts {
		err := account.App.check()
		if b.entries[account.Name] != nil {
			err = errors.New("the account exists twice")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("account %s: %w", account.Name, err))
			continue
		}
		account.App.Scopes = withoutAlwaysAsked(account.App.Scopes)
		e := &entry{account: account, log: o.Log, ctx: ctx, flights: &b.flights}
		e.source, e.person = newSource(account, b.client, o)
		b.entries[account.Name] = e
		b.order = append(b.order, e)
	}
	if len(problems) > 0 {
		stop()
		return nil, errors.Join(problems...)
	}
	b.takeUpSignIns(ctx)
	return b, nil
}

// Token returns an access token for the account that is good now. It asks
// Entra ID only when there is none, and then once, however many sessions wait;
// each may leave when its ctx ends. After a failure it answers at once with
// that failure until the time for another try has come. The error is always
// an *Error.
func (b *Broker) Token(ctx context.Context, account string) (Token, error) {
	e := b.entries[account]
	if e == nil {
		return Token{}, unknownAccount(account)
	}
	return e.token(ctx)
}

// Refused says that the upstream refused the token without telling why. It
// waits until another one has replaced it, and returns nil if one more try with
// that may help; else an *Error. A refusal makes the broker ask Entra ID at
// most once in five minutes per account. Until there is another token the
// refused one is given out: other upstreams may take it.
func (b *Broker) Refused(ctx context.Context, account string, token wire.Secret) error {
	e := b.entries[account]
	if e == nil {
		return unknownAccount(account)
	}
	if failure := e.refused(ctx, token); failure != nil {
		return failure
	}
	return nil
}

// Close ends all requests, renewals and sign-ins and waits for them. Sessions
// that still wait get an error. It tries a last time to save what couldn't be
// saved, and closes idle connections of the HTTP client. The store is left open.
func (b *Broker) Close() {
	for _, e := range b.entries {
		e.close()
	}
	b.stop()
	b.flights.Wait()
	for _, e := range b.order {
		e.saveAgain()
	}
	b.client.CloseIdleConnections()
}

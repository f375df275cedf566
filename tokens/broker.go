package tokens

import (
	"context"
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
	ctx     context.Context // requests, renewals and sign-ins belong to it
	stop    context.CancelFunc
	flights sync.WaitGroup

	mu      sync.RWMutex      // over what Update replaces
	entries map[string]*entry // by account name
	order   []*entry          // as they were given
	client  *http.Client
	tending bool // somebody looks after sign-ins
}

// NewBroker returns a broker for the accounts. It takes up the sign-ins in the
// store, and asks for no token yet. The error names every account that could
// never get one. Close must be called in the end.
func NewBroker(accounts []Account, o Options) (*Broker, error) {
	ctx, stop := context.WithCancel(context.Background())
	b := &Broker{ctx: ctx, stop: stop}
	if err := b.Update(accounts, o, func(string) bool { return false }); err != nil {
		stop()
		return nil, err
	}
	return b, nil
}

// complete fills in the defaults.
func (o Options) complete() Options {
	if o.HTTPClient == nil {
		o.HTTPClient = NewHTTPClient(nil)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// entry returns the account's entry, or nil.
func (b *Broker) entry(account string) *entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.entries[account]
}

// all returns all entries, as they were given.
func (b *Broker) all() []*entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.order
}

// Token returns an access token for the account that is good now. It asks
// Entra ID only when there is none, and then once, however many sessions wait;
// each may leave when its ctx ends. After a failure it answers at once with
// that failure until the time for another try has come. The error is always
// an *Error.
func (b *Broker) Token(ctx context.Context, account string) (Token, error) {
	e := b.entry(account)
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
	e := b.entry(account)
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
	all := b.all()
	for _, e := range all {
		e.close()
	}
	b.stop()
	b.flights.Wait()
	for _, e := range all {
		e.saveAgain()
	}
	b.client.CloseIdleConnections()
}

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// openTimeout bounds everything between the check of the client's
	// password and our answer: mail programs wait about a minute at the
	// most, devices half of it.
	openTimeout = 25 * time.Second
	dialTimeout = 10 * time.Second
	// replaceWait is how long a session that has ended with its token waits
	// for the next one.
	replaceWait = 3 * time.Second
)

// Upstreams opens authenticated upstream connections.
type Upstreams struct {
	tokens Tokens
	// tls is the client's side of TLS; the server's name is added.
	tls  atomic.Pointer[tls.Config]
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	refusals     refusals
	explanations explanations
	// accepted hears of each login that has succeeded; nil: nobody does.
	accepted func(account, protocol string)
}

// NewUpstreams returns a ready Upstreams. config holds the roots to trust.
func NewUpstreams(tokens Tokens, config *tls.Config) *Upstreams {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	u := &Upstreams{tokens: tokens, dial: dialer.DialContext}
	u.trust(config)
	return u
}

// trust sets the roots for new connections.
func (u *Upstreams) trust(config *tls.Config) {
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	// Resumption saves most of a handshake's work on both sides. What other
	// roots have let in isn't resumed.
	config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	u.tls.Store(config)
}

// open returns an authenticated connection to an account's mailbox. Where
// Exchange refuses the token without naming a cause, one more try is made with
// a fresh one, on a new connection: here and nowhere else.
func (u *Upstreams) open(ctx context.Context, s *Session, p Upstream) (*wire.Conn, Token, error) {
	key := refusalKey{s.Account, s.Protocol()}
	if f := u.refusals.again(key); f != nil {
		return nil, Token{}, f
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	conn, token, err := u.attempt(ctx, s, p)
	if refusal := AsFailure(err); err != nil && refusal.Generic {
		switch noFresh := u.tokens.Refused(ctx, s.Account, token.Value); {
		case noFresh == nil:
			s.Log.Info("Exchange refused the access token, trying once with a fresh one", "account", s.Account, "cause", refusal.Cause)
			conn, token, err = u.attempt(ctx, s, p)
		case AsFailure(noFresh).Kind == SignInRequired:
			refusal.Text = AsFailure(noFresh).Text // both are likely to have one cause
		}
	}
	if err != nil {
		if f := AsFailure(err); f.Kind == UpstreamRefused {
			u.explanations.refused(key, token.Value, f)
		}
		return nil, Token{}, u.refused(ctx, s, AsFailure(err))
	}
	u.refusals.forget(key)
	u.explanations.accepted(key)
	if u.accepted != nil {
		u.accepted(key.account, key.protocol)
	}
	s.token = token.Value
	return conn, token, nil
}

// refused notes why an account can't be let in. That there is no token, or
// that we stop, is no word of the mail server's.
func (u *Upstreams) refused(ctx context.Context, s *Session, f *Failure) *Failure {
	key := refusalKey{s.Account, s.Protocol()}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return f
	case f.Kind == UpstreamRefused, f.Kind == UpstreamUnreachable, f.Kind == UpstreamProtocol:
		s.tally.refused(RefusedLogin, f.Remedy.ID)
	}
	switch {
	case f.Kind == UpstreamRefused, isTimeout(ctx, f):
		return u.refusals.note(key, f, refusalMemory)
	case f.Kind == UpstreamUnreachable, f.Kind == UpstreamProtocol:
		return u.refusals.note(key, f, 0)
	}
	return f
}

// sessionEnded notes why the upstream has ended a session. Where it was for the
// token's sake the client hears the end when there is another one, if that
// doesn't take long: it comes back at once. A pause is for those who are refused
// at the login: what was said in a session shuts nobody out.
func (u *Upstreams) sessionEnded(s *Session, f *Failure) {
	f.RetryAfter = 0
	s.tally.refused(RefusedSession, f.Remedy.ID)
	if f.Generic {
		ctx, cancel := context.WithTimeout(context.Background(), replaceWait)
		_ = u.tokens.Refused(ctx, s.Account, s.token)
		cancel()
	}
	u.refusals.note(refusalKey{s.Account, s.Protocol()}, f, 0)
}

var errNoToken = errors.New("no access token")

// attempt connects and logs in once. Token and connection don't need each
// other, so they are obtained side by side.
func (u *Upstreams) attempt(ctx context.Context, s *Session, p Upstream) (*wire.Conn, Token, error) {
	s.setPhase("connecting to the upstream and obtaining an access token")
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type answer struct {
		token Token
		took  time.Duration
		err   error
	}
	begun := time.Now()
	answers := make(chan answer, 1)
	go func() {
		token, err := u.tokens.AccessToken(ctx, s.Account)
		if err != nil {
			cancel(errNoToken) // and so no need for a connection
		} else {
			s.tally.phases[PhaseToken].add(time.Since(begun))
		}
		answers <- answer{token, time.Since(begun), err}
	}()
	conn, err := u.connect(ctx, s, p)
	connected := time.Since(begun)
	if err != nil {
		cancel(nil) // and so no need to wait for the token
	} else {
		s.tally.phases[PhaseConnect].add(time.Since(begun))
	}
	got := <-answers
	if err != nil && !errors.Is(context.Cause(ctx), errNoToken) {
		return nil, Token{}, err
	}
	if got.err != nil {
		if conn != nil {
			conn.Abort()
		}
		return nil, Token{}, got.err
	}
	s.setPhase("logging in to the upstream")
	begun = time.Now()
	release := u.bind(ctx, conn)
	conn.Hide(got.token.Value)
	err = p.LogIn(conn, s.route.User, got.token.Value)
	release()
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Abort()
		return nil, got.token, u.failure(ctx, err)
	}
	s.tally.phases[PhaseLogIn].add(time.Since(begun))
	s.took.opened(got.token, got.took, connected, time.Since(begun))
	conn.Unhide()
	conn.SetLimit(time.Time{})
	return conn, got.token, nil
}

// connect dials and comes to TLS, verified, before anything else is said.
func (u *Upstreams) connect(ctx context.Context, s *Session, p Upstream) (*wire.Conn, error) {
	tcp, err := u.dial(ctx, "tcp", s.route.Address)
	if err != nil {
		return nil, (&Failure{Kind: UpstreamUnreachable, Cause: err}).explain()
	}
	conn := wire.New(tcp)
	conn.ReadTimeout, conn.WriteTimeout = openTimeout, openTimeout
	conn.Trace = s.tracer("upstream")
	release := u.bind(ctx, conn)
	defer release()
	err = u.prepare(conn, s.route, p)
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Abort()
		return nil, u.failure(ctx, err)
	}
	return conn, nil
}

func (u *Upstreams) prepare(conn *wire.Conn, route Route, p Upstream) error {
	startTLS := func() error {
		host, _, err := net.SplitHostPort(route.Address)
		if err != nil {
			return Fail(Internal, "upstream address: %w", err)
		}
		config := u.tls.Load().Clone()
		config.ServerName = host
		if err := conn.ConnectTLS(config, dialTimeout); err != nil {
			return tlsFailure(host, err)
		}
		return nil
	}
	if route.TLS == TLSImplicit {
		if err := startTLS(); err != nil {
			return err
		}
		startTLS = nil
	}
	return p.Prepare(conn, startTLS)
}

// bind ties the connection's life to ctx until release is called.
func (u *Upstreams) bind(ctx context.Context, conn *wire.Conn) (release func()) {
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetLimit(deadline)
	}
	stop := context.AfterFunc(ctx, conn.Abort)
	return func() { stop() }
}

// failure gives an error of an upstream conversation its kind. Silence, an end
// and a cut line are all the upstream's absence.
func (u *Upstreams) failure(ctx context.Context, err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	if isTimeout(ctx, err) {
		return Fail(UpstreamUnreachable, "no answer within %v: %w", openTimeout, err).explain()
	}
	if errors.Is(err, wire.ErrTooLong) || errors.Is(err, wire.ErrFlood) {
		return &Failure{Kind: UpstreamProtocol, Cause: err}
	}
	return Fail(UpstreamUnreachable, "the upstream connection ended before the login did: %w", err).explain()
}

// isTimeout tells whether err comes of a wait that was too long. The deadlines
// of ctx and of its connection are the same; either may be the first.
func isTimeout(ctx context.Context, err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(ctx.Err(), context.DeadlineExceeded)
}

func tlsFailure(host string, err error) *Failure {
	f := Fail(UpstreamUnreachable, "TLS with %s failed: %w", host, err)
	if errors.Is(err, wire.ErrInjected) {
		f.Kind = UpstreamProtocol
	}
	return f.explain()
}

// keepAlive notices a peer that has vanished without a word, behind a NAT that
// forgot it or on a laptop that sleeps.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 75 * time.Second, Interval: 15 * time.Second, Count: 5}

// Sanitize makes upstream text fit for a log line: printable and cut.
func Sanitize(text []byte) string {
	const most = 200
	out := make([]rune, 0, min(len(text), most))
	for _, r := range string(text[:min(len(text), 4*most)]) {
		if len(out) == most {
			return string(out) + "…"
		}
		if r < ' ' || r == 0x7f || r == 0xfffd {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

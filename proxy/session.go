package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/internal/wire"
)

const (
	maxTries = 3 // failed logins on one connection

	// Before its login a client may take its time, as a person who types
	// into telnet does, but not for ever.
	commandTimeout = 2 * time.Minute
	loginTimeout   = 5 * time.Minute
	// verifyTimeout bounds the wait for the check of a local password where
	// many come at once. With openTimeout it makes the time that a client
	// waits for the answer to its credentials.
	verifyTimeout = 5 * time.Second
	replyTimeout  = 20 * time.Second
	// MaxCommands bounds what a client may say before it logs in, or between
	// two tries: a program that only asks is of no use to anybody.
	MaxCommands = 100
)

// Session is a client's connection and all that belongs to it, from accept to
// close.
type Session struct {
	// ID stands in every log line and in every refusal.
	ID     string
	Client *wire.Conn
	Log    *slog.Logger
	// Listener is the port that the client came in by.
	Listener *Listener
	// HostName is how we introduce ourselves, to both sides.
	HostName string
	// Account is the mailbox, once the client is verified; Device tells that
	// the login is marked as one.
	Account string
	Device  bool

	// Sending are the rules for what the login sends; nil: none.
	Sending *Sending

	server   *Server
	address  netip.Addr
	route    Route
	token    wire.Secret // that the upstream was logged in to with
	started  time.Time
	took     timings
	admitted bool
	came     uint64 // its number among those that arrive
	tally    *tally
	relayed  atomic.Bool
	up, down atomic.Int64 // bytes relayed

	// mu lets others look at these, and at Account; the session's own
	// goroutine alone writes them, and needs it for that alone.
	mu       sync.Mutex
	login    string
	phase    string
	tls      string // its version; empty: none
	loggedIn bool
}

// Sending are the rules for what a login sends.
type Sending = accounts.Sending

func (s *Server) newSession(conn net.Conn, l *Listener) *Session {
	session := &Session{
		ID:       newID(),
		Client:   wire.New(conn),
		Listener: l,
		HostName: s.hostName,
		server:   s,
		tally:    s.tallies.of(l.Protocol.Name()),
		address:  addressOf(conn.RemoteAddr()),
		started:  time.Now(),
	}
	session.Log = s.log.With("session", session.ID, "protocol", l.Protocol.Name(), "client", session.address)
	session.Client.ReadTimeout, session.Client.WriteTimeout = commandTimeout, replyTimeout
	session.Client.SetLimit(session.started.Add(loginTimeout))
	session.Client.Trace = session.tracer("client")
	return session
}

// run is a session from its greeting to its end.
func (s *Session) run(ctx context.Context) error {
	if err := s.arrive(); err != nil {
		return err
	}
	d := s.Listener.Protocol.NewDialogue(s)
	d.Greet()
	if err := s.meet(); err != nil {
		return s.leave(d, err)
	}
	for tries := 1; ; tries++ {
		s.setPhase("reading the client's commands")
		credentials, err := d.ReadCredentials()
		if err == nil {
			err = s.Client.Flush() // earlier replies don't wait for the login
		}
		if err != nil {
			return s.leave(d, err)
		}
		failure := s.logIn(ctx, d, credentials, tries)
		if failure == nil {
			break
		}
		s.refused(failure, credentials.User)
		s.tally.logins[failure.Kind].Add(1)
		d.Refuse(failure)
		if failure.Ends() {
			return nil
		}
	}
	s.setPhase("telling the client that it is logged in")
	s.Client.SetLimit(time.Time{})
	d.Accept()
	s.Log.Info("logged in", s.loginAttributes()...)
	s.setPhase("relaying")
	return d.Relay(ctx)
}

// leave ends a session that has not logged in: a client that is told to go,
// because we stop or a newer one needs its place, hears why.
func (s *Session) leave(d Dialogue, err error) error {
	var failure *Failure
	switch {
	case errors.Is(err, wire.ErrFlood):
		failure = &Failure{Kind: TooManyAttempts, Text: "a line without end"}
	case !errors.Is(err, wire.ErrInterrupted):
		return err
	case s.server.stopping():
		failure = &Failure{Kind: ShuttingDown}
	default:
		failure = &Failure{Kind: Busy}
	}
	s.Client.Farewell(time.Second)
	d.Refuse(failure)
	return nil
}

// logIn verifies the client and opens what its protocol needs of the upstream.
func (s *Session) logIn(ctx context.Context, d Dialogue, c Credentials, tries int) *Failure {
	if tries > maxTries {
		return &Failure{Kind: TooManyAttempts}
	}
	s.server.census.hasShown(s)
	if failure := s.verify(ctx, c); failure != nil {
		return failure
	}
	if failure := s.server.admit(s); failure != nil {
		return failure
	}
	open := func(ctx context.Context) (*wire.Conn, time.Time, error) {
		ctx, cancel := s.UntilStop(ctx)
		defer cancel()
		conn, token, err := s.server.upstreams.open(ctx, s, d)
		if err != nil && s.server.stopping() {
			err = &Failure{Kind: ShuttingDown, Cause: err}
		}
		return conn, token.Expires, err
	}
	s.setPhase("opening the mailbox")
	if err := d.Connect(ctx, open); err != nil {
		s.server.dismiss(s)
		return AsFailure(err)
	}
	s.mu.Lock()
	s.loggedIn = true
	s.mu.Unlock()
	s.tally.loggedIn.Add(1)
	s.tally.logins[0].Add(1)
	return nil
}

// verify holds promise number one: nothing leaves the machine before the local
// password is verified, or the address of a device that has none.
func (s *Session) verify(ctx context.Context, c Credentials) *Failure {
	begun := time.Now()
	defer func() { s.took.verify = time.Since(begun) }()
	grant, settings, err := s.grant(ctx, c)
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure
	}
	switch {
	case errors.Is(err, accounts.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return &Failure{Kind: Busy, Text: "too many logins at once, try again in a moment", Cause: err}
	case errors.Is(err, accounts.ErrRefused):
		return &Failure{Kind: BadCredentials, Cause: err}
	case err != nil:
		return &Failure{Kind: Internal, Cause: err}
	}
	s.tally.phases[PhaseVerify].add(time.Since(begun))
	route, ok := settings.Routes[grant.Account][s.Protocol()]
	if !ok {
		return Fail(Internal, "no %s upstream for %s", s.Protocol(), grant.Account)
	}
	s.Device, s.Sending, s.route = grant.Device, grant.Sending, route
	s.mu.Lock()
	s.Account, s.login = grant.Account, grant.Login
	s.mu.Unlock()
	return nil
}

// grant verifies the client, and returns the settings that it was verified by.
func (s *Session) grant(ctx context.Context, c Credentials) (grant accounts.Grant, settings *Settings, err error) {
	s.setPhase("verifying the local password")
	if c.ByAddress {
		settings = s.server.settings.Load()
		grant, ok := settings.Accounts.VerifyAddress(s.Protocol(), s.address)
		if !ok {
			err = accounts.ErrRefused
		}
		return grant, settings, err
	}
	turn, failure := s.turn(c.User)
	if failure != nil {
		return accounts.Grant{}, nil, failure
	}
	err = errors.New("not verified") // which a panic leaves
	defer func() { turn.end(err) }()
	s.setPhase("verifying the local password")
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	settings = s.server.settings.Load()
	grant, err = settings.Accounts.Verify(ctx, accounts.Attempt{
		Protocol: s.Protocol(),
		User:     c.User,
		Password: c.Password,
		Address:  s.address,
	})
	return grant, settings, err
}

// KnowsAddress tells whether the client's address is all that one of the
// logins asks for.
func (s *Session) KnowsAddress() bool {
	_, ok := s.server.settings.Load().Accounts.VerifyAddress(s.Protocol(), s.address)
	return ok
}

// Login returns the name of the login, once the client is verified.
func (s *Session) Login() string { return s.login }

// Address returns the client's address.
func (s *Session) Address() netip.Addr { return s.address }

// Protocol returns the protocol's name.
func (s *Session) Protocol() string { return s.Listener.Protocol.Name() }

// setPhase notes what the session is doing: it stands in every line about an
// error.
func (s *Session) setPhase(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phase
}

// refused writes the line about a refused login.
func (s *Session) refused(f *Failure, user string) {
	login, level := Sanitize([]byte(user)), s.RefusalLevel(f)
	if !s.isMailboxes(f) && !s.server.recurring.isNew(s, login, f) {
		level = slog.LevelDebug
	}
	attrs := []any{"login", login, "account", s.Account, "phase", s.phase, "reason", f.Kind.String(), "cause", f.Cause}
	s.Log.Log(context.Background(), level, "refused", append(attrs, f.Attributes(s.Account)...)...)
}

// closed writes the session's last line.
func (s *Session) closed(err error) {
	up, down := s.bytes()
	attrs := []any{
		"login", s.login, "account", s.Account,
		"duration_ms", time.Since(s.started).Milliseconds(),
		"bytes_up", up, "bytes_down", down,
	}
	failure, ok := errors.AsType[*Failure](err)
	if !ok {
		failure = &Failure{}
	}
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, wire.ErrInterrupted):
	case s.loggedIn && failure.Usual:
		attrs = append(append(attrs, "cause", err), failure.Attributes(s.Account)...)
	case s.loggedIn:
		attrs = append(attrs, "phase", s.phase, "cause", err)
		s.Log.Warn("session ended early", append(attrs, failure.Attributes(s.Account)...)...)
		return
	default:
		attrs = append(attrs, "phase", s.phase, "cause", err)
	}
	level := slog.LevelDebug // scanners of ports and health checks come and go
	if s.loggedIn {
		level = slog.LevelInfo
	}
	s.Log.Log(context.Background(), level, "session closed", attrs...)
}

// tracer returns what writes the dialogue with one side to the log, or nil
// when nobody listens.
func (s *Session) tracer(side string) func(direction, line string) {
	if s.Log == nil || !s.Log.Enabled(context.Background(), slog.LevelDebug) {
		return nil
	}
	return func(direction, line string) {
		s.Log.Debug("dialogue", "side", side, "direction", direction, "line", Sanitize([]byte(line)))
	}
}

// newID returns a short random name without look-alikes: a person may have to
// read it from a printer's display.
func newID() string {
	const letters = "23456789ABCDEFGHJKMNPQRSTUVWXYZ" // 31
	random := make([]byte, 6)
	rand.Read(random)
	for i, b := range random {
		random[i] = letters[int(b)%len(letters)]
	}
	return string(random)
}

func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

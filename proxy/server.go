package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"oauthproxy/accounts"
)

// Limits bound what the server carries at once. Zero means no limit.
type Limits struct {
	Sessions           int // logged in
	SessionsPerAddress int // logged in, of one client address
	SessionsPerLogin   int // logged in, of one login
}

// Options are what a Server is made of.
type Options struct {
	Settings
	Tokens Tokens
	// HostName is how we introduce ourselves: a plain host name.
	HostName string
	// Explain finds the likely cause of a refused login; nil: nobody does. It
	// must not wait for anything: a client does.
	Explain func(LoginRefusal) Explanation
	Log     *slog.Logger
}

// Settings are what may change while the server runs. A session keeps what it
// has logged in with.
type Settings struct {
	Accounts *accounts.Directory
	// Routes maps an account's name and a protocol's to the upstream.
	Routes map[string]map[string]Route
	// UpstreamTLS holds the roots to trust.
	UpstreamTLS *tls.Config
	Limits      Limits
}

// Server serves any number of listeners.
type Server struct {
	settings  atomic.Pointer[Settings]
	upstreams *Upstreams
	hostName  string
	log       *slog.Logger

	ctx     context.Context // ends when sessions have to
	cancel  context.CancelFunc
	opening context.Context // ends when no session may begin any more
	stop    context.CancelFunc
	census  census
	legacy  *notebook[netip.Addr, LegacyClient]
	advised *notebook[advisedKey, advised]
	repeats repeats
	commons commons
	tallies tallies

	guard     guard
	recurring recurring
}

// NewServer returns a Server that listens nowhere yet.
func NewServer(o Options) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	opening, stop := context.WithCancel(ctx)
	upstreams := NewUpstreams(o.Tokens, o.UpstreamTLS)
	upstreams.explanations.explain, upstreams.explanations.log = o.Explain, o.Log
	s := &Server{
		upstreams: upstreams,
		hostName:  o.HostName,
		log:       o.Log,
		ctx:       ctx,
		cancel:    cancel,
		opening:   opening,
		stop:      stop,
		census:    newCensus(o.Limits),
		legacy:    newNotebook[netip.Addr, LegacyClient](maxLegacyClients),
		advised:   newNotebook[advisedKey, advised](maxAdvised),
		guard:     newGuard(),
		recurring: newRecurring(o.Log),
	}
	s.repeats.log = o.Log
	upstreams.accepted = s.repeats.ended
	s.settings.Store(&o.Settings)
	upstreams.dial = s.makingRoom(upstreams.dial)
	return s
}

// Update changes the settings. Sessions go on; what has changed holds from
// their next login on.
func (s *Server) Update(settings Settings) {
	s.upstreams.trust(settings.UpstreamTLS)
	s.census.setLimits(settings.Limits)
	s.settings.Store(&settings)
}

// Serve accepts connections until ln is closed, which Shutdown's caller does
// first. It returns nil then.
func (s *Server) Serve(ln net.Listener, p *Port) error {
	about := p.About()
	s.tallies.of(about.Protocol.Name()) // from now on there are figures, if all zero
	s.log.Info("listening", "protocol", about.Protocol.Name(), "address", ln.Addr().String(), "tls_mode", string(about.TLS))
	var pause time.Duration
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// Out of descriptors, mostly: a moment later there may be
			// one, and a loop without a pause would take a whole core.
			s.makeRoom(err)
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Error("accepting a connection failed", "address", ln.Addr().String(), "cause", err, "pause_ms", pause.Milliseconds())
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
				return nil
			}
			continue
		}
		pause = 0
		s.accept(conn, p.About())
	}
}

func (s *Server) accept(conn net.Conn, l *Listener) {
	session := s.newSession(conn, l)
	if !allowed(l.Networks, session.address) {
		session.advise(advice{"its address is in none of the listener's networks", "nothing, if it has no business here; else add it to the listener's networks"})
		_ = conn.Close()
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive)
	}
	oldest, ok := s.census.arrive(session)
	if !ok {
		_ = conn.Close()
		return
	}
	makeWay(oldest)
	go s.serve(session)
}

// serve runs a session and ends it, whatever happens in it.
func (s *Server) serve(session *Session) {
	defer s.census.running.Done()
	session.begins()
	err := session.guarded(s.ctx)
	session.ends()
	s.census.leave(session) // first: a client that hears the end may come back at once
	_ = session.Client.Close()
	session.closed(err)
}

// guarded runs the session; a panic in it ends this session alone. What was
// being parsed doesn't reach the log: it may be a password.
func (s *Session) guarded(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("internal error, please report it", "phase", s.phase, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = Fail(Internal, "panic")
		}
	}()
	stop := context.AfterFunc(ctx, s.Client.Abort)
	defer stop()
	return s.run(ctx)
}

func allowed(networks []netip.Prefix, address netip.Addr) bool {
	return len(networks) == 0 || slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(address) })
}

// Shutdown ends all sessions: those before their login, or between two
// messages, hear why; the others may go on until ctx ends, and then their
// connections close. The listeners have to be closed before.
func (s *Server) Shutdown(ctx context.Context) {
	s.stop() // first: nobody whose turn it is when another goes may begin
	s.census.stop()
	done := make(chan struct{})
	go func() {
		s.census.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	s.cancel()
	<-done
	s.commons.close()
	s.recurring.stop()
	s.repeats.close()
}

// Refusals returns what has last gone wrong between an account and its mail
// servers, by protocol, as far as no login has succeeded since.
func (s *Server) Refusals(account string) []Refusal { return s.upstreams.refusals.of(account) }

func (s *Server) stopping() bool { return s.opening.Err() != nil }

func (s *Server) admit(session *Session) *Failure {
	if !s.census.logIn(session) {
		return &Failure{Kind: Busy, Cause: errors.New("limits.sessions, sessions_per_address or sessions_per_login is reached")}
	}
	return nil
}

func (s *Server) dismiss(session *Session) { s.census.logOut(session) }

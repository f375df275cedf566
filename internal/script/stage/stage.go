// Package stage sets up the real proxy for tests: a server with one listener
// on loopback, a few logins, tokens without Entra ID, and an upstream that the
// test plays itself or lets a function play.
package stage

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/proxy"
)

// Options say how a stage differs from the usual one, as the first lines of a
// story do:
//
//	listener: none (default), starttls, implicit or auto
//	require tls: yes
//	upstream: implicit (default) or starttls, or what is wrong with it:
//	    untrusted (its certificate), absent (it doesn't listen), deaf (it
//	    takes connections and says nothing), unknown (the account has none)
//	token: what is wrong with it: sign-in required, or unavailable
//	fresh token: none (the one refused is all there is)
//	login by address: yes
//	sessions, sessions per address, sessions per login: their limits
//	log: debug (default) or error
type Options map[string]string

// Patience is how long a test waits for what should happen at once.
const Patience = 30 * time.Second

// HostName is how the proxy introduces itself.
const HostName = "proxy.example"

// Stage is a running proxy and what stands around it.
type Stage struct {
	Server *proxy.Server
	// Listener is the proxy's, About what the proxy knows of it.
	Listener *net.TCPListener
	About    *proxy.Listener
	// Upstream is where the proxy connects to, nil when absent; UpstreamTLS
	// is that end's side of TLS.
	Upstream    *net.TCPListener
	UpstreamTLS *tls.Config
	// ClientTLS is the client's side of TLS with the proxy.
	ClientTLS *tls.Config
	Tokens    *Tokens
	Log       *Log

	deaf    bool // nobody plays the upstream
	running sync.WaitGroup
}

// New sets up a stage; the end of the test takes it down, waits for all
// sessions and checks the log.
func New(t testing.TB, protocol proxy.Protocol, o Options) *Stage {
	t.Helper()
	s := &Stage{Tokens: newTokens(o), Log: new(Log), deaf: o["upstream"] == "deaf" || o["upstream"] == "absent"}
	certificate, roots := certify(t)
	s.ClientTLS = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	s.UpstreamTLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.Listener, s.Upstream = listen(t), listen(t)
	if o["upstream"] == "untrusted" {
		_, roots = certify(t)
	}
	directory, err := accounts.New(logins(o["login by address"] != ""))
	if err != nil {
		t.Fatal(err)
	}
	s.Server = proxy.NewServer(proxy.Options{
		Settings: proxy.Settings{
			Accounts:    directory,
			Routes:      s.routes(protocol.Name(), o["upstream"]),
			UpstreamTLS: &tls.Config{RootCAs: roots},
			Limits: proxy.Limits{
				Sessions:           number(t, o["sessions"]),
				SessionsPerAddress: number(t, o["sessions per address"]),
				SessionsPerLogin:   number(t, o["sessions per login"]),
			},
		},
		Tokens:   s.Tokens,
		HostName: HostName,
		Log:      slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: level(o["log"])})),
	})
	s.About = &proxy.Listener{
		Protocol:    protocol,
		Address:     s.Listener.Addr().String(),
		TLS:         proxy.TLSNone,
		Certificate: s.UpstreamTLS.Clone(),
		RequireTLS:  o["require tls"] != "",
	}
	if mode := o["listener"]; mode != "" {
		s.About.TLS = proxy.TLSMode(mode)
	}
	s.running.Go(func() { _ = s.Server.Serve(s.Listener, proxy.NewPort(s.About)) })
	t.Cleanup(func() { s.takeDown(t) })
	return s
}

func level(name string) slog.Level {
	if name == "error" {
		return slog.LevelError
	}
	return slog.LevelDebug
}

func number(t testing.TB, text string) int {
	t.Helper()
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// routes lead all mailboxes to the upstream.
func (s *Stage) routes(protocol, upstream string) map[string]map[string]proxy.Route {
	route := proxy.Route{Address: s.Upstream.Addr().String(), TLS: proxy.TLSImplicit}
	switch upstream {
	case "unknown":
		return nil
	case "absent":
		_ = s.Upstream.Close()
		s.Upstream = nil
	case "starttls":
		route.TLS = proxy.TLSStart
	}
	all := make(map[string]map[string]proxy.Route)
	for _, mailbox := range []string{Mailbox, DeviceMailbox} {
		route.User = mailbox
		all[mailbox] = map[string]proxy.Route{protocol: route}
	}
	return all
}

// takeDown stops the proxy. A session that a test has left open is cut.
func (s *Stage) takeDown(t testing.TB) {
	_ = s.Listener.Close()
	s.Shutdown(true)
	if s.Upstream != nil {
		_ = s.Upstream.Close()
	}
	s.running.Wait()
	s.Log.Check(t)
	if t.Failed() {
		t.Logf("the proxy's log:\n%s", s.Log)
	}
}

// Shutdown stops the proxy and waits for it. At once means that sessions are
// given no time to end by themselves.
func (s *Stage) Shutdown(atOnce bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if atOnce {
		cancel()
	}
	s.Server.Shutdown(ctx)
}

// BeginShutdown stops the proxy without waiting for its sessions.
func (s *Stage) BeginShutdown(atOnce bool) {
	_ = s.Listener.Close()
	s.running.Go(func() { s.Shutdown(atOnce) })
}

// Dial connects a client; the end of the test closes it.
func (s *Stage) Dial(t testing.TB) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, s.Listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Converse says a text as a client that has no more to say, and returns what it
// hears until the proxy ends the session.
func (s *Stage) Converse(t testing.TB, text []byte) string {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, s.Listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		_, _ = conn.Write(text) // fails when the proxy ends the session first
		_ = conn.CloseWrite()
	}()
	heard, err := io.ReadAll(conn)
	<-said
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the session doesn't end; heard %q", heard)
	}
	return string(heard)
}

// PlayUpstream lets serve play the upstream, over TLS, for each connection
// that the proxy makes.
func (s *Stage) PlayUpstream(serve func(conn *tls.Conn)) {
	s.running.Go(func() {
		for {
			conn, err := s.Upstream.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() {
				defer conn.Close()
				serve(tls.Server(conn, s.UpstreamTLS))
			})
		}
	})
}

// Response returns the XOAUTH2 response that the upstream should hear now.
func (s *Stage) Response() string {
	account, token := s.Tokens.last()
	return base64.StdEncoding.EncodeToString([]byte("user=" + account + "\x01auth=Bearer " + token + "\x01\x01"))
}

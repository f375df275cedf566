package proxy_test

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy"
	"oauthproxy/proxy/pop3"
)

// TestFigures: a session is counted from its beginning to its end, and what it
// has relayed to the byte.
func TestFigures(t *testing.T) {
	s := stage.New(t, pop3.Protocol{}, stage.Options{})
	s.PlayUpstream(func(conn *tls.Conn) {
		popAccept(conn)
		_, _ = io.Copy(io.Discard, conn)
	})
	c := stageClient(t, s)
	c.hear(t, "+OK ")
	if f := s.Server.Figures()[0]; f.Sessions != 1 || f.Arriving != 1 || f.LoggedIn != 0 {
		t.Errorf("before the login: %+v", f)
	}
	c.say(t, "USER "+stage.User+"\r\nPASS wrong\r\n")
	c.hear(t, "+OK ")
	c.hear(t, "-ERR ")
	c.say(t, popLogin)
	c.hear(t, "+OK ")
	c.hear(t, "+OK ")
	f := s.Server.Figures()[0]
	if f.Arriving != 0 || f.LoggedIn != 1 || f.Accepted != 1 || f.Refused[proxy.BadCredentials] != 1 || f.Refused[proxy.Internal] != 0 {
		t.Errorf("after the login: %+v", f)
	}
	for _, phase := range []proxy.Phase{proxy.PhaseVerify, proxy.PhaseToken, proxy.PhaseConnect, proxy.PhaseLogIn} {
		if f.Phases[phase].Count != 1 {
			t.Errorf("%v: %+v", phase, f.Phases[phase])
		}
	}
	_ = c.Close()
	s.Shutdown(false)
	if f := s.Server.Figures()[0]; f.Sessions != 1 || f.Arriving != 0 || f.LoggedIn != 0 {
		t.Errorf("after the end: %+v", f)
	}
}

// TestFiguresOfARelay: both directions are counted to the byte.
func TestFiguresOfARelay(t *testing.T) {
	r := overTCP(t, true)
	_, _ = r.client.Write([]byte(strings.Repeat("x", 100_000)))
	hear(t, r.upstream, strings.Repeat("x", 100_000))
	_, _ = r.upstream.Write([]byte("yes"))
	hear(t, r.client, "yes")
	_ = r.upstream.Close()
	_ = r.client.Close()
	r.Shutdown(t.Context())
	f := r.Figures()[0]
	if up, down := uint64(len("early from client,")+100_000), uint64(len("early from upstream,yes")); f.Up != up || f.Down != down {
		t.Errorf("%d and %d bytes, want %d and %d", f.Up, f.Down, up, down)
	}
}

// TestFiguresOfRefusals: what the upstream has refused is counted once, however
// often it is told again, and by its cause.
func TestFiguresOfRefusals(t *testing.T) {
	s := stage.New(t, pop3.Protocol{}, stage.Options{})
	s.PlayUpstream(func(conn *tls.Conn) {
		_, _ = conn.Write([]byte("-ERR Connection is closed. 10\r\n"))
	})
	for range 3 {
		s.Converse(t, []byte(popLogin))
	}
	f := s.Server.Figures()[0]
	var sum uint64
	for refusal, n := range f.Refusals {
		if sum += n; refusal.What != proxy.RefusedLogin {
			t.Errorf("refused: %+v", refusal)
		}
	}
	asked := f.Refused[proxy.UpstreamRefused] + f.Refused[proxy.UpstreamUnreachable] + f.Refused[proxy.UpstreamProtocol]
	if asked != 3 || sum == 0 || f.Phases[proxy.PhaseLogIn].Count != 0 {
		t.Errorf("%+v", f)
	}
}

package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"oauthproxy/accounts"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
)

// noTokens fails the test: nothing that is done without a login goes to
// Exchange.
type noTokens struct{ t *testing.T }

func (n noTokens) AccessToken(context.Context, string) (proxy.Token, error) {
	n.t.Error("a token was asked for")
	return proxy.Token{}, errors.New("none")
}

func (n noTokens) Refused(context.Context, string, wire.Secret) error { return errors.New("none") }

const ourName = "proxy.contoso.example"

// serveOwn runs a proxy with one listener.
func serveOwn(t *testing.T, protocol proxy.Protocol, l proxy.Listener, logins ...accounts.Login) Listener {
	t.Helper()
	const mailbox = "scanner@contoso.example"
	directory, err := accounts.New([]accounts.Account{{Mailbox: mailbox, Logins: logins}})
	if err != nil {
		t.Fatal(err)
	}
	upstream := proxy.Route{Address: "upstream.invalid:587", TLS: proxy.TLSStart, User: mailbox}
	server := proxy.NewServer(proxy.Options{
		Settings: proxy.Settings{
			Accounts:    directory,
			Routes:      map[string]map[string]proxy.Route{mailbox: {protocol.Name(): upstream}},
			UpstreamTLS: &tls.Config{},
		},
		Tokens: noTokens{t}, HostName: ourName, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	ln, err := net.Listen("tcp", cmp.Or(l.Address, "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	l.Protocol, l.Address = protocol, ln.Addr().String()
	l.Certificate = newLab(t, "Contoso").server(t, -days, 90*days, ourName)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(ln, proxy.NewPort(&l)) })
	t.Cleanup(func() {
		_ = ln.Close()
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		server.Shutdown(ended)
		running.Wait()
	})
	return Listener{Protocol: protocol.Name(), Address: l.Address, TLS: string(l.TLS), Networks: l.Networks}
}

func serving(l Listener) Plan {
	return Plan{IsServing: true, HostName: ourName, Listeners: []Listener{l}}
}

// A healthy listener raises nothing, in every protocol and mode.
func TestOwnListener(t *testing.T) {
	for _, protocol := range []proxy.Protocol{imap.Protocol{}, pop3.Protocol{}, smtp.Protocol{}} {
		for _, mode := range []proxy.TLSMode{proxy.TLSNone, proxy.TLSStart, proxy.TLSImplicit, proxy.TLSAuto} {
			for _, requireTLS := range []bool{false, mode != proxy.TLSNone} {
				t.Run(fmt.Sprintf("%s %s %v", protocol.Name(), mode, requireTLS), func(t *testing.T) {
					l := serveOwn(t, protocol, proxy.Listener{TLS: mode, RequireTLS: requireTLS})
					found := run(t, serving(l))
					seen := "a certificate for " + ourName
					if mode == proxy.TLSNone {
						seen = "it answers"
					}
					want{status: OK, seen: seen}.check(t, found.only(t, "listener"))
					if protocol.Name() == "smtp" {
						want{status: OK, seen: "takes mail for nobody: refused from 127.0.0.1"}.check(t, found.only(t, "open relay"))
					}
				})
			}
		}
	}
}

var elsewhere = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}

// A listener that isn't for this machine is no fault.
func TestListenerForOthers(t *testing.T) {
	found := run(t, serving(serveOwn(t, smtp.Protocol{}, proxy.Listener{TLS: proxy.TLSNone, Networks: elsewhere})))
	want{status: Note, seen: "not for this machine (127.0.0.1)"}.check(t, found.only(t, "listener"))
	want{status: Skipped}.check(t, found.only(t, "open relay"))
}

// A service that calls its host otherwise is another one.
func TestListenerOfAnotherService(t *testing.T) {
	p := serving(serveOwn(t, imap.Protocol{}, proxy.Listener{TLS: proxy.TLSNone}))
	p.HostName = "other.example"
	want{Broken, "listener-foreign", "calls its host " + ourName, ""}.check(t, run(t, p).only(t, "listener"))
}

func agree(string) string { return "250 ok\r\n" }

func TestListenerThatIsNot(t *testing.T) {
	t.Parallel()
	l := newLab(t, "Contoso")
	ended, nameless := l.server(t, -9*days, -days, ourName), l.server(t, -days, 90*days)
	const ours = "220 " + ourName + " ESMTP ready\r\n"
	refusing := func(verb string) func(string) string {
		return func(command string) string {
			if strings.HasPrefix(command, verb) {
				return "502 no \x1b[31m\r\n"
			}
			return "250 ok\r\n"
		}
	}
	for name, c := range map[string]struct {
		mode  string
		serve func(net.Conn)
		want  want
	}{
		"Postfix":            {"none", greets("220 mail ESMTP Postfix\r\n"), want{Broken, "listener-foreign", `it says "220 mail ESMTP Postfix"`, ""}},
		"terminal controls":  {"none", greets("220 \x1b[31m\r\n"), want{Broken, "listener-foreign", `it says "220 ?[31m"`, ""}},
		"other protocol":     {"none", greets("+OK " + ourName + " ready\r\n"), want{Broken, "listener-foreign", "+OK", ""}},
		"flood":              {"none", greets(strings.Repeat("x", 2<<20)), want{Broken, "listener-foreign", "says more than any", ""}},
		"endless answer":     {"none", talks(ours, nil, func(string) string { return strings.Repeat("250-x\r\n", 200) }), want{Broken, "listener-foreign", "says more", ""}},
		"silent":             {"none", greets(""), want{Broken, "listener-silent", "it says nothing for 10 s", ""}},
		"closes":             {"none", func(net.Conn) {}, want{Broken, "listener-silent", "", ""}},
		"closes later":       {"none", func(c net.Conn) { _, _ = io.WriteString(c, ours); _, _ = c.Read(make([]byte, 100)) }, want{Broken, "listener-silent", "it closes the connection", ""}},
		"clear for implicit": {"implicit", greets(ours), want{Broken, "listener-tls", "TLS can't be begun: it greets in clear", "restart"}},
		"no STARTTLS":        {"starttls", talks(ours, nil, refusing("STARTTLS")), want{Broken, "listener-tls", `begun: it refuses: to STARTTLS it says "502 no ?[31m"`, ""}},
		"no TLS behind it":   {"starttls", talks(ours, nil, agree), want{Broken, "listener-tls", "TLS can't be begun: ", ""}},
		"no EHLO":            {"none", talks(ours, nil, refusing("EHLO")), want{Broken, "listener-foreign", "to EHLO", ""}},
		"certificate ended":  {"starttls", talks(ours, ended, agree), want{Broken, "certificate-ended", "ended 1 day ago", ""}},
		"no names":           {"starttls", talks(ours, nameless, agree), want{Warning, "certificate-nameless", "has no names", "names of the listener"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := Listener{Protocol: "smtp", Address: listenTo(t, c.serve), TLS: c.mode}
			c.want.check(t, run(t, serving(l)).only(t, "listener"))
		})
	}
}

func TestListenerThatIsClosed(t *testing.T) {
	for _, protocol := range []string{"imap", "smtp"} {
		l := Listener{Protocol: protocol, Address: freePort(t), TLS: "none"}
		found := run(t, serving(l))
		want{Broken, "listener-closed", "nothing listens", "restart"}.check(t, found.only(t, "listener"))
		if protocol == "smtp" {
			want{status: Skipped}.check(t, found.only(t, "open relay"))
		}
	}
}

// hearsBegin ends the run at the first probe's begin.
type hearsBegin struct {
	notes
	begun func()
}

func (h *hearsBegin) Begin(probe, subject string) { h.begun() }

// When the run is given up, it ends without waiting for anybody, and what it
// was about isn't held against anybody.
func TestGivenUp(t *testing.T) {
	silent := listenTo(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	for _, serving := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		heard := &hearsBegin{begun: cancel}
		broken, err := Run(ctx, Plan{
			IsServing: serving,
			Listeners: []Listener{{Protocol: "smtp", Address: silent, TLS: "none"}, {Protocol: "imap", Address: silent, TLS: "none"}},
		}, heard)
		if !errors.Is(err, context.Canceled) || broken > 0 || len(heard.found) > 0 {
			t.Errorf("%d broken, %v: %+v", broken, err, heard.found)
		}
	}
}

package doctor_test

import (
	"bufio"
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
	"oauthproxy/doctor"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
)

// listenOwn serves each connection to a port of 127.0.0.1, and returns that.
func listenOwn(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

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
func serveOwn(t *testing.T, protocol proxy.Protocol, l proxy.Listener, logins ...accounts.Login) doctor.Listener {
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
	l.Certificate = &tls.Config{Certificates: []tls.Certificate{certificate(t, -days, 90*days, ourName)}}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(ln, proxy.NewPort(&l)) })
	t.Cleanup(func() {
		_ = ln.Close()
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		server.Shutdown(ended)
		running.Wait()
	})
	return doctor.Listener{Protocol: protocol.Name(), Address: l.Address, TLS: string(l.TLS), Networks: l.Networks}
}

func serving(l doctor.Listener) doctor.Plan {
	return doctor.Plan{IsServing: true, HostName: ourName, Listeners: []doctor.Listener{l}}
}

// A healthy listener raises nothing, in every protocol and mode.
func TestOwnListener(t *testing.T) {
	for _, protocol := range []proxy.Protocol{imap.Protocol{}, pop3.Protocol{}, smtp.Protocol{}} {
		for _, mode := range []proxy.TLSMode{proxy.TLSNone, proxy.TLSStart, proxy.TLSImplicit, proxy.TLSAuto} {
			for _, requireTLS := range []bool{false, mode != proxy.TLSNone} {
				t.Run(fmt.Sprintf("%s %s %v", protocol.Name(), mode, requireTLS), func(t *testing.T) {
					l := serveOwn(t, protocol, proxy.Listener{TLS: mode, RequireTLS: requireTLS})
					found := examine(t, serving(l))
					seen := "a certificate for " + ourName
					if mode == proxy.TLSNone {
						seen = "it answers"
					}
					want{status: doctor.OK, seen: seen}.check(t, found.only(t, "listener"))
					if protocol.Name() == "smtp" {
						want{status: doctor.OK, seen: "takes mail for nobody: refused from 127.0.0.1"}.check(t, found.only(t, "open relay"))
					}
				})
			}
		}
	}
}

var elsewhere = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}

// A listener that isn't for this machine is no fault.
func TestListenerForOthers(t *testing.T) {
	found := examine(t, serving(serveOwn(t, smtp.Protocol{}, proxy.Listener{TLS: proxy.TLSNone, Networks: elsewhere})))
	want{status: doctor.Note, seen: "not for this machine (127.0.0.1)"}.check(t, found.only(t, "listener"))
	want{status: doctor.Skipped}.check(t, found.only(t, "open relay"))
}

// A service that calls its host otherwise is another one.
func TestListenerOfAnotherService(t *testing.T) {
	p := serving(serveOwn(t, imap.Protocol{}, proxy.Listener{TLS: proxy.TLSNone}))
	p.HostName = "other.example"
	want{doctor.Broken, "listener-foreign", "calls its host " + ourName, ""}.check(t, examine(t, p).only(t, "listener"))
}

// says returns a server that says something and then hears the client out.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// answers returns a server that greets, and gives each command an answer: TLS
// with the certificate follows one to STARTTLS.
func answers(greeting string, certificate *tls.Certificate, answer func(command string) string) func(net.Conn) {
	return func(conn net.Conn) {
		in := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, greeting+"\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			command := strings.TrimRight(line, "\r\n")
			if _, err := io.WriteString(conn, answer(command)+"\r\n"); err != nil {
				return
			}
			if command == "STARTTLS" && certificate != nil {
				conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}})
				in = bufio.NewReader(conn)
			}
		}
	}
}

func agree(string) string { return "250 ok" }

func TestListenerThatIsNot(t *testing.T) {
	t.Parallel()
	ended, nameless := certificate(t, -9*days, -days, ourName), certificate(t, -days, 90*days)
	const ours = "220 " + ourName + " ESMTP ready"
	refusing := func(verb string) func(string) string {
		return func(command string) string {
			if strings.HasPrefix(command, verb) {
				return "502 no \x1b[31m"
			}
			return "250 ok"
		}
	}
	for name, c := range map[string]struct {
		mode  string
		serve func(net.Conn)
		want  want
	}{
		"Postfix":            {"none", says("220 mail ESMTP Postfix\r\n"), want{doctor.Broken, "listener-foreign", `it says "220 mail ESMTP Postfix"`, ""}},
		"terminal controls":  {"none", says("220 \x1b[31m\r\n"), want{doctor.Broken, "listener-foreign", `it says "220 ?[31m"`, ""}},
		"other protocol":     {"none", says("+OK " + ourName + " ready\r\n"), want{doctor.Broken, "listener-foreign", "+OK", ""}},
		"flood":              {"none", says(strings.Repeat("x", 2<<20)), want{doctor.Broken, "listener-foreign", "says more than any", ""}},
		"endless answer":     {"none", answers(ours, nil, func(string) string { return strings.Repeat("250-x\r\n", 200) }), want{doctor.Broken, "listener-foreign", "says more", ""}},
		"silent":             {"none", says(""), want{doctor.Broken, "listener-silent", "it says nothing for 10 s", ""}},
		"closes":             {"none", func(net.Conn) {}, want{doctor.Broken, "listener-silent", "", ""}},
		"closes later":       {"none", func(c net.Conn) { _, _ = io.WriteString(c, ours+"\r\n"); _, _ = c.Read(make([]byte, 100)) }, want{doctor.Broken, "listener-silent", "it closes the connection", ""}},
		"clear for implicit": {"implicit", says(ours + "\r\n"), want{doctor.Broken, "listener-tls", "TLS can't be begun: it greets in clear", "restart"}},
		"no STARTTLS":        {"starttls", answers(ours, nil, refusing("STARTTLS")), want{doctor.Broken, "listener-tls", `begun: it refuses: to STARTTLS it says "502 no ?[31m"`, ""}},
		"no TLS behind it":   {"starttls", answers(ours, nil, agree), want{doctor.Broken, "listener-tls", "TLS can't be begun: ", ""}},
		"no EHLO":            {"none", answers(ours, nil, refusing("EHLO")), want{doctor.Broken, "listener-foreign", "to EHLO", ""}},
		"certificate ended":  {"starttls", answers(ours, &ended, agree), want{doctor.Broken, "certificate-ended", "ended 1 day ago", ""}},
		"no names":           {"starttls", answers(ours, &nameless, agree), want{doctor.Warning, "certificate-nameless", "has no names", "names of the listener"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := doctor.Listener{Protocol: "smtp", Address: listenOwn(t, c.serve), TLS: c.mode}
			c.want.check(t, examine(t, serving(l)).only(t, "listener"))
		})
	}
}

func TestListenerThatIsClosed(t *testing.T) {
	for _, protocol := range []string{"imap", "smtp"} {
		l := doctor.Listener{Protocol: protocol, Address: freePort(t), TLS: "none"}
		found := examine(t, serving(l))
		want{doctor.Broken, "listener-closed", "nothing listens", "restart"}.check(t, found.only(t, "listener"))
		if protocol == "smtp" {
			want{status: doctor.Skipped}.check(t, found.only(t, "open relay"))
		}
	}
}

// freePort returns an address where nobody listens, though somebody has just
// now: the connection that the listener closed first is still in TIME_WAIT.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	_, _ = client.Read(make([]byte, 1))
	return ln.Addr().String()
}

// While no service runs, it is tried whether it could.
func TestPort(t *testing.T) {
	t.Parallel()
	own := serveOwn(t, imap.Protocol{}, proxy.Listener{TLS: proxy.TLSImplicit})
	for name, c := range map[string]struct {
		address string
		want    want
	}{
		"free":             {freePort(t), want{doctor.Note, "not-running", "the port is free", "systemctl start"}},
		"every address":    {"0.0.0.0:0", want{doctor.Note, "not-running", "the port is free", ""}},
		"ours":             {own.Address, want{doctor.Note, "running-elsewhere", "as " + ourName, ""}},
		"in clear":         {listenOwn(t, says("* OK Dovecot ready.\r\n")), want{doctor.Broken, "port-taken", "another program has the port", "ss -ltnp"}},
		"silent":           {listenOwn(t, says("")), want{doctor.Broken, "port-taken", "another program", ""}},
		"address not ours": {"192.0.2.1:1143", want{doctor.Broken, "address-not-here", "doesn't have the address", ""}},
		"no address":       {"127.0.0.1:99999", want{doctor.Broken, "port-unusable", "invalid port", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := doctor.Listener{Protocol: "imap", Address: c.address, TLS: "implicit"}
			c.want.check(t, examine(t, doctor.Plan{Listeners: []doctor.Listener{l}}).only(t, "listener"))
		})
	}
	taken := doctor.Listener{Protocol: "imap", Address: listenOwn(t, says("* OK Dovecot ready.\r\n")), TLS: "none"}
	want{doctor.Broken, "port-taken", `it says "* OK Dovecot ready."`, "ss -ltnp"}.check(t,
		examine(t, doctor.Plan{Listeners: []doctor.Listener{taken}}).only(t, "listener"))
}

func TestPrivilegedPort(t *testing.T) {
	const address = "127.0.0.1:25"
	if ln, err := net.Listen("tcp", address); err == nil {
		_ = ln.Close()
		t.Skip("this user may open every port")
	}
	l := doctor.Listener{Protocol: "smtp", Address: address, TLS: "none"}
	want{doctor.Warning, "port-privileged", "may not open", "CAP_NET_BIND_SERVICE"}.check(t,
		examine(t, doctor.Plan{Listeners: []doctor.Listener{l}}).only(t, "listener"))
}

// hearsBegin ends the run at the first probe's begin.
type hearsBegin struct {
	ownFindings
	begun func()
}

func (h *hearsBegin) Begin(probe, subject string) { h.begun() }

// When the run is given up, it ends without waiting for anybody, and what it
// was about isn't held against anybody.
func TestGivenUp(t *testing.T) {
	silent := listenOwn(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	for _, serving := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		heard := &hearsBegin{begun: cancel}
		broken, err := doctor.Run(ctx, doctor.Plan{
			IsServing: serving,
			Listeners: []doctor.Listener{{Protocol: "smtp", Address: silent, TLS: "none"}, {Protocol: "imap", Address: silent, TLS: "none"}},
		}, heard)
		if !errors.Is(err, context.Canceled) || broken > 0 || len(heard.ownFindings) > 0 {
			t.Errorf("%d broken, %v: %+v", broken, err, heard.ownFindings)
		}
	}
}

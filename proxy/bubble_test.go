package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"oauthproxy/accounts"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// The tests of this file's helpers run in bubbles of testing/synctest, over
// net.Pipe, where a clock of their own makes minutes pass in no time.

const (
	mailbox  = "alice@contoso.example"
	password = "secret"
)

var passwordHash = sync.OnceValue(func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
})

// tokens hand out what the function returns.
type tokens func(ctx context.Context) (wire.Secret, error)

func (t tokens) AccessToken(ctx context.Context, _ string) (proxy.Token, error) {
	value, err := t(ctx)
	return proxy.Token{Value: value}, err
}

func (t tokens) Refused(context.Context, string, wire.Secret) error {
	return &proxy.Failure{Kind: proxy.TokenUnavailable}
}

func oneToken(context.Context) (wire.Secret, error) { return wire.NewSecret("token"), nil }

// certificate is one for 127.0.0.1, and what trusts it.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
})

// bubble is a server without a listener.
type bubble struct {
	*proxy.Server
	listener proxy.Listener
	log      strings.Builder
}

// newBubble returns a server of one account. The end of the test stops it.
func newBubble(t testing.TB, protocol proxy.Protocol, tokens proxy.Tokens) *bubble {
	t.Helper()
	return newBubbleFor(t, protocol, tokens, []accounts.Login{
		{User: "alice", PasswordHash: passwordHash()},
		{User: "kiosk", PasswordHash: passwordHash(), Sending: &accounts.Sending{MessagesPerMinute: 4}},
	})
}

// newBubbleFor is the same with other logins.
func newBubbleFor(t testing.TB, protocol proxy.Protocol, tokens proxy.Tokens, logins []accounts.Login) *bubble {
	t.Helper()
	directory, err := accounts.New([]accounts.Account{{Mailbox: mailbox, Logins: logins}})
	if err != nil {
		t.Fatal(err)
	}
	own, roots := certificate()
	b := &bubble{listener: proxy.Listener{
		Protocol:    protocol,
		TLS:         proxy.TLSNone,
		Certificate: &tls.Config{Certificates: []tls.Certificate{own}},
	}}
	b.Server = proxy.NewServer(proxy.Options{
		Settings: proxy.Settings{
			Accounts: directory,
			Routes: map[string]map[string]proxy.Route{mailbox: {protocol.Name(): {
				Address: "127.0.0.1:1", TLS: proxy.TLSImplicit, User: mailbox,
			}}},
			UpstreamTLS: &tls.Config{RootCAs: roots},
		},
		Tokens:   tokens,
		HostName: "proxy.example",
		Log:      b.logger(),
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		b.Shutdown(ctx)
	})
	return b
}

func (b *bubble) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&b.log, nil)) }

// stop waits for all sessions to end by themselves.
func (b *bubble) stop() { b.Shutdown(context.Background()) }

// connect connects a client; the end of the test closes it.
func (b *bubble) connect(t *testing.T) *client {
	t.Helper()
	return b.connectFrom(t, netip.Addr{})
}

// connectFrom returns a client that comes from an address.
func (b *bubble) connectFrom(t testing.TB, address netip.Addr) *client {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	b.Accept(addressed{there, address}, &b.listener)
	return &client{Conn: here, in: bufio.NewReader(here)}
}

// addressed is a connection with an address of the test's choice.
type addressed struct {
	net.Conn
	from netip.Addr
}

func (a addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.from, 1))
}

// dials makes serve the upstream of every connection.
func (b *bubble) dials(serve func(conn net.Conn)) {
	b.SetDial(func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			serve(there)
		}()
		return here, nil
	})
}

// client is a mail client.
type client struct {
	net.Conn
	in *bufio.Reader
}

func (c *client) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("saying %q: %v", text, err)
	}
}

// hear checks how the next line begins.
func (c *client) hear(t *testing.T, want string) {
	t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, want) {
		t.Fatalf("heard %q, %v; want %q", line, err, want)
	}
}

// hearEnd checks that the session is over.
func (c *client) hearEnd(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(c.in)
	if err != nil || len(rest) > 0 {
		t.Fatalf("heard %q, %v; want the end", rest, err)
	}
}

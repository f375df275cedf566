package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// bare is the least of a protocol: a line of user and password, and then a
// relay to an upstream that is there already. It is for tests of what the
// protocols share.
type bare struct {
	upstream net.Conn
	secure   bool // by TLS
}

func (bare) Name() string { return "bare" }

func (b bare) NewDialogue(s *proxy.Session) proxy.Dialogue { return &bareDialogue{bare: b, session: s} }

type bareDialogue struct {
	bare
	session *proxy.Session
	up      *wire.Conn
}

func (d *bareDialogue) Greet() { d.session.Client.Printf("ready") }

func (d *bareDialogue) ReadCredentials() (c proxy.Credentials, err error) {
	line, err := d.session.Client.ReadLine(100)
	if err != nil {
		return c, err
	}
	if string(line) == "panic" {
		panic("on demand, with a secret: " + password)
	}
	user, pass, found := strings.Cut(string(line), " ")
	if !found {
		return c, io.EOF
	}
	return proxy.Credentials{Credentials: sasl.Credentials{User: user, Password: wire.NewSecret(pass)}}, nil
}

// Connect hears the upstream's first line.
func (d *bareDialogue) Connect(context.Context, proxy.Open) error {
	d.up = wire.New(d.upstream)
	if d.secure {
		_, roots := certificate()
		if err := d.up.ConnectTLS(&tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}, 0); err != nil {
			return err
		}
	}
	_, err := d.up.ReadLine(100)
	return err
}

func (d *bareDialogue) Accept() { d.session.Client.Printf("in") }

func (d *bareDialogue) Refuse(f *proxy.Failure) { d.session.Client.Printf("no: %s", f.Kind) }

func (d *bareDialogue) Relay(ctx context.Context) error {
	return d.session.Relay(ctx, d.up, new(bareLastWords))
}

// bareLastWords knows one goodbye.
type bareLastWords struct{ proxy.Tail }

func (*bareLastWords) Why(lines []string) *proxy.Failure {
	if n := len(lines); n > 0 && lines[n-1] == "goodbye" {
		return nil
	}
	return proxy.Lose(fmt.Sprintf("after %q", lines))
}

func (d *bareDialogue) Prepare(*wire.Conn, func() error) error { return errors.ErrUnsupported }

func (d *bareDialogue) LogIn(*wire.Conn, string, wire.Secret) error { return errors.ErrUnsupported }

// tcpPair returns both ends of a connection on loopback; the end of the test
// closes them.
func tcpPair(t testing.TB) (here, there *net.TCPConn) {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	here, err = net.DialTCP("tcp", nil, ln.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	there, err = ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = here.Close()
		_ = there.Close()
	})
	return here, there
}

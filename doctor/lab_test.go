package doctor

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// lab is a certificate authority for servers of a test.
type lab struct {
	root  *x509.Certificate
	key   *ecdsa.PrivateKey
	roots *x509.CertPool
}

func newLab(t *testing.T, organization string) *lab {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root", Organization: []string{organization}},
		NotBefore: time.Now().AddDate(-40, 0, 0), NotAfter: time.Now().AddDate(40, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return &lab{root, key, roots}
}

const days = 24 * time.Hour

// server returns the server's side of TLS, with a certificate for the names
// that is valid between two times from now.
func (l *lab) server(t *testing.T, from, to time.Duration, names ...string) *tls.Config {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, l.root, l.key.Public(), l.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: l.key, Leaf: leaf}}}
}

// good returns the server's side of TLS that nothing is wrong with.
func (l *lab) good(t *testing.T, name string) *tls.Config {
	return l.server(t, -time.Hour, 90*days, name)
}

// listenTo runs handle for each connection to a port of its own, until the test
// ends. The connection is closed behind handle.
func listenTo(t *testing.T, handle func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		open    []net.Conn
	)
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			running.Go(func() { defer conn.Close(); handle(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return listener.Addr().String()
}

// greets is a server that says that and waits for the end.
func greets(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		io.Copy(io.Discard, conn)
	}
}

// overTLS lets a server speak TLS from the start.
func overTLS(config *tls.Config, handle func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		secured := tls.Server(conn, config)
		if secured.Handshake() == nil {
			handle(secured)
		}
	}
}

// asked is a server that says the first text, and the others each after what it
// is asked next.
func asked(texts ...string) func(net.Conn) {
	return func(conn net.Conn) {
		for i, text := range texts {
			if i > 0 && !hear(conn) {
				return
			}
			io.WriteString(conn, text)
		}
		io.Copy(io.Discard, conn)
	}
}

// upgraded is a server like asked that goes over to TLS then.
func upgraded(config *tls.Config, texts ...string) func(net.Conn) {
	return func(conn net.Conn) {
		for i, text := range texts {
			if i > 0 && !hear(conn) {
				return
			}
			io.WriteString(conn, text)
		}
		io.Copy(io.Discard, tls.Server(conn, config))
	}
}

// talks is a server that greets, and gives each line it hears an answer. With
// a configuration TLS follows the one to STARTTLS.
func talks(greeting string, config *tls.Config, answer func(line string) string) func(net.Conn) {
	return func(conn net.Conn) {
		in := bufio.NewReader(conn)
		io.WriteString(conn, greeting)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimRight(line, "\r\n")
			if _, err := io.WriteString(conn, answer(line)); err != nil {
				return
			}
			if line == "STARTTLS" && config != nil {
				conn = tls.Server(conn, config)
				in = bufio.NewReader(conn)
			}
		}
	}
}

// floods is a server that says something, and then more for ever.
func floods(first, more string) func(net.Conn) {
	return func(conn net.Conn) {
		_, err := io.WriteString(conn, first)
		for err == nil {
			_, err = io.WriteString(conn, strings.Repeat(more, 1000))
		}
	}
}

// reset is a server that resets the connection.
func reset(conn net.Conn) {
	hear(conn)
	conn.(*net.TCPConn).SetLinger(0)
}

// hear waits for what a client says.
func hear(conn net.Conn) bool {
	n, _ := conn.Read(make([]byte, 8192))
	return n > 0
}

// at is an account with one host.
func at(protocol, address string, implicit bool) Account {
	return Account{Mailbox: "alice@contoso.com", Hosts: []Host{{Protocol: protocol, Address: address, Implicit: implicit, User: "alice@contoso.com"}}}
}

// examine makes an examination of the accounts. Names are those of the test:
// what isn't there doesn't exist, and all are found at the given address.
func examine(roots *x509.CertPool, names map[string]string, accounts ...Account) (*examination, *notes) {
	n := new(notes)
	e := newExamination(Plan{Accounts: accounts, TLS: &tls.Config{RootCAs: roots}}, n)
	e.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		if names[host] == "" {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return []netip.Addr{netip.MustParseAddr("203.0.113.7")}, nil
	}
	dialer := new(net.Dialer)
	e.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, _ := strings.Cut(address, ":")
		if there := names[host]; there != "" {
			address = there
		}
		return dialer.DialContext(ctx, network, address)
	}
	return e, n
}

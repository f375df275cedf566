package doctor

import (
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

// notes is an observer that keeps what it is told.
type notes struct {
	mu    sync.Mutex
	begun int
	found []Finding
}

func (n *notes) Begin(string, string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begun++
}

func (n *notes) Found(f Finding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.found = append(n.found, f)
}

// of returns the findings of one kind of probe.
func (n *notes) of(probe string) []Finding {
	var all []Finding
	for _, f := range n.found {
		if f.Probe == probe {
			all = append(all, f)
		}
	}
	return all
}

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

// server returns the server's side of TLS, with a certificate for the name.
func (l *lab) server(t *testing.T, name string, from, to time.Time) *tls.Config {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, l.root, l.key.Public(), l.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: l.key}}}
}

// good returns the server's side of TLS that nothing is wrong with.
func (l *lab) good(t *testing.T, name string) *tls.Config {
	return l.server(t, name, time.Now().Add(-time.Hour), time.Now().AddDate(0, 3, 0))
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
	return func(conn net.Conn) { handle(tls.Server(conn, config)) }
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

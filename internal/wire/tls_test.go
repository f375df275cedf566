package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// certificate is one for 127.0.0.1, and what trusts it.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
})

func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	own, _ := certificate()
	return &tls.Config{Certificates: []tls.Certificate{own}}
}

func clientTLS(t testing.TB) *tls.Config {
	t.Helper()
	_, roots := certificate()
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// startTLS makes both ends TLS, c as the server.
func startTLS(t testing.TB, c *Conn, peer net.Conn) *tls.Conn {
	t.Helper()
	accepted := make(chan error)
	go func() { accepted <- c.AcceptTLS(serverTLS(t), patience) }()
	client := tls.Client(peer, clientTLS(t))
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	return client
}

// What a client pipelines in clear behind STARTTLS is dropped.
func TestAcceptTLSDropsWhatCameInClear(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "STARTTLS\r\nRSET\r\n")
	wantLine(t, c, "STARTTLS")
	c.Printf("220 go")
	client := startTLSAfter(t, c, peer, "220 go\r\n")
	send(t, client, "NOOP\r\n")
	wantLine(t, c, "NOOP")
	state, ok := c.TLS()
	if !ok || !state.HandshakeComplete {
		t.Error("no TLS")
	}
	c.Printf("250 ok")
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	wantHeard(t, client, "250 ok\r\n")
}

// startTLSAfter is startTLS for a client that waits for the reply in clear.
func startTLSAfter(t *testing.T, c *Conn, peer net.Conn, reply string) *tls.Conn {
	t.Helper()
	accepted := make(chan error)
	go func() { accepted <- c.AcceptTLS(serverTLS(t), patience) }()
	wantHeard(t, peer, reply)
	client := tls.Client(peer, clientTLS(t))
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	return client
}

// What an upstream sends in clear behind its agreement is an attack.
func TestConnectTLSRefusesWhatCameInClear(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "220 go\r\n250 AUTH XOAUTH2\r\n")
	wantLine(t, c, "220 go")
	if err := c.ConnectTLS(clientTLS(t), patience); !errors.Is(err, ErrInjected) {
		t.Errorf("err = %v, want ErrInjected", err)
	}
}

func TestConnectTLS(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "220 go\r\n")
	wantLine(t, c, "220 go")
	served := make(chan error)
	go func() {
		server := tls.Server(peer, serverTLS(t))
		_, err := server.Write([]byte("220 hello\r\n"))
		served <- err
	}()
	if err := c.ConnectTLS(clientTLS(t), patience); err != nil {
		t.Fatal(err)
	}
	wantLine(t, c, "220 hello")
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, ok := c.NetConn().(*tls.Conn); !ok {
		t.Error("NetConn is not the TLS connection")
	}
}

func TestConnectTLSChecksTheCertificate(t *testing.T) {
	c, peer := connect(t)
	served := make(chan error)
	go func() { served <- tls.Server(peer, serverTLS(t)).Handshake() }()
	other := clientTLS(t)
	other.ServerName = "mail.example"
	err := c.ConnectTLS(other, patience)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("err = %v", err)
	}
	if err := <-served; err == nil {
		t.Error("the server has noticed nothing")
	}
	if _, ok := c.TLS(); ok {
		t.Error("the connection claims to be TLS")
	}
}

func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		defer here.Close()
		c := New(here)
		start := time.Now()
		if err := c.AcceptTLS(&tls.Config{}, 20*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A listener for both finds out whether a client begins with a handshake.
func TestPeekAndRewind(t *testing.T) {
	c, peer := connect(t)
	client := tls.Client(peer, clientTLS(t))
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	first, spoke, err := c.Peek(patience)
	if err != nil || !spoke || first != 0x16 {
		t.Fatalf("Peek = %#x, %v, %v", first, spoke, err)
	}
	c.Rewind()
	if err := c.AcceptTLS(serverTLS(t), patience); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	send(t, client, "NOOP\r\n")
	wantLine(t, c, "NOOP")
}

func TestPeekInClear(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "EHLO laptop\r\n")
	if first, spoke, err := c.Peek(patience); err != nil || !spoke || first != 'E' {
		t.Fatalf("Peek = %c, %v, %v", first, spoke, err)
	}
	wantLine(t, c, "EHLO laptop")
}

func TestPeekAtSilence(t *testing.T) {
	c, peer := connect(t)
	if _, spoke, err := c.Peek(time.Millisecond); err != nil || spoke {
		t.Fatalf("Peek = %v, %v", spoke, err)
	}
	send(t, peer, "EHLO laptop\r\n")
	wantLine(t, c, "EHLO laptop")
}

func TestPeekInterrupted(t *testing.T) {
	c, _ := connect(t)
	c.Interrupt()
	if _, _, err := c.Peek(patience); !errors.Is(err, ErrInterrupted) {
		t.Errorf("err = %v", err)
	}
}

func TestPrefixed(t *testing.T) {
	p := &prefixed{Conn: &chunked{text: []byte("def")}, ahead: []byte("abc")}
	var got []byte
	for range 4 {
		b := make([]byte, 2)
		n, _ := p.Read(b)
		got = append(got, b[:n]...)
	}
	if !bytes.Equal(got, []byte("abcdef")) {
		t.Errorf("read %q", got)
	}
}

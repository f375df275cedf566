package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
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
func TestLookAndRewind(t *testing.T) {
	c, peer := connect(t)
	client := tls.Client(peer, clientTLS(t))
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	ahead, err := c.Look(patience, something)
	if err != nil || ahead[0] != 0x16 {
		t.Fatalf("Look = %x, %v", ahead, err)
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

// something is enough for whoever wants to see that the peer speaks.
func something([]byte) bool { return true }

func TestLookInClear(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "EHLO lap")
	go func() { _, _ = peer.Write([]byte("top\r\nNOOP\r\n")) }()
	aLine := func(ahead []byte) bool { return bytes.IndexByte(ahead, '\n') >= 0 }
	if ahead, err := c.Look(patience, aLine); err != nil || !bytes.HasPrefix(ahead, []byte("EHLO laptop\r\n")) {
		t.Fatalf("Look = %q, %v", ahead, err)
	}
	wantLine(t, c, "EHLO laptop")
	wantLine(t, c, "NOOP")
}

func TestLookAtSilence(t *testing.T) {
	c, peer := connect(t)
	if ahead, err := c.Look(time.Millisecond, something); !errors.Is(err, os.ErrDeadlineExceeded) || len(ahead) > 0 {
		t.Fatalf("Look = %q, %v", ahead, err)
	}
	send(t, peer, "EHLO laptop\r\n")
	wantLine(t, c, "EHLO laptop")
}

func TestLookInterrupted(t *testing.T) {
	c, _ := connect(t)
	c.Interrupt()
	if _, err := c.Look(patience, something); !errors.Is(err, ErrInterrupted) {
		t.Errorf("err = %v", err)
	}
}

// A peer that is hung up on hears what it has been told and then an end, no
// reset, however much it still sends.
func TestHangUp(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "GET / HTTP/1.1\r\n\r\n")
	wantLine(t, c, "GET / HTTP/1.1")
	c.Printf("421 no")
	sent := make(chan error)
	go func() {
		_, err := peer.Write(bytes.Repeat([]byte("x"), 100<<10))
		_ = peer.CloseWrite()
		sent <- err
	}()
	c.HangUp(patience, 1<<20)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if heard, err := io.ReadAll(peer); err != nil || string(heard) != "421 no\r\n" {
		t.Errorf("heard %q, %v", heard, err)
	}
}

// A peer that goes on and on is cut.
func TestHangUpEnds(t *testing.T) {
	c, peer := connect(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := peer.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}()
	c.HangUp(patience, 64<<10)
	<-done
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

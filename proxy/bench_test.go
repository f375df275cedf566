package proxy_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy/pop3"
)

const benchBlock = 64 << 10

// pump moves b.N blocks.
func pump(b *testing.B, from io.Writer, to io.Reader) {
	b.Helper()
	b.SetBytes(benchBlock)
	b.ResetTimer()
	sent := make(chan error, 1)
	go func() {
		block := make([]byte, benchBlock)
		var err error
		for range b.N {
			if _, err = from.Write(block); err != nil {
				break
			}
		}
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, to, int64(b.N)*benchBlock); err != nil {
		b.Fatal(err)
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
}

// benchRelay is a session that relays between a plain client and an upstream
// over TLS.
func benchRelay(b *testing.B) *relayed {
	client, clientEnd := tcpPair(b)
	upstream, upstreamEnd := tcpPair(b)
	return startRelay(b, client, clientEnd, upstream, upstreamEnd, true)
}

// benchIOCopy is the same by io.Copy both ways and no more, to compare.
func benchIOCopy(b *testing.B) (client, upstream net.Conn) {
	client, clientEnd := tcpPair(b)
	tcp, upstreamEnd := tcpPair(b)
	own, roots := certificate()
	upstream = tls.Server(tcp, &tls.Config{Certificates: []tls.Certificate{own}})
	secure := tls.Client(upstreamEnd, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	up, down := make(chan struct{}), make(chan struct{})
	go func() { defer close(up); _, _ = io.Copy(secure, clientEnd) }()
	go func() { defer close(down); _, _ = io.Copy(clientEnd, secure) }()
	b.Cleanup(func() {
		for _, c := range []net.Conn{client, clientEnd, tcp, upstreamEnd} {
			_ = c.Close()
		}
		<-up
		<-down
	})
	if err := upstream.(*tls.Conn).Handshake(); err != nil {
		b.Fatal(err)
	}
	return client, upstream
}

func BenchmarkRelayUp(b *testing.B) {
	r := benchRelay(b)
	pump(b, r.client, r.upstream)
}

func BenchmarkRelayDown(b *testing.B) {
	r := benchRelay(b)
	pump(b, r.upstream, r.client)
}

func BenchmarkIOCopyUp(b *testing.B) {
	client, upstream := benchIOCopy(b)
	pump(b, client, upstream)
}

func BenchmarkIOCopyDown(b *testing.B) {
	client, upstream := benchIOCopy(b)
	pump(b, upstream, client)
}

// BenchmarkLogin is a POP3 session from connect to close, with the token at
// hand and the password known.
func BenchmarkLogin(b *testing.B) {
	s := stage.New(b, pop3.Protocol{}, stage.Options{"log": "error"})
	s.PlayUpstream(popAccept)
	for b.Loop() {
		heard := s.Converse(b, []byte(popLogin))
		if want := "+OK proxy.example ready\r\n+OK Now the password\r\n+OK Logged in\r\n"; heard != want {
			b.Fatalf("heard %q", heard)
		}
	}
}

package doctor

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestWebProxy: what is told of a proxy on the way, with the client that goes
// through it.
func TestWebProxy(t *testing.T) {
	l := newLab(t, "Contoso Web Gateway")
	body := document("login.microsoftonline.com", "login.microsoftonline.com", "")
	inspecting := overTLS(l.good(t, "login.microsoftonline.com"), asked("", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)))
	tests := []struct {
		name   string
		proxy  func(net.Conn)
		want   string
		trusts bool
	}{
		{"wants a password", greets("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "[broken web-proxy-login]", false},
		{"forbids it", greets("HTTP/1.1 403 Forbidden\r\n\r\n"), "[broken web-proxy-forbids]", false},
		{"can't reach it", greets("HTTP/1.1 504 Gateway Timeout\r\n\r\n"), "[broken web-proxy-fails]", false},
		{"is none", greets("220 ready\r\n"), "[broken", false},
		{"inspects, and isn't trusted", tunnel(inspecting), "[broken tls-inspected]", false},
		{"inspects, and is trusted", tunnel(inspecting), "[ok ][note tls-inspected]", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := listenTo(t, test.proxy)
			e, n := examine(nil, nil, Account{Authority: "https://login.microsoftonline.com/contoso"})
			e.ThroughProxy = true
			transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: address}), TLSClientConfig: &tls.Config{}}
			if transport.TLSClientConfig.RootCAs = newLab(t, "Another").roots; test.trusts {
				transport.TLSClientConfig.RootCAs = l.roots
			}
			e.HTTP = &http.Client{Transport: transport}
			e.network(t.Context())
			if n.begun != 0 {
				t.Errorf("looked for Entra ID directly: %+v", n.found)
			}
			e.entra(t.Context())
			var got string
			for _, f := range n.of("entra") {
				got += "[" + string(f.Status) + " " + f.Cause + "]"
				checkTexts(t, f)
			}
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("%s, want %s: %+v", got, test.want, n.found)
			}
			e.ThroughProxy, n.found = false, nil // then the network's probe has looked at the certificate
			e.entra(t.Context())
			if again := n.of("entra"); len(again) != 1 {
				t.Errorf("without a web proxy: %+v", again)
			}
		})
	}
	t.Run("isn't there", func(t *testing.T) {
		e, n := examine(nil, nil, Account{Authority: "https://login.microsoftonline.com/contoso"})
		e.ThroughProxy = true
		e.HTTP = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})}}
		e.entra(t.Context())
		if got := n.of("entra"); len(got) != 1 || got[0].Cause != "web-proxy-unreachable" || !strings.Contains(got[0].Means, "127.0.0.1:1") {
			t.Errorf("%+v", got)
		}
	})
}

// tunnel is a web proxy behind which that server is, whatever is asked for.
func tunnel(server func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		if hear(conn) {
			io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
			server(conn)
		}
	}
}

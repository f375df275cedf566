package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// webProxy is a web proxy that makes tunnels for whoever has the password.
type webProxy struct {
	*httptest.Server
	connects atomic.Int64 // tunnels made
	refuse   atomic.Int64 // status to refuse all with; 0: none
	tunnels  sync.WaitGroup
}

const webProxyPassword = "p&ss of the web proxy"

func newWebProxy(t *testing.T) *webProxy {
	t.Helper()
	p := &webProxy{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.Close()
		p.tunnels.Wait()
	})
	return p
}

// host is the address without the scheme.
func (p *webProxy) host() string { return p.Listener.Addr().String() }

func (p *webProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+webProxyPassword))
	switch status := int(p.refuse.Load()); {
	case r.Method != http.MethodConnect:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case r.Header.Get("Proxy-Authorization") != want:
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(http.StatusProxyAuthRequired)
	case status != 0:
		w.WriteHeader(status)
	default:
		p.tunnel(w, r.Host)
	}
}

func (p *webProxy) tunnel(w http.ResponseWriter, target string) {
	there, err := net.Dial("tcp", target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	p.connects.Add(1)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}
	p.tunnels.Go(func() { pass(here, there) })
	p.tunnels.Go(func() { pass(there, here) })
}

// TestWebProxy: requests to Entra ID go through the web proxy that http_proxy
// names, mail doesn't, and what goes wrong there is told in plain words.
func TestWebProxy(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	tests := []struct {
		name, user string
		host       string // instead of the proxy's
		status     int
		tunnel     bool
		words      string
	}{
		{name: "with the password", user: "me:p%26ss%20of%20the%20web%20proxy", tunnel: true,
			words: "Entra ID gave an access token"},
		{name: "with a wrong password", user: "me:wrong",
			words: "the web proxy HOST wants another user name and password (status 407): write them into its address, in http_proxy or HTTPS_PROXY, as http://USER:PASSWORD@HOST"},
		{name: "forbidden", user: "me:p%26ss%20of%20the%20web%20proxy", status: 403,
			words: "the web proxy HOST refuses connections to Entra ID at ENTRA (status 403): let it allow them"},
		{name: "no way to Entra ID", user: "me:p%26ss%20of%20the%20web%20proxy", status: 502,
			words: "the web proxy HOST can't reach Entra ID at ENTRA (status 502)"},
		{name: "nobody there", user: "me:x", host: strings.TrimPrefix(closed.URL, "http://"),
			words: "Entra ID can't be reached through the web proxy HOST: nobody takes the connection there (connection refused)"},
		{name: "no such name", user: "me:x", host: "no-such-proxy.invalid:3128",
			words: "Entra ID can't be reached through the web proxy HOST: the name no-such-proxy.invalid can't be resolved: check the network, and http_proxy"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, p := newSite(t, "device_code"), newWebProxy(t)
			p.refuse.Store(int64(test.status))
			if test.host == "" {
				test.host = p.host()
			}
			s.change("state_directory:", fmt.Sprintf("http_proxy: %q\nstate_directory:", "http://"+test.user+"@"+test.host))
			entra, _, _ := strings.Cut(strings.TrimPrefix(s.Authority(), "https://"), "/")
			words := strings.NewReplacer("HOST", test.host, "ENTRA", entra).Replace(test.words)

			proxy, smtp := s.serve()
			defer proxy.end(t)
			login := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
			if !strings.Contains(login.err, words) || (login.status == exitWell) != test.tunnel {
				t.Errorf("login says %+v, want %q", login, words)
			}
			err := sendFrom(smtp, "scanner", localPassword, "scanner@contoso.example")
			if (err == nil) != test.tunnel || err != nil && strings.Contains(err.Error(), test.host) {
				t.Errorf("the client hears %v", err)
			}
			want := 0
			if test.tunnel {
				want = 1
			}
			if tunnels, requests := p.connects.Load(), s.TokenRequests(); int(tunnels) != want || requests != want {
				t.Errorf("%d tunnels for %d token requests, want %d", tunnels, requests, want)
			}
			for _, secret := range []string{webProxyPassword, "p%26ss", test.user} {
				if strings.Contains(proxy.err.String()+login.err, secret) {
					t.Errorf("the web proxy's password was shown:\n%s%s", proxy.err, login.err)
				}
			}
		})
	}
}

package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// openWeb serves the probes and returns the address.
func openWeb(t *testing.T, p Probes) string {
	t.Helper()
	if p.Metrics == nil {
		p.Metrics = NewRegistry(full)
	}
	w, err := ListenWeb("127.0.0.1:0", p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(w.Serve)
	t.Cleanup(func() { w.Close(); serving.Wait() })
	return w.Addr().String()
}

// fetch returns status, header and body.
func fetch(t *testing.T, method, address string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

func TestWeb(t *testing.T) {
	well := Probes{Live: func() error { return nil }, Ready: func() Health { return Health{IsReady: true, Accounts: AccountsHealth{1, 2}} }}
	ill := Probes{
		Live:  func() error { return errors.New("nobody accepts") },
		Ready: func() Health { return Health{Problems: []string{"the service is stopping"}} },
	}
	tests := []struct {
		name, method, path string
		probes             Probes
		status             int
		kind, says         string
	}{
		{"live", "GET", "/livez", well, 200, "application/json", `"live": true`},
		{"not live", "GET", "/livez", ill, 503, "application/json", `"problem": "nobody accepts"`},
		{"ready", "GET", "/readyz", well, 200, "application/json", `"usable": 1`},
		{"not ready", "GET", "/readyz", ill, 503, "application/json", "the service is stopping"},
		{"head", "HEAD", "/readyz", ill, 503, "application/json", ""},
		{"metrics", "GET", "/metrics", well, 200, "text/plain", "oauthproxy_ready 1\n"},
		{"write", "POST", "/readyz", well, 405, "text/plain", ""},
		{"elsewhere", "GET", "/", well, 404, "text/plain", ""},
		{"profiles", "GET", "/debug/pprof/", well, 404, "text/plain", ""},
		{"above", "GET", "/livez/more", well, 404, "text/plain", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, header, body := fetch(t, test.method, "http://"+openWeb(t, test.probes)+test.path)
			if status != test.status || !strings.HasPrefix(header.Get("Content-Type"), test.kind) || !strings.Contains(body, test.says) {
				t.Errorf("status %d, %s: %s", status, header.Get("Content-Type"), body)
			}
			if test.kind == "application/json" && test.method == "GET" && !json.Valid([]byte(body)) {
				t.Errorf("no JSON: %s", body)
			}
		})
	}
}

// TestWebDoublet: one wrong figure doesn't cost the others.
func TestWebDoublet(t *testing.T) {
	p := Probes{Metrics: NewRegistry(func() Figures {
		f := full()
		f.Certificates = append(f.Certificates, f.Certificates...)
		return f
	})}
	if status, _, body := fetch(t, "GET", "http://"+openWeb(t, p)+"/metrics"); status != 200 || !strings.Contains(body, "oauthproxy_ready 1\n") {
		t.Errorf("status %d: %s", status, body)
	}
}

// TestWebBounds: one connection too many is closed at once, and the others are
// served; so is a header without an end.
func TestWebBounds(t *testing.T) {
	address := openWeb(t, Probes{Live: func() error { return nil }})
	var conns []net.Conn
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	for range maxWebConns {
		conns = append(conns, dial())
	}
	surplus := dial()
	_ = surplus.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := surplus.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one connection too many: %v", err)
	}
	first := conns[0]
	fmt.Fprintf(first, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(first).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Errorf("heard %q, %v", line, err)
	}
	fmt.Fprintf(conns[1], "GET /livez HTTP/1.1\r\nX: %s", strings.Repeat("x", 4*maxWebHeader))
	if line, err := bufio.NewReader(conns[1]).ReadString('\n'); err != nil || !strings.Contains(line, "431") {
		t.Errorf("heard %q, %v", line, err)
	}
}

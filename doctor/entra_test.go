package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	tenantID      = "11111111-2222-3333-4444-555555555555"
	unknownTenant = `{"error":"invalid_tenant","error_description":"AADSTS90002: Tenant 'contoso' not found. Check to make sure.","error_codes":[90002],"trace_id":"t"}`
)

// document is a discovery document whose addresses are at the hosts.
func document(token, issuer, more string) string {
	return fmt.Sprintf(`{"authorization_endpoint":"https://%[1]s/%[3]s/oauth2/v2.0/authorize","token_endpoint":"https://%[1]s/%[3]s/oauth2/v2.0/token","issuer":"https://%[2]s/%[3]s/v2.0"%[4]s}`,
		token, issuer, tenantID, more)
}

// canned answers each request with that, and notes which it was.
type canned struct {
	status int
	header map[string]string
	body   string
	err    error
	asked  []string
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked = append(c.asked, r.URL.String())
	if c.err != nil {
		return nil, c.err
	}
	response := &http.Response{StatusCode: c.status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(c.body)), Request: r}
	for name, value := range c.header {
		response.Header.Set(name, value)
	}
	return response, nil
}

// discovered examines one authority that answers so.
func discovered(t *testing.T, authority, cloud string, c *canned) *notes {
	t.Helper()
	e, n := examine(nil, nil, Account{Mailbox: "alice@contoso.com", App: "staff", Tenant: "contoso.onmicrosoft.com", Authority: authority, Cloud: cloud})
	e.HTTP = &http.Client{Transport: c}
	e.entra(t.Context())
	for _, f := range n.found {
		checkTexts(t, f)
	}
	return n
}

// TestDiscovery: what each answer to the question for the document means.
func TestDiscovery(t *testing.T) {
	const (
		com = "login.microsoftonline.com"
		us  = "login.microsoftonline.us"
		cn  = "login.partner.microsoftonline.cn"
	)
	tests := []struct {
		name, host, cloud string
		answer            canned
		status            Status
		cause             string
		seen              string
	}{
		{"well", com, "worldwide", canned{status: 200, body: document(com, com, "")}, OK, "", "issuer https://login.microsoftonline.com/"},
		{"a tenant of Europe", com, "worldwide", canned{status: 200, body: document(com, com, `,"tenant_region_scope":"EU","tenant_region_sub_scope":null,"cloud_instance_name":"microsoftonline.com"`)}, OK, "", "region EU"},
		{"GCC is in the worldwide cloud", com, "worldwide", canned{status: 200, body: document(com, com, `,"tenant_region_scope":"NA","tenant_region_sub_scope":"GCC","cloud_instance_name":"microsoftonline.com"`)}, OK, "", "NA GCC"},
		{"an old one of the government's", com, "worldwide", canned{status: 200, body: document(com, com, `,"tenant_region_scope":"USG","cloud_instance_name":"microsoftonline.us"`)}, OK, "", ""},
		{"an old name of the issuer", com, "worldwide", canned{status: 200, body: document(com, "sts.windows.net", "")}, OK, "", ""},
		{"a template for an issuer", com, "worldwide", canned{status: 200, body: strings.ReplaceAll(document(com, com, `,"tenant_region_scope":null`), tenantID, "{tenantid}")}, OK, "", ""},
		{"GCC High", us, "gcc-high", canned{status: 200, body: document(us, us, `,"tenant_region_scope":"USGov","tenant_region_sub_scope":"DODCON","cloud_instance_name":"microsoftonline.us"`)}, OK, "", ""},
		{"DoD", us, "dod", canned{status: 200, body: document(us, us, `,"tenant_region_scope":"USGov","tenant_region_sub_scope":"DOD"`)}, OK, "", ""},
		{"China", cn, "china", canned{status: 200, body: document(cn, cn, `,"tenant_region_scope":"AS","cloud_instance_name":"partner.microsoftonline.cn"`)}, OK, "", ""},
		{"an authority by hand, the cloud left out", us, "worldwide", canned{status: 200, body: document(us, us, `,"tenant_region_scope":"USGov","tenant_region_sub_scope":"DODCON"`)}, OK, "", ""},
		{"a private one", "login.contoso.com:8443", "worldwide", canned{status: 200, body: document("login.contoso.com:8443", "LOGIN.contoso.com:8443", "")}, OK, "", ""},
		{"with the port that is usual", "login.contoso.com:443", "worldwide", canned{status: 200, body: document("login.contoso.com", "login.contoso.com", "")}, OK, "", ""},

		{"GCC High, and the worldwide cloud is configured", com, "worldwide", canned{status: 200, body: document(com, com, `,"tenant_region_scope":"USGov","tenant_region_sub_scope":"DODCON"`)}, Broken, "wrong-cloud", "USGov DODCON"},
		{"the same at a private authority", "login.contoso.com", "worldwide", canned{status: 200, body: document("login.contoso.com", "login.contoso.com", `,"tenant_region_scope":"USGov"`)}, Broken, "wrong-cloud", ""},
		{"worldwide, and GCC High is configured", us, "gcc-high", canned{status: 200, body: document(us, us, `,"tenant_region_scope":"EU"`)}, Broken, "wrong-cloud", ""},
		{"China, and worldwide is configured", com, "worldwide", canned{status: 200, body: document(com, com, `,"tenant_region_scope":"AS","cloud_instance_name":"partner.microsoftonline.cn"`)}, Broken, "wrong-cloud", ""},
		{"DoD, and GCC High is configured", us, "gcc-high", canned{status: 200, body: document(us, us, `,"tenant_region_scope":"USGov","tenant_region_sub_scope":"DOD"`)}, Warning, "wrong-cloud", ""},
		{"the document of another cloud", com, "worldwide", canned{status: 200, body: document(us, us, "")}, Broken, "wrong-cloud", us},
		{"an issuer in another cloud", com, "worldwide", canned{status: 200, body: document(com, us, "")}, Warning, "wrong-cloud", us},
		{"a token endpoint elsewhere", com, "worldwide", canned{status: 200, body: document("login.fabrikam.com", com, "")}, Broken, "authority-foreign", "login.fabrikam.com"},
		{"an issuer elsewhere", com, "worldwide", canned{status: 200, body: document(com, "login.fabrikam.com", "")}, Broken, "authority-foreign", "login.fabrikam.com"},
		{"an address that is none", com, "worldwide", canned{status: 200, body: `{"authorization_endpoint":"a","token_endpoint":"\u0007:","issuer":"c"}`}, Broken, "discovery-unusable", ""},

		{"no such tenant", com, "worldwide", canned{status: 400, body: unknownTenant}, Broken, "tenant-unknown", "AADSTS90002"},
		{"no such tenant, 404", com, "worldwide", canned{status: 404, body: unknownTenant}, Broken, "tenant-unknown", ""},
		{"the number in the text alone", com, "worldwide", canned{status: 400, body: `{"error":"invalid_tenant","error_description":"AADSTS90002: Tenant not found."}`}, Broken, "tenant-unknown", ""},
		{"a number nobody knows", com, "worldwide", canned{status: 400, body: `{"error":"invalid_request","error_description":"AADSTS9999999: The moon is full. Trace ID: x","error_codes":[9999999]}`}, Broken, "entra-refuses", "The moon is full"},
		{"a passing fault", com, "worldwide", canned{status: 503, body: `{"error":"temporarily_unavailable","error_codes":[90033]}`}, Warning, "entra-passing-fault", ""},
		{"429", com, "worldwide", canned{status: 429, body: "Too Many Requests"}, Warning, "entra-throttles", ""},
		{"503", com, "worldwide", canned{status: 503, body: "<html>"}, Warning, "entra-fault", "503"},
		{"407", com, "worldwide", canned{status: 407}, Broken, "web-proxy-login", "407"},
		{"511", com, "worldwide", canned{status: 511, body: "<html>"}, Broken, "captive-portal", "511"},
		{"302", com, "worldwide", canned{status: 302, header: map[string]string{"Location": "http://wifi.example\x07/login"}}, Broken, "captive-portal", "status 302"},
		{"302 to a page", com, "worldwide", canned{status: 302, header: map[string]string{"Location": "http://wifi.example/login"}}, Broken, "captive-portal", "wifi.example"},
		{"a page", com, "worldwide", canned{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<html>Welcome"}, Broken, "captive-portal", "web page"},
		{"a page that calls itself JSON", com, "worldwide", canned{status: 200, header: map[string]string{"Content-Type": "application/json"}, body: " <html>Welcome"}, Broken, "captive-portal", "web page"},
		{"403", com, "worldwide", canned{status: 403, body: "blocked"}, Broken, "captive-portal", "403"},
		{"404 without a word", com, "worldwide", canned{status: 404}, Broken, "discovery-unusable", ""},
		{"JSON of something else", com, "worldwide", canned{status: 200, body: `{"hello":"world"}`}, Broken, "discovery-unusable", ""},
		{"fields of other types", com, "worldwide", canned{status: 200, body: `{"token_endpoint":1,"issuer":[],"authorization_endpoint":{},"error_codes":"x"}`}, Broken, "discovery-unusable", ""},
		{"a list", com, "worldwide", canned{status: 200, body: `[]`}, Broken, "captive-portal", ""},
		{"null", com, "worldwide", canned{status: 200, body: `null`}, Broken, "captive-portal", ""},
		{"too much", com, "worldwide", canned{status: 200, body: `{"a":"` + strings.Repeat("a", 2*maxDiscovery) + `"}`}, Broken, "captive-portal", ""},

		{"closed", com, "worldwide", canned{err: io.ErrUnexpectedEOF}, Broken, "connection-closed", ""},
		{"late", com, "worldwide", canned{err: context.DeadlineExceeded}, Broken, "answer-late", ""},
		{"an alert of TLS", com, "worldwide", canned{err: &net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}}, Broken, "tls-failed", "internal error"},
		{"something else", com, "worldwide", canned{err: errors.New("what?\x07")}, Broken, "discovery-unusable", "what?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			authority := "https://" + test.host + "/" + tenantID
			n := discovered(t, authority, test.cloud, &test.answer)
			got := n.of("entra")
			if len(got) != 1 || got[0].Subject != authority || got[0].Status != test.status || got[0].Cause != test.cause || !strings.Contains(got[0].Seen, test.seen) {
				t.Fatalf("%+v, want %s %q", got, test.status, test.cause)
			}
			if want := authority + "/v2.0/.well-known/openid-configuration"; len(test.answer.asked) != 1 || test.answer.asked[0] != want {
				t.Errorf("asked for %v", test.answer.asked)
			}
			if clock := n.of("clock"); len(clock) != 1 {
				t.Errorf("clock: %+v", clock)
			}
		})
	}
}

// TestAuthoritiesOnce: each authority is asked once, a managed identity has
// none.
func TestAuthoritiesOnce(t *testing.T) {
	c := &canned{status: 503}
	e, n := examine(nil, nil,
		Account{Authority: "https://login.microsoftonline.com/a"}, Account{}, Account{Authority: "https://login.microsoftonline.com/a"},
		Account{Authority: "https://login.microsoftonline.com/b"})
	e.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) { return (&canned{status: c.status}).RoundTrip(r) })}
	e.unreachable["login.microsoftonline.com:443"] = "tcp of login.microsoftonline.com:443"
	e.entra(t.Context())
	if got := n.of("entra"); len(got) != 2 || got[0].Status != Skipped || got[1].Status != Skipped {
		t.Errorf("unreachable: %+v", got)
	}
	n.found = nil
	e.ThroughProxy = true // then it doesn't count what can be reached directly
	e.entra(t.Context())
	if got := n.of("entra"); len(got) != 2 || got[0].Status != Warning || got[1].Subject != "https://login.microsoftonline.com/b" {
		t.Errorf("through a web proxy: %+v", got)
	}
}

// TestNoAuthority: then there is nothing to tell, of the clock neither.
func TestNoAuthority(t *testing.T) {
	e, n := examine(nil, nil, Account{Mailbox: "alice@contoso.com"})
	e.entra(t.Context())
	if n.begun != 0 {
		t.Errorf("%+v", n.found)
	}
}

// TestClock compares this machine's clock with what an answer tells.
func TestClock(t *testing.T) {
	now := time.Now()
	date := func(off time.Duration) string { return now.Add(off).UTC().Format(http.TimeFormat) }
	tests := []struct {
		name   string
		header map[string]string
		status Status
		seen   string
	}{
		{"right", map[string]string{"Date": date(0)}, OK, "agrees"},
		{"half a minute behind", map[string]string{"Date": date(30 * time.Second)}, OK, "behind"},
		{"two minutes behind", map[string]string{"Date": date(2 * time.Minute)}, Warning, "behind"},
		{"two minutes ahead", map[string]string{"Date": date(-2 * time.Minute)}, Warning, "ahead of"},
		{"ten minutes ahead", map[string]string{"Date": date(-10 * time.Minute)}, Broken, "ahead of"},
		{"an hour behind", map[string]string{"Date": date(time.Hour)}, Broken, "1h0m"},
		{"out of a cache", map[string]string{"Date": date(-10 * time.Minute), "Age": "600"}, OK, "agrees"},
		{"an age that is none", map[string]string{"Date": date(0), "Age": "99999999999999999999"}, OK, "agrees"},
		{"long ago", map[string]string{"Date": "Sat, 01 Jan 0000 00:00:00 GMT"}, Broken, "ahead of"},
		{"far off", map[string]string{"Date": "Fri, 31 Dec 9999 23:59:59 GMT"}, Broken, "behind"},
		{"no date", nil, Note, "no usable date"},
		{"garbage", map[string]string{"Date": "yesterday"}, Note, "no usable date"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := discovered(t, "https://login.microsoftonline.com/contoso", "worldwide", &canned{status: 400, header: test.header, body: unknownTenant})
			got := n.of("clock")
			if len(got) != 1 || got[0].Status != test.status || !strings.Contains(got[0].Seen, test.seen) {
				t.Errorf("%+v", got)
			}
			if want := test.status == Broken || test.status == Warning; (got[0].Cause == "clock-wrong") != want {
				t.Errorf("cause %q", got[0].Cause)
			}
		})
	}
	t.Run("a page of somebody else's", func(t *testing.T) {
		n := discovered(t, "https://login.microsoftonline.com/contoso", "worldwide", &canned{status: 200, header: map[string]string{"Date": date(time.Hour)}, body: "<html>"})
		if got := n.of("clock"); len(got) != 1 || got[0].Status != Skipped {
			t.Errorf("%+v", got)
		}
	})
}

// TestRoundTrip: a slow answer makes no clock wrong, and the fastest counts.
func TestRoundTrip(t *testing.T) {
	sent := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	header := http.Header{"Date": {sent.Format(http.TimeFormat)}}
	slow := readClock("slow", header, sent, sent.Add(20*time.Minute))
	if f := slow.finding(); f.Status != OK {
		t.Errorf("slow: %+v", f)
	}
	fast := readClock("fast", header, sent, sent.Add(time.Second))
	none := readClock("none", http.Header{}, sent, sent)
	for _, order := range [][]clock{{slow, fast, none}, {none, fast, slow}, {fast, none, slow}} {
		var best clock
		for _, c := range order {
			best = best.orBetter(c)
		}
		if best.host != "fast" {
			t.Errorf("%s is best", best.host)
		}
	}
}

// TestRedirectNotFollowed: a sign-in page of the network isn't asked.
func TestRedirectNotFollowed(t *testing.T) {
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/login", http.StatusFound)
	}))
	defer server.Close()
	e, n := examine(nil, nil, Account{Authority: server.URL + "/contoso"})
	e.HTTP = server.Client()
	e.entra(t.Context())
	if got := n.of("entra"); asked != 1 || len(got) != 1 || got[0].Cause != "captive-portal" {
		t.Errorf("asked %d times: %+v", asked, got)
	}
}

func FuzzDiscovery(f *testing.F) {
	for _, body := range []string{document("login.microsoftonline.com", "sts.windows.net", `,"tenant_region_scope":"USGov"`), unknownTenant, `{"error":"x","error_codes":[-1]}`, `{}`, `[]`, "<html>", ""} {
		f.Add(200, "text/html", "Sun, 22 Nov 2026 12:00:00 GMT", body)
		f.Add(400, "", "", body)
	}
	f.Fuzz(func(t *testing.T, status int, kind, date, body string) {
		n := discovered(t, "https://login.microsoftonline.com/contoso", "worldwide", &canned{status: status, header: map[string]string{"Content-Type": kind, "Date": date, "Location": kind, "Age": date}, body: body})
		for _, found := range n.found {
			if found.Status == "" || !utf8.ValidString(found.Seen) {
				t.Errorf("%+v", found)
			}
		}
	})
}

// TestRefusing: what is broken at an authority is kept for its accounts, what
// is only a warning isn't.
func TestRefusing(t *testing.T) {
	for _, test := range []struct {
		status int
		want   string
	}{{http.StatusNotFound, "discovery-unusable"}, {http.StatusServiceUnavailable, ""}} {
		a := Account{Authority: "https://login.microsoftonline.com/a", Cloud: "worldwide"}
		e, _ := examine(nil, nil, a)
		e.HTTP = &http.Client{Transport: &canned{status: test.status}}
		e.entra(t.Context())
		if got := e.refusing[a.tenancy()]; got.Cause != test.want || test.want != "" && got.Subject != a.Authority {
			t.Errorf("%d: %+v", test.status, got)
		}
	}
}

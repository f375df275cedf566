package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/internal/sandbox"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
)

// serveWatched starts the proxy with a port for metrics and health, and returns
// that port's address.
func (s *site) serveWatched() (proxy *running, imap, smtp, web string) {
	s.t.Helper()
	s.change("state_directory:", "admin: {address: \"127.0.0.1:0\"}\nstate_directory:")
	proxy, imap, smtp = s.serveAll()
	return proxy, imap, smtp, "http://" + proxy.err.await(s.t, `msg=listening protocol=http address=(\S+)`)[1]
}

// visit returns the status and the body of a page.
func visit(t *testing.T, address string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// metrics are what was scraped.
type metrics map[string]*dto.MetricFamily

func scrape(t *testing.T, web string) metrics {
	t.Helper()
	status, text := visit(t, web+"/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v:\n%s", status, err, text)
	}
	return families
}

// of returns the value of the metric with these labels, written as in
// sessions{protocol="imap"}; of a histogram the count. -1: there is none.
func (m metrics) of(metric string) float64 {
	name, labels, _ := strings.Cut(strings.TrimSuffix(metric, "}"), "{")
	family := m["oauthproxy_"+name]
	if family == nil {
		return -1
	}
	for _, candidate := range family.Metric {
		var all []string
		for _, l := range candidate.Label {
			all = append(all, l.GetName()+`="`+l.GetValue()+`"`)
		}
		if strings.Join(all, ",") == labels {
			return candidate.GetGauge().GetValue() + candidate.GetCounter().GetValue() + float64(candidate.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

func (m metrics) want(t *testing.T, want map[string]float64) {
	t.Helper()
	for metric, value := range want {
		if got := m.of(metric); got != value {
			t.Errorf("%s is %v, want %v", metric, got, value)
		}
	}
}

// TestMetrics scrapes a proxy before and after sessions of several kinds.
func TestMetrics(t *testing.T) {
	s := appOnly(t)
	s.change("  - {mailbox: scanner@contoso.example", "  - {mailbox: not-connected@contoso.example, app: devices, logins: [{user: blocked, password_hash: *hash}]}\n  - {mailbox: scanner@contoso.example")
	s.change(`{protocol: imap, address: "127.0.0.1:0"}`, `{protocol: imap, address: "127.0.0.1:0", tls: auto}`)
	proxy, imap, smtp, web := s.serveWatched()
	before := scrape(t, web)
	before.want(t, map[string]float64{
		`ready`:                           1,
		`sessions_total{protocol="imap"}`: 0,
		`logins_total{protocol="imap",result="ok"}`:                                        0,
		`logins_total{protocol="smtp",result="bad_credentials"}`:                           0,
		`logins_total{protocol="smtp",result="tls_required"}`:                              -1,
		`sessions_total{protocol="pop3"}`:                                                  -1, // there is no such port
		`messages_total{verdict="accepted"}`:                                               0,
		`phase_duration_seconds{phase="login",protocol="imap"}`:                            0,
		`phase_duration_seconds{phase="message",protocol="smtp"}`:                          0,
		`phase_duration_seconds{phase="message",protocol="imap"}`:                          -1,
		`account_state{account="bob@contoso.example",state="ready"}`:                       1,
		`account_state{account="bob@contoso.example",state="sign_in_needed"}`:              0,
		`account_token_left_seconds{account="bob@contoso.example"}`:                        0,
		`account_token_requests_total{account="bob@contoso.example",result="ok"}`:          0,
		`account_messages_limit{account="scanner@contoso.example"}`:                        30,
		`account_recipients_limit{account="scanner@contoso.example"}`:                      10000,
		`account_upstream_connections{account="scanner@contoso.example",state="kept"}`:     0,
		`upstream_refusals_total{cause="app-without-access",protocol="imap",what="login"}`: -1,
		`account_token_requests_total{account="scanner@contoso.example",result="failed"}`:  0,
	})
	if left := before.of(`certificate_left_seconds{name="` + imap + `",of="listener"}`); left < 300*24*3600 {
		t.Errorf("the certificate is good for %v s", left)
	}
	if before["go_goroutines"] == nil || before["process_cpu_seconds_total"] == nil || before["oauthproxy_build_info"] == nil {
		t.Error("the Go runtime, the process or the build is missing")
	}

	bob := openIMAP(t, imap, "bob")
	for range 2 { // when the second is answered, the first has been counted
		if err := bob.Noop().Wait(); err != nil {
			t.Error(err)
		}
	}
	if heard := logInByIMAP(t, imap, "blocked"); !strings.HasPrefix(heard, "a NO [UNAVAILABLE]") {
		t.Errorf("heard %q", heard)
	}
	if heard := logInByIMAP(t, imap, "nobody"); !strings.HasPrefix(heard, "a NO [AUTHENTICATIONFAILED]") {
		t.Errorf("heard %q", heard)
	}
	for range 2 {
		if err := sendFrom(smtp, "scanner", localPassword, "scanner@contoso.example"); err != nil {
			t.Fatal(err)
		}
	}
	after := scrape(t, web)
	after.want(t, map[string]float64{
		`ready`: 1,
		`sessions{protocol="imap",state="logged_in"}`:                                      1,
		`sessions_total{protocol="imap"}`:                                                  3,
		`logins_total{protocol="imap",result="ok"}`:                                        1,
		`logins_total{protocol="imap",result="bad_credentials"}`:                           1,
		`logins_total{protocol="imap",result="upstream_refused"}`:                          1,
		`logins_total{protocol="smtp",result="ok"}`:                                        2,
		`upstream_refusals_total{cause="app-without-access",protocol="imap",what="login"}`: 1,
		`messages_total{verdict="accepted"}`:                                               2,
		`phase_duration_seconds{phase="verify",protocol="imap"}`:                           2,
		`phase_duration_seconds{phase="login",protocol="imap"}`:                            1,
		`phase_duration_seconds{phase="message_wait",protocol="smtp"}`:                     2,
		`phase_duration_seconds{phase="message",protocol="smtp"}`:                          2,
		`account_recipients{account="scanner@contoso.example"}`:                            2,
		`account_messages{account="scanner@contoso.example"}`:                              2,
		`account_waiting_clients{account="scanner@contoso.example"}`:                       0,
		`account_upstream_connections{account="scanner@contoso.example",state="kept"}`:     1,
		`account_upstream_connections{account="scanner@contoso.example",state="used"}`:     0,
		`account_token_requests_total{account="bob@contoso.example",result="ok"}`:          1,
	})
	for _, moved := range []string{
		`account_token_left_seconds{account="bob@contoso.example"}`,
		`relayed_bytes_total{direction="to_client",protocol="imap"}`,
		`relayed_bytes_total{direction="to_upstream",protocol="smtp"}`,
	} {
		if after.of(moved) <= 0 {
			t.Errorf("%s is %v", moved, after.of(moved))
		}
	}
	_, text := visit(t, web+"/metrics")
	for _, foreign := range []string{"nobody", "blocked", localPassword, "eyJ", s.ClientSecret(), "127.0.0.1\""} {
		if strings.Contains(text, foreign) {
			t.Errorf("the metrics hold %q, which is no name of the configuration's, or a secret", foreign)
		}
	}
	if err := bob.Logout().Wait(); err != nil {
		t.Error(err)
	}
	proxy.err.await(t, `msg="session closed".*login=bob`)
	if now := scrape(t, web); now.of(`sessions{protocol="imap",state="logged_in"}`) != 0 {
		t.Error("a session that has ended is still counted")
	}
	proxy.end(t)
	if _, err := http.Get(web + "/livez"); err == nil {
		t.Error("the port is open after the end")
	}
}

func health(t *testing.T, web string) (status int, h admin.Health) {
	t.Helper()
	status, body := visit(t, web+"/readyz")
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return status, h
}

// TestReadiness: with Entra ID down the ports open, and the service is ready
// until somebody finds out; then it says so, and finds out by itself that Entra
// ID is back.
func TestReadiness(t *testing.T) {
	s := appOnly(t)
	s.SetEntraFault(sandbox.ServerError(http.StatusServiceUnavailable, time.Second).Everywhere())
	proxy, imap, _, web := s.serveWatched()
	if status, h := health(t, web); status != http.StatusOK || !h.IsReady || h.Accounts != (admin.AccountsHealth{Usable: 2, All: 2}) ||
		len(h.Listeners) != 2 || !h.Listeners[0].IsOpen || h.Listeners[0].Address != imap || len(h.Problems) > 0 {
		t.Errorf("at the start: status %d, %+v", status, h)
	}
	for _, user := range []string{"bob", "scanner"} {
		if heard := logInByIMAP(t, imap, user); !strings.HasPrefix(heard, "a NO [UNAVAILABLE]") {
			t.Errorf("%s heard %q", user, heard)
		}
	}
	status, h := health(t, web)
	if status != http.StatusServiceUnavailable || h.IsReady || h.Accounts.Usable != 0 || len(h.Problems) != 2 ||
		!strings.HasPrefix(h.Problems[0], "bob@contoso.example: Entra unreachable: ") {
		t.Errorf("with Entra ID down: status %d, %+v", status, h)
	}
	if m := scrape(t, web); m.of("ready") != 0 || m.of(`account_state{account="bob@contoso.example",state="entra_unreachable"}`) != 1 ||
		m.of(`account_token_requests_total{account="bob@contoso.example",result="failed"}`) < 1 {
		t.Error("the metrics don't tell")
	}
	if status, body := visit(t, web+"/livez"); status != http.StatusOK || !strings.Contains(body, `"live": true`) {
		t.Errorf("livez: status %d, %s", status, body)
	}
	s.SetEntraFault(sandbox.NoFault)
	for deadline := time.Now().Add(patience); ; {
		if status, h = health(t, web); h.IsReady || time.Now().After(deadline) {
			break
		}
	}
	if status != http.StatusOK || !h.IsReady || h.Accounts.Usable != 1 {
		t.Errorf("with Entra ID back: status %d, %+v", status, h)
	}
	proxy.end(t)
}

// TestReadinessNeedsSignIn: an account for which nobody has signed in is of no
// use, and the details tell what to do; of many such accounts they name some.
func TestReadinessNeedsSignIn(t *testing.T) {
	s := newSite(t, "device_code")
	var more strings.Builder
	for n := range 25 {
		fmt.Fprintf(&more, "  - {mailbox: person%d@contoso.example, app: staff, logins: [{user: person%d, password_hash: *hash}]}\n", n, n)
	}
	s.change("  - {mailbox: scanner", more.String()+"  - {mailbox: scanner")
	proxy, _, _, web := s.serveWatched()
	status, h := health(t, web)
	if status != http.StatusOK || h.Accounts != (admin.AccountsHealth{Usable: 1, All: 28}) || len(h.Problems) != 21 ||
		!strings.HasPrefix(h.Problems[20], "and 7 more accounts") ||
		!regexp.MustCompile(`^alice@contoso\.example: sign-in needed: .*oauthproxy login alice@contoso\.example`).MatchString(h.Problems[0]) {
		t.Errorf("status %d, %+v", status, h)
	}
	proxy.end(t)
}

// TestLive: a port that nobody accepts from is no life, but for a service that
// stops.
func TestLive(t *testing.T) {
	s := &service{server: proxy.NewServer(proxy.Options{
		Settings: proxy.Settings{UpstreamTLS: &tls.Config{}},
		Log:      slog.New(slog.DiscardHandler),
	})}
	defer s.server.Shutdown(t.Context())
	p, err := openPort(config.Listener{Protocol: config.IMAP, Address: "127.0.0.1:0"}, nil, &proxy.Listener{Protocol: imap.Protocol{}})
	if err != nil {
		t.Fatal(err)
	}
	s.ports = []*port{p}
	s.servePort(p)
	if err := s.live(); err != nil {
		t.Error(err)
	}
	closePorts(s.ports)
	s.accepting.Wait()
	if err := s.live(); err == nil || !strings.Contains(err.Error(), "nobody accepts clients at the imap listener") {
		t.Errorf("got %v", err)
	}
	s.stopping.Store(true)
	if err := s.live(); err != nil {
		t.Error(err)
	}
}

// TestOpenWeb: elsewhere than on loopback the metrics are served with a
// warning; a port that is taken is named.
func TestOpenWeb(t *testing.T) {
	s := appOnly(t)
	proxy, _, _, web := s.serveWatched()
	if strings.Contains(proxy.err.String(), "can be read from the network") {
		t.Error("loopback is warned of")
	}
	s.change(`admin: {address: "127.0.0.1:0"}`, `admin: {address: "`+strings.TrimPrefix(web, "http://")+`"}`)
	s.change("state_directory: state", "state_directory: other")
	if got := runCommand(t, "", "serve", "--config", s.config); got.status != exitFailed || !strings.Contains(got.err, "admin.address") {
		t.Errorf("with the port taken: %+v", got)
	}
	proxy.end(t)
	s.change(strings.TrimPrefix(web, "http://"), "0.0.0.0:0")
	proxy, _, _ = s.serveAll()
	proxy.err.await(t, `level=WARN msg="metrics and health can be read from the network`)
	proxy.end(t)
}

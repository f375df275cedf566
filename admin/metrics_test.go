package admin

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"oauthproxy/proxy"
	"oauthproxy/proxy/smtp"
	"oauthproxy/tokens"
)

// full are figures that have something of every family.
func full() Figures {
	return Figures{
		Version: "v1",
		IsReady: true,
		Protocols: []proxy.Figures{{
			Protocol: "smtp", Sessions: 5, Arriving: 1, LoggedIn: 2, LegacyTLS: 3, Up: 10, Down: 20, Accepted: 4,
			Refused:  map[proxy.Kind]uint64{proxy.BadCredentials: 1, proxy.SignInRequired: 2},
			Messages: map[proxy.Verdict]uint64{proxy.Temporary: 6},
			Phases:   map[proxy.Phase]proxy.Durations{proxy.PhaseMessage: {UpTo: map[time.Duration]uint64{time.Millisecond: 1, time.Second: 2}, Count: 3, Sum: 4 * time.Second}},
			Refusals: map[proxy.UpstreamRefusal]uint64{{What: proxy.RefusedLogin}: 7, {What: proxy.RefusedSender, Cause: "send-as"}: 8},
		}},
		Accounts: []AccountFigures{{
			Token: tokens.Figures{Account: "alice@contoso.com", State: tokens.StateSignIn, Left: time.Minute, Obtained: 1, Failed: 2},
			Crowd: proxy.Crowd{Kept: 1, Used: 2, Waiting: 3},
			Usage: smtp.Usage{Messages: 4, MessagesPerMinute: 30, Recipients: 5, RecipientsPerDay: 10000, Waiting: 6},
		}},
		Certificates: []Certificate{{"app", "devices", -time.Hour}},
	}
}

// TestExposition: what Prometheus gets of known figures.
func TestExposition(t *testing.T) {
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := testutil.CollectAndCompare(newCollector(full), strings.NewReader(string(want))); err != nil {
		t.Error(err)
	}
	problems, err := testutil.CollectAndLint(newCollector(full))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v: %+v", err, problems)
	}
}

// TestEveryFamilyIsCollected: the figures above leave none out, nor does the
// code.
func TestEveryFamilyIsCollected(t *testing.T) {
	gathered, err := NewRegistry(full).Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, family := range gathered {
		got[family.GetName()] = true
	}
	for _, family := range families {
		if !got[family.name] {
			t.Errorf("%s is never given", family.name)
		}
	}
	if !got["go_goroutines"] {
		t.Error("the Go runtime is missing")
	}
}

// TestPageListsFamilies: docs/metrics.md has each metric, with its type and its
// labels, and no other.
func TestPageListsFamilies(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, f := range families {
		labels := "–"
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", f.name, f.kind, labels, strings.TrimSuffix(f.help, "."))
	}
	if rows := regexp.MustCompile("(?m)^\\| `oauthproxy_.*\n").FindAllString(string(page), -1); strings.Join(rows, "") != want.String() {
		t.Errorf("the table of docs/metrics.md should be:\n%s", &want)
	}
}

// TestAlertsKnowMetrics: the rules and the page name no metric that there isn't.
func TestAlertsKnowMetrics(t *testing.T) {
	known := make(map[string]bool)
	for _, f := range families {
		known[f.name] = true
	}
	for _, file := range []string{"../docs/monitoring/alerts.yaml", "../docs/metrics.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`oauthproxy_[a-z_]+`).FindAllString(string(text), -1)
		if len(names) < 10 {
			t.Errorf("%s names %d metrics only", file, len(names))
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s names %s, which there isn't", file, name)
			}
		}
	}
}

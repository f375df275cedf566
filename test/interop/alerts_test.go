//go:build linux

package interop

import (
	"os"
	"testing"
)

// TestAlerts: Prometheus takes the rules, they say what they should in a night
// that goes well and in one that doesn't, and it takes the metrics.
func TestAlerts(t *testing.T) {
	needs(t, "promtool")
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := os.ReadFile("../../admin/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := newProgram(t)
	p.must(nil, "promtool", "check", "rules", folder+"/../../docs/monitoring/alerts.yaml")
	p.must(nil, "promtool", "test", "rules", folder+"/testdata/alerts_test.yaml")
	p.must(metrics, "promtool", "check", "metrics")
}

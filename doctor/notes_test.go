package doctor

import (
	"strings"
	"sync"
	"testing"
)

// notes is an observer that keeps what it is told.
type notes struct {
	mu    sync.Mutex
	begun int
	found []Finding
}

func (n *notes) Begin(string, string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begun++
}

func (n *notes) Found(f Finding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.found = append(n.found, f)
}

// of returns the findings of one kind of probe.
func (n *notes) of(probe string) []Finding {
	var all []Finding
	for _, f := range n.found {
		if f.Probe == probe {
			all = append(all, f)
		}
	}
	return all
}

// findings are those of a run.
type findings []Finding

// run makes all probes and returns what they find.
func run(t *testing.T, p Plan) findings {
	t.Helper()
	n := new(notes)
	if _, err := Run(t.Context(), p, n); err != nil {
		t.Fatal(err)
	}
	return n.found
}

// only returns the one finding of a probe.
func (f findings) only(t *testing.T, probe string) Finding {
	t.Helper()
	n := notes{found: f}
	all := n.of(probe)
	if len(all) != 1 {
		t.Fatalf("%d findings of %q: %+v", len(all), probe, f)
	}
	return all[0]
}

// want is what a finding should be; seen and fix are pieces.
type want struct {
	status           Status
	cause, seen, fix string
}

func (w want) check(t *testing.T, f Finding) {
	t.Helper()
	if f.Status != w.status || f.Cause != w.cause || !strings.Contains(f.Seen, w.seen) || !strings.Contains(strings.Join(f.Fix, "\n"), w.fix) {
		t.Errorf("found %+v\nwant  %+v", f, w)
	}
	if w.cause != "" && (f.Means == "" || f.Do == "" || f.Who != "you") {
		t.Errorf("%s doesn't say what to do: %+v", w.cause, f)
	}
}

//go:build linux

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// units is where the units are.
const units = "../../systemd"

// exposure is how much of the machine each service may be left with by its
// hardening, ten times the figure of "systemd-analyze security": 0 is best. A
// person's own service can't be kept from more without being root.
var exposure = map[string]string{
	"oauthproxy.service":      "11",
	"user/oauthproxy.service": "62",
}

// TestUnits lets systemd judge all units, as if the program were installed.
func TestUnits(t *testing.T) {
	needs(t, "systemd-analyze")
	needShared(t)
	// A person's systemd looks for its own sockets there.
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	verifyUnits(t, "--system", units)
	verifyUnits(t, "--user", filepath.Join(units, "user"))
	for name, most := range exposure {
		out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold="+most, filepath.Join(units, name)).CombinedOutput()
		if err != nil {
			t.Errorf("%s is more exposed than %s tenths: %v\n%s", name, most, err, out)
		}
	}
}

// verifyUnits looks for mistakes in the units of a folder. systemd-analyze
// finds some of them without failing.
func verifyUnits(t *testing.T, whose, folder string) {
	t.Helper()
	arguments := []string{whose, "verify", "--man=no", "--recursive-errors=no"}
	copies := t.TempDir()
	for _, unit := range unitsOf(t, folder) {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		installed := filepath.Join(copies, filepath.Base(unit))
		writeFile(t, installed, execLine.ReplaceAll(text, []byte("${1}"+shared.program+" ")))
		arguments = append(arguments, installed)
	}
	out, err := exec.Command("systemd-analyze", arguments...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

var execLine = regexp.MustCompile(`(?m)^(Exec\w+=)\S*/oauthproxy `)

// unitsOf returns the units in a folder.
func unitsOf(t *testing.T, folder string) []string {
	t.Helper()
	services, _ := filepath.Glob(filepath.Join(folder, "*.service"))
	sockets, _ := filepath.Glob(filepath.Join(folder, "*.socket"))
	if len(services) == 0 {
		t.Fatalf("no unit in %s", folder)
	}
	return append(services, sockets...)
}

//go:build linux

package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBoot plays testdata/boot/story.sh under a systemd of its own, in a
// container that has this machine's programs, and nothing else of it.
func TestBoot(t *testing.T) {
	needs(t, "systemd-nspawn", "curl", "openssl")
	needShared(t)
	if os.Getuid() != 0 {
		lacks(t, "a systemd can be started by root alone")
	}
	local, out := t.TempDir(), t.TempDir()
	// As it is installed: the race detector needs more than the unit allows.
	build := exec.Command("go", "build", "-o", filepath.Join(local, "bin", "oauthproxy"), mainPackage)
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	container := func(arguments ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
		defer cancel()
		return exec.CommandContext(ctx, "systemd-nspawn", append([]string{
			"--quiet", "--directory=/", "--volatile=yes", "--private-network", "--register=no", "--keep-unit",
		}, arguments...)...).CombinedOutput()
	}
	if said, err := container("true"); err != nil {
		t.Skipf("no container can be started here: %v\n%s", err, said)
	}
	said, err := container("--boot", "--bind-ro="+local+":/usr/local",
		"--bind-ro="+absolute(t, "testdata/boot")+":/story", "--bind-ro="+absolute(t, units)+":/units", "--bind="+out+":/out",
		"--bind-ro="+absolute(t, "testdata/boot/story.service")+":/etc/systemd/system/story.service",
		"systemd.unit=story.service", "systemd.firstboot=no", "systemd.show_status=no",
		"systemd.mask=systemd-networkd-wait-online.service") // there is no network to wait for
	log, _ := os.ReadFile(filepath.Join(out, "log"))
	if !strings.HasSuffix(string(log), "\nthe end\n") {
		t.Fatalf("the story doesn't come to its end (%v):\n%s\n%s", err, log, said)
	}
	t.Logf("%s", log)
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	name, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

package certificate

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAuthorityAsRoot: what root makes in the service's state directory belongs
// to the service.
func TestAuthorityAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user, group = 12345, 23456
	state := t.TempDir()
	if err := os.Chown(state, user, group); err != nil {
		t.Skip(err)
	}
	mustIssue(t, mustOpen(t, state), ":25", "a.example")
	files := 0
	err := filepath.WalkDir(state, func(name string, _ fs.DirEntry, _ error) error {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != group {
			t.Errorf("%s belongs to %d:%d", name, owner.Uid, owner.Gid)
		}
		files++
		return nil
	})
	if err != nil || files != 4 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestAuthorityReadableByOthers: a root's key is no secret any more when others
// can read it.
func TestAuthorityReadableByOthers(t *testing.T) {
	state := t.TempDir()
	file := filepath.Join(mustOpen(t, state).folder, rootName)
	for mode, refused := range map[fs.FileMode]bool{0o644: true, 0o604: true, 0o620: true, 0o600: false, 0o640: false, 0o400: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := OpenAuthority(state, "proxy.example")
		if refused != (err != nil && strings.Contains(err.Error(), "chmod 600 "+file)) || !refused && err != nil {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

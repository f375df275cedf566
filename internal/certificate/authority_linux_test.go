package certificate

import (
	"io/fs"
	"os"
	"path/filepath"
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

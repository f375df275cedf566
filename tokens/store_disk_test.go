package tokens

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"oauthproxy/internal/safefile"
)

// realDisk is what OpenStore uses.
var realDisk = disk{write: safefile.Write, rename: safefile.Rename, remove: safefile.Remove}

// testDisk works until it has made as many changes as it may (-1: any number),
// or err is set.
type testDisk struct {
	changes, most int
	err           error
}

func (d *testDisk) change(do func() error) error {
	if d.err != nil {
		return d.err
	}
	if d.changes == d.most {
		return errors.New("the power is off")
	}
	d.changes++
	return do()
}

func (d *testDisk) disk() disk {
	return disk{
		write: func(name string, data []byte, mode os.FileMode) error {
			return d.change(func() error { return safefile.Write(name, data, mode) })
		},
		rename: func(name, to string) error {
			return d.change(func() error { return safefile.Rename(name, to) })
		},
		remove: func(name string) error {
			return d.change(func() error { return safefile.Remove(name) })
		},
	}
}

// snapshot returns all files of the folder but the lock.
func snapshot(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range storeFiles(t, folder) {
		if name != "store.lock" {
			files[name] = string(mustRead(t, filepath.Join(folder, name)))
		}
	}
	return files
}

func wantSnapshot(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	got := snapshot(t, folder)
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s has changed", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

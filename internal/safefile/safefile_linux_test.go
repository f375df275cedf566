package safefile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe has no end; it is refused, not waited for.
func TestReadPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Read(name, 9)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.HasSuffix(err.Error(), "it is not a file") {
			t.Errorf("error %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Read waits for the pipe")
	}
}

// What root writes into another user's folder belongs to that user.
func TestWriteAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user, group = 12345, 23456
	folder := t.TempDir()
	if err := os.Chown(folder, user, group); err != nil {
		t.Skip(err)
	}
	name := filepath.Join(folder, "state")
	if err := Write(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != group || info.Mode() != 0o600 {
		t.Errorf("belongs to %d:%d, mode %v", owner.Uid, owner.Gid, info.Mode())
	}
}

// A disk that is really full, where the machine lets us make one.
func TestFullDisk(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("can't make a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, 0) })
	name := filepath.Join(folder, "state")
	if err := Write(name, []byte("old content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(name, bytes.Repeat([]byte("x"), 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	wantContent(t, name, "old content")
	wantNames(t, folder, "state")
}

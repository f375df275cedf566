package safefile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state")
	for _, test := range []struct {
		name    string
		content string
		mode    fs.FileMode
	}{
		{"new", "one", 0o600},
		{"replaced by a longer one", "twenty-one", 0o640},
		{"replaced by a shorter one", "2", 0o600},
		{"emptied", "", 0o600},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := Write(name, []byte(test.content), test.mode); err != nil {
				t.Fatal(err)
			}
			wantContent(t, name, test.content)
			info, err := os.Stat(name)
			if err != nil || runtime.GOOS != "windows" && info.Mode() != test.mode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			wantNames(t, filepath.Dir(name), "state")
		})
	}
}

// Whatever step fails, the old file is whole, nothing is left behind, and the
// error tells the file and the reason, but no temporary name.
func TestWriteFails(t *testing.T) {
	for _, step := range []string{"create", "chmod", "write", "sync", "close", "rename"} {
		for _, old := range []string{"", "old content"} {
			t.Run(step+" over "+old, func(t *testing.T) {
				folder := t.TempDir()
				name := filepath.Join(folder, "state")
				var names []string
				if old != "" {
					writeFile(t, name, old)
					names = []string{"state"}
				}
				swapHost(t, failing(step))
				err := Write(name, []byte("new content"), 0o600)
				if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), temporary) {
					t.Errorf("error %v", err)
				}
				wantNames(t, folder, names...)
				if old != "" {
					wantContent(t, name, old)
				}
			})
		}
	}
}

// When the folder can't be brought to the disk, the new file is there whole.
func TestFolderSyncFails(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "state")
	writeFile(t, name, "old content")
	swapHost(t, failing("sync folder"))
	if err := Write(name, []byte("new content"), 0o600); !errors.Is(err, errDisk) {
		t.Errorf("error %v", err)
	}
	wantContent(t, name, "new content")
	if err := Rename(name, name+"2"); !errors.Is(err, errDisk) {
		t.Errorf("rename: error %v", err)
	}
	if err := Remove(name + "2"); !errors.Is(err, errDisk) {
		t.Errorf("remove: error %v", err)
	}
	wantNames(t, folder)
}

func TestWriteIntoNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "missing", "state")
	if err := Write(name, nil, 0o600); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "can't write "+name+": ") {
		t.Errorf("error %v", err)
	}
}

func TestRead(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	writeFile(t, file, "12345678")
	tests := []struct {
		name, file string
		limit      int64
		want       string
		err        error
	}{
		{"below the limit", file, 9, "12345678", nil},
		{"at the limit", file, 8, "12345678", nil},
		{"above the limit", file, 7, "", ErrTooLarge},
		{"no file", file + "2", 9, "", fs.ErrNotExist},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data, err := Read(test.file, test.limit)
			if string(data) != test.want || !errors.Is(err, test.err) {
				t.Errorf("%q, %v", data, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "can't read "+test.file+": ") {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := Read(folder, 9); err == nil || !strings.HasSuffix(err.Error(), "it is not a file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestRenameAndRemove(t *testing.T) {
	folder := t.TempDir()
	one, two := filepath.Join(folder, "one"), filepath.Join(folder, "two")
	writeFile(t, one, "1")
	writeFile(t, two, "2")
	if err := Rename(one, two); err != nil {
		t.Fatal(err)
	}
	wantContent(t, two, "1")
	if err := Remove(two); err != nil {
		t.Fatal(err)
	}
	wantNames(t, folder)
	if err := Rename(one, two); !errors.Is(err, fs.ErrNotExist) || err.Error() != "can't rename "+one+" to two: "+errors.Unwrap(err).Error() {
		t.Errorf("rename: error %v", err)
	}
	if err := Remove(one); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove: error %v", err)
	}
}

// A crash leaves a temporary file; Sweep takes it and nothing else.
func TestSweep(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "state")
	working, crashing := host, failing("rename")
	crashing.remove = func(string) error { return errDisk }
	swapHost(t, crashing)
	if err := Write(name, []byte("half"), 0o600); err == nil {
		t.Fatal("no crash")
	}
	writeFile(t, name, "whole")
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	if err := Sweep(folder); !errors.Is(err, errDisk) {
		t.Errorf("what can't be removed: %v", err)
	}
	host = working
	if err := Sweep(folder); err != nil {
		t.Fatal(err)
	}
	wantNames(t, folder, "state")
	if err := Sweep(name + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

var errDisk = errors.New("no space left on device")

// failing returns a system that works but for one step.
func failing(step string) system {
	s := host
	fails := func(at string, do func() error) error {
		if at == step {
			return errDisk
		}
		return do()
	}
	s.create = func(folder string) (file, error) {
		if step == "create" {
			return nil, &fs.PathError{Op: "open", Path: filepath.Join(folder, temporary+"1"), Err: errDisk}
		}
		f, err := create(folder)
		return failingFile{f, fails}, err
	}
	s.rename = func(name, to string) error {
		return fails("rename", func() error { return os.Rename(name, to) })
	}
	s.syncFolder = func(folder string) error {
		return fails("sync folder", func() error { return syncFolder(folder) })
	}
	return s
}

type failingFile struct {
	file
	fails func(step string, do func() error) error
}

func (f failingFile) Chmod(mode fs.FileMode) error {
	return f.fails("chmod", func() error { return f.file.Chmod(mode) })
}

// Write writes half before it fails, as on a full disk.
func (f failingFile) Write(data []byte) (n int, err error) {
	err = f.fails("write", func() error { n, err = f.file.Write(data); return err })
	if errors.Is(err, errDisk) {
		n, _ = f.file.Write(data[:len(data)/2])
	}
	return n, err
}

func (f failingFile) Sync() error { return f.fails("sync", f.file.Sync) }

// Close closes in any case: Windows doesn't remove an open file.
func (f failingFile) Close() error {
	err := f.file.Close()
	return f.fails("close", func() error { return err })
}

// swapHost puts another system in place until the test ends.
func swapHost(t *testing.T, s system) {
	t.Helper()
	old := host
	t.Cleanup(func() { host = old })
	host = s
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantContent(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s holds %q, %v", name, got, err)
	}
}

func wantNames(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %q, want %q", names, want)
	}
}

package tokens

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A folder that can't be written to, for a user other than root, whom modes
// don't stop.
func TestReadOnlyFolder(t *testing.T) {
	becomeUser(t)
	folder := t.TempDir()
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, testAccount, "old")
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(folder, 0o700) }()
	for what, err := range map[string]error{
		"save":   s.Save(testAccount, []byte(testToken)),
		"delete": s.Delete(testAccount),
		"rekey":  s.Rekey(GenerateKey()),
	} {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: %v", what, err)
		}
		wantNoTrace(t, "the error", err.Error())
	}
	wantLoaded(t, s, testAccount, "old")
	closeStore(t, s)

	empty := t.TempDir()
	if err := os.Chmod(empty, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(empty, KeyOptions{}, nil); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "can't lock the store of sign-ins") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := OpenStore(filepath.Join(empty, "state"), KeyOptions{}, nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a folder in it: %v", err)
	}
}

// A file that belongs to somebody else is told by its name.
func TestUnreadableFile(t *testing.T) {
	becomeUser(t)
	s := openTestStore(t, t.TempDir(), KeyOptions{})
	wantSaved(t, s, testAccount, "old")
	file := s.file(sealedPrefix, testAccount)
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	_, loading := s.Load(testAccount)
	for _, err := range []error{loading, s.Save(testAccount, nil), s.Delete(testAccount)} {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v", err)
		}
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, s, testAccount, "old")
}

// The lock is no way for the folder's owner to have root write elsewhere.
func TestLockFollowsNoLink(t *testing.T) {
	folder, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	mustWrite(t, elsewhere, []byte("precious"))
	if err := os.Symlink(elsewhere, filepath.Join(folder, "store.lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(folder, KeyOptions{}, nil); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("got %v", err)
	}
	if string(mustRead(t, elsewhere)) != "precious" {
		t.Error("the file behind the link was changed")
	}
}

// What root does in a service's folder, such as a command at the console,
// leaves nothing that the service can't read.
func TestRootInAServicesFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user = 12345
	folder := t.TempDir()
	if err := os.Chown(folder, user, user); err != nil {
		t.Skip(err)
	}
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, testAccount, "a")
	for _, name := range storeFiles(t, folder) {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != user {
			t.Errorf("%s belongs to %d:%d", name, owner.Uid, owner.Gid)
		}
	}
}

// A key that root makes elsewhere is for the store's owner to read.
func TestRootMakesAKey(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user = 12345
	folder, file := t.TempDir(), filepath.Join(t.TempDir(), "store.key")
	if err := os.Chown(folder, user, user); err != nil {
		t.Skip(err)
	}
	if _, err := openTestStore(t, folder, KeyOptions{}).MakeKey(file); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || info.Mode() != 0o600 {
		t.Errorf("it belongs to %d, mode %v", owner.Uid, info.Mode())
	}
}

// becomeUser gives the test, where root runs it, the rights of nobody on
// files. The thread that has them ends with the test.
func becomeUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	outer := filepath.Dir(t.TempDir())
	if err := os.Chown(outer, nobody, nobody); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Skip(err)
	}
}

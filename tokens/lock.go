package tokens

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"oauthproxy/internal/safefile"
)

// ErrLocked says that another process has the store open. The error around it
// tells which one.
var ErrLocked = errors.New("the store of sign-ins is in use")

// fileLock is a lock on a folder, for as long as its file is open. The
// operating system takes it away from a process that ends in any way. The
// file itself stays: removed, it could be locked twice.
type fileLock struct{ file *os.File }

// lockPatience is how long to wait for processes that have the folder locked
// just for reading or writing something.
const lockPatience = time.Second

// lockFile locks the file, which is made if there is none.
func lockFile(name string) (fileLock, error) {
	f, err := openLock(name)
	if err != nil {
		return fileLock{}, fmt.Errorf("can't lock the store of sign-ins, check who owns %s, and that %s is no link: %w", filepath.Dir(name), name, err)
	}
	for until := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 50) {
		if err = tryLock(f); !errors.Is(err, ErrLocked) || time.Now().After(until) {
			break
		}
	}
	if errors.Is(err, ErrLocked) {
		err = fmt.Errorf("%w by %s (it has locked %s)", ErrLocked, whoHolds(f), name)
	}
	if err != nil {
		_ = f.Close()
		return fileLock{}, err
	}
	// Whom others will blame. That it fails, as on a full disk, harms nothing.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return fileLock{f}, nil
}

// openLock follows no link: root would write to wherever the folder's owner
// points.
func openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(name, os.O_RDWR|noFollow, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := safefile.Adopt(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// whoHolds names the process that has written its number into the file.
func whoHolds(f *os.File) string {
	data, _ := io.ReadAll(io.LimitReader(f, 20))
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
}

// isInPlace tells whether the file still stands where it was locked: if not,
// its folder has been removed or exchanged.
func (l fileLock) isInPlace() bool {
	locked, err := l.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(l.file.Name())
	return err == nil && os.SameFile(locked, there)
}

func (l fileLock) release() error { return l.file.Close() }

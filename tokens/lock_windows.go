package tokens

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

const noFollow = 0

// tryLock takes the file's lock; ErrLocked if somebody else has it. The one
// byte that is locked lies far behind the content: on Windows nobody else can
// read what is locked, and the content tells who has it.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("can't lock %s: %w", f.Name(), err)
	}
	return nil
}

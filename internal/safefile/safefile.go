// Package safefile replaces files atomically: whoever reads one gets the old
// content or the new one, whole, even after a power failure in between.
package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrTooLarge says that a file is larger than its reader allows.
var ErrTooLarge = errors.New("it is too large")

// temporary starts the names of files that aren't complete yet.
const temporary = ".safefile-"

// Write replaces the file by one that holds data. The new file is written
// beside it, brought to the disk and renamed. On failure the old file stays
// as it was and nothing is left behind; only where the very last step fails,
// bringing the folder to the disk, the new file is in place already.
//
// Where root writes into a folder of another user, the file becomes that
// user's: else a command run by root would lock a service out of its state.
func Write(name string, data []byte, mode os.FileMode) error {
	if err := host.write(name, data, mode); err != nil {
		return fmt.Errorf("can't write %s: %w", name, cause(err))
	}
	return nil
}

// Rename gives a file another name in the same folder and brings that to the
// disk. A file that had this name is gone.
func Rename(name, to string) error {
	if err := host.renameAndSync(name, to); err != nil {
		return fmt.Errorf("can't rename %s to %s: %w", name, filepath.Base(to), cause(err))
	}
	return nil
}

// Remove removes a file and brings that to the disk.
func Remove(name string) error {
	if err := host.removeAndSync(name); err != nil {
		return fmt.Errorf("can't remove %s: %w", name, cause(err))
	}
	return nil
}

// Read returns what is in a file of at most limit bytes. What isn't a regular
// file, such as a pipe that would never end, is refused; links are followed.
// The error is fs.ErrNotExist where there is no file and ErrTooLarge where
// there is too much of one.
func Read(name string, limit int64) ([]byte, error) {
	data, err := read(name, limit)
	if err != nil {
		return nil, fmt.Errorf("can't read %s: %w", name, cause(err))
	}
	return data, nil
}

func read(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return data, err
}

// Sweep removes what a crash in the middle of Write has left in the folder.
// The caller is the only one who writes there.
func Sweep(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("can't read %s: %w", folder, cause(err))
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), temporary) {
			continue
		}
		if err := Remove(filepath.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// cause returns what an error of the file system says besides names: ours are
// said already, and that of a temporary file tells nobody anything.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

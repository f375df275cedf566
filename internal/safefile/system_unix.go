//go:build unix

package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Adopt makes a file that root has opened belong to the owner of its folder.
// For everybody else it does nothing.
func Adopt(f *os.File) error { return give(f, filepath.Dir(f.Name())) }

// Give makes a file, which no link leads to, belong to the owner of the folder
// if root calls it. For everybody else it does nothing.
func Give(name, folder string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return give(f, folder)
}

func give(f *os.File, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// syncFolder brings the names in a folder to the disk. Some network file
// systems can't, and have done all they do by then.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

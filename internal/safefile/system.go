package safefile

import (
	"os"
	"path/filepath"
)

// file is what Write needs of an open file.
type file interface {
	Name() string
	Chmod(os.FileMode) error
	Write([]byte) (int, error)
	Sync() error
	Close() error
}

// system is what this package asks of the operating system; tests put one in
// its place that fails.
type system struct {
	create     func(folder string) (file, error)
	rename     func(name, to string) error
	remove     func(name string) error
	syncFolder func(folder string) error
}

// host is the system that we run on.
var host = system{create: create, rename: os.Rename, remove: os.Remove, syncFolder: syncFolder}

// create makes an empty file, 0600, that belongs to the folder's owner.
func create(folder string) (file, error) {
	f, err := os.CreateTemp(folder, temporary+"*")
	if err != nil {
		return nil, err
	}
	if err := Adopt(f); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

func (s system) write(name string, data []byte, mode os.FileMode) error {
	folder := filepath.Dir(name)
	f, err := s.create(folder)
	if err != nil {
		return err
	}
	err = fill(f, data, mode)
	if err == nil {
		err = s.rename(f.Name(), name)
	}
	if err != nil {
		_ = s.remove(f.Name())
		return err
	}
	return s.syncFolder(folder)
}

// fill brings data to the disk and closes the file.
func fill(f file, data []byte, mode os.FileMode) error {
	err := f.Chmod(mode)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

func (s system) renameAndSync(name, to string) error {
	if err := s.rename(name, to); err != nil {
		return err
	}
	return s.syncFolder(filepath.Dir(to))
}

func (s system) removeAndSync(name string) error {
	if err := s.remove(name); err != nil {
		return err
	}
	return s.syncFolder(filepath.Dir(name))
}

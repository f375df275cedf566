package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// FindStateDirectory returns the state directory of a configuration whatever
// else is in that: somebody who can't read the secrets it names can still ask
// the running service. It is "" when the file doesn't tell.
func FindStateDirectory(file string) (string, error) {
	top, err := peek(file)
	if err != nil {
		return "", err
	}
	if top == nil { // no YAML any more: the one line of it may still be
		data, folder, err := open(file)
		if err != nil {
			return "", err
		}
		r := &reader{file: file, folder: folder}
		line := stateDirectoryLine.Find(data)
		if line == nil || r.parse(line) == nil {
			line = []byte("{}")
		}
		top, _ = r.section(r.parse(line), "", topKeys)
	}
	return stateDirectory(top), nil
}

var stateDirectoryLine = regexp.MustCompile(`(?m)^state_directory:.*$`)

// FindListeners returns the listeners of a configuration whatever else is in
// that, and its state directory: certificates are none of the secrets. What
// can't be used of a listener is empty.
func FindListeners(file string) (all []Listener, state string, err error) {
	top, err := peek(file)
	if top == nil {
		return nil, "", err
	}
	return listeners(top), stateDirectory(top), nil
}

// peek opens a configuration without telling its problems: they are told when
// it is loaded. It returns nil where the file has no keys at all.
func peek(file string) (*section, error) {
	data, folder, err := open(file)
	if err != nil {
		return nil, err
	}
	r := &reader{file: file, folder: folder}
	root := r.parse(data)
	if root == nil {
		return nil, nil
	}
	top, _ := r.section(root, "", topKeys)
	return top, nil
}

// open reads the configuration, and finds the folder it is in.
func open(file string) (data []byte, folder string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, "", fmt.Errorf("can't read the configuration %s: %w", file, cause(err))
	}
	defer f.Close()
	if data, err = readBounded(f, maxFile); err != nil {
		return nil, "", fmt.Errorf("can't read the configuration %s: %w", file, cause(err))
	}
	if folder, err = filepath.Abs(filepath.Dir(file)); err != nil {
		return nil, "", fmt.Errorf("can't find the folder of the configuration %s: %w", file, err)
	}
	return data, folder, nil
}

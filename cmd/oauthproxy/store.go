package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"oauthproxy/tokens"
)

// store works on the store of sign-ins.
func store(ctx context.Context, args []string, u *ui) int {
	o := newOptions("store", u)
	keyFile := o.String("key-file", "", "encrypt with the key in `FILE`, which is made if there is none")
	rest, status, ok := o.parse(args, 1)
	switch {
	case !ok:
		return status
	case len(rest) == 0:
		return o.misuse(errors.New("say what to do with the store: rekey"))
	case rest[0] != "rekey":
		return o.misuse(fmt.Errorf("unknown argument %q", rest[0]))
	}
	return o.rekey(*keyFile)
}

// rekey encrypts the store with another key. While a service runs it can't:
// that has the store locked.
func (o *options) rekey(keyFile string) int {
	c, status := o.configuration()
	if c == nil {
		return status
	}
	s, err := openStore(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return o.ui.failLocked(err, "the key can't be changed while the service runs: stop it, run this again, and start it")
	}
	defer s.Close()
	key, err := newKey(keyFile)
	if err == nil {
		err = s.Rekey(key)
	}
	if err != nil {
		return o.ui.fail(err)
	}
	kept, err := s.Accounts()
	if err != nil {
		return o.ui.fail(err)
	}
	o.ui.say("the store has a new key; sign-ins in it: %d", len(kept))
	if keyFile != "" && !sameFile(keyFile, c.Store.KeyFile) {
		o.ui.hint("before the next start, write into the configuration: store: {key_file: %q}", absolute(keyFile))
	}
	return exitWell
}

// newKey returns the key in the file, which is made if there is none; without
// a file, one to take the place of the store's own.
func newKey(file string) (tokens.Key, error) {
	if file == "" {
		return tokens.GenerateKey(), nil
	}
	key, err := tokens.ReadKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		return tokens.MakeKey(file)
	}
	return key, err
}

func sameFile(a, b string) bool { return absolute(a) == absolute(b) }

func absolute(file string) string {
	if name, err := filepath.Abs(file); err == nil {
		return name
	}
	return file
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"

	"oauthproxy/config"
	"oauthproxy/tokens"
)

// store works on the store of sign-ins.
func store(ctx context.Context, args []string, u *ui) int {
	o := newOptions("store", u)
	keyFile := o.String("key-file", "", "encrypt with the key in `FILE`, which is made if there is none")
	passphrase := o.Bool("passphrase", false, "encrypt with a passphrase, which is asked for")
	rest, status, ok := o.parse(args, 1)
	switch {
	case !ok:
		return status
	case len(rest) == 0:
		return o.misuse(errors.New("say what to do with the store: rekey"))
	case rest[0] != "rekey":
		return o.misuse(fmt.Errorf("unknown argument %q", rest[0]))
	case *keyFile != "" && *passphrase:
		return o.misuse(errors.New("--key-file and --passphrase can't be used together"))
	}
	return o.rekey(ctx, *keyFile, *passphrase)
}

// rekey encrypts the store with another key. While a service runs it can't:
// that has the store locked.
func (o *options) rekey(ctx context.Context, keyFile string, passphrase bool) int {
	c, status := o.configuration()
	if c == nil {
		return status
	}
	quiet := slog.New(slog.DiscardHandler)
	s, err := openStore(c, quiet)
	if errors.Is(err, tokens.ErrInterrupted) && keyFile != "" {
		if s, err = tokens.OpenStore(c.StateDirectory, tokens.KeyOptions{File: keyFile}, quiet); err == nil {
			_ = s.Close()
			o.ui.say("the change of the key that was interrupted is ended: the store has the key in %s", keyFile)
			o.ui.tellKey(c, keyFile, false)
			return exitWell
		}
	}
	if err != nil {
		return o.ui.failLocked(err, "the key can't be changed while the service runs: stop it, run this again, and start it")
	}
	defer s.Close()
	before, _ := s.Accounts()
	key, err := o.newKey(ctx, s, keyFile, passphrase)
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
	for _, account := range before {
		if !slices.Contains(kept, account) {
			o.ui.say("the file of %s is damaged and was moved aside: sign in again", account)
		}
	}
	o.ui.say("the store has a new key; sign-ins in it: %d", len(kept))
	o.ui.tellKey(c, keyFile, passphrase)
	return exitWell
}

// tellKey tells what the next start needs to find the new key.
func (u *ui) tellKey(c *config.Config, keyFile string, passphrase bool) {
	hasCredential := tokens.EnvironmentKey("").HasCredential()
	switch {
	case passphrase:
		u.hint("before the next start, set OAUTHPROXY_STORE_PASSPHRASE to it; the credential store.key and store.key_file go before it: remove them")
	case keyFile != "" && hasCredential:
		u.hint("before the next start, make it the credential, which goes before everything else: LoadCredential=store.key:%s", absolute(keyFile))
	case keyFile != "" && !sameFile(keyFile, c.Store.KeyFile):
		u.hint("before the next start, write into the configuration: store: {key_file: %q}", absolute(keyFile))
	}
}

// newKey returns the key in the file, which is made if there is none, or that
// of a passphrase; without either, one to take the place of the store's own.
func (o *options) newKey(ctx context.Context, s *tokens.Store, file string, passphrase bool) (tokens.Key, error) {
	if passphrase {
		phrase, err := o.ui.newPassword(ctx)
		if err != nil {
			return tokens.Key{}, err
		}
		return s.PassphraseKey(phrase)
	}
	if file == "" {
		return tokens.GenerateKey(), nil
	}
	key, err := tokens.ReadKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s.MakeKey(file)
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

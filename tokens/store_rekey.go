package tokens

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Rekey seals everything with another key. Where that comes from ReadKey,
// MakeKey or PassphraseKey, the caller sees to it that the next OpenStore finds
// it; one from GenerateKey takes the place of the store's own.
//
// At every moment one of the two keys opens everything, so that a crash loses
// nothing: everything is first sealed anew in files of its own, then the key
// is changed, and only then do the new files take the place of the old ones.
// The next OpenStore undoes or finishes what was interrupted, by the key that
// it is given. Nothing is changed where anything is sealed with a third key, or
// by another version of this program; what is damaged is moved aside.
func (s *Store) Rekey(key Key) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.checkNewKey(key); err != nil {
		return err
	}
	accounts, err := s.accounts()
	if err != nil {
		return err
	}
	accounts, err = s.prepare(accounts, key)
	if err != nil {
		s.removePending()
		return fmt.Errorf("the key was not changed: %w", err)
	}
	if err := s.change(accounts, key); err != nil {
		s.closed = errors.New("the change of the key was interrupted: restart oauthproxy, which undoes or finishes it")
		return fmt.Errorf("the change of the key was interrupted, the next start undoes or finishes it: %w", err)
	}
	return nil
}

func (s *Store) checkNewKey(key Key) error {
	if _, err := key.aead(); err != nil {
		return err
	}
	if key.id() == s.key.id() {
		return errors.New("the new key is the one in use")
	}
	if key.isNew && !s.key.isOwn {
		return fmt.Errorf("the key is %s, which oauthproxy doesn't change by itself: name a file for the new key", s.key.source)
	}
	return nil
}

// prepare seals everything with the new key, beside what is there. It returns
// the accounts whose files aren't damaged.
func (s *Store) prepare(accounts []string, key Key) (prepared []string, err error) {
	for _, account := range accounts {
		blob, err := s.load(s.file(sealedPrefix, account), account)
		if damaged, ok := errors.AsType[*Damaged](err); ok {
			if err := s.moveAside(damaged, account); err != nil {
				return nil, err
			}
			continue
		}
		if err == nil {
			err = s.write(s.file(pendingPrefix, account), key, account, blob)
		}
		if err != nil {
			return nil, err
		}
		prepared = append(prepared, account)
	}
	return prepared, nil
}

// change puts the key and what is prepared in place.
func (s *Store) change(accounts []string, key Key) error {
	if key.isNew {
		file := filepath.Join(s.folder, keyName)
		if err := s.disk.write(file, key.text(), 0o600); err != nil {
			return err
		}
		key = Key{Secret: key.Secret, source: file, isOwn: true}
	}
	if err := s.promote(accounts); err != nil {
		return err
	}
	s.key = key
	return nil
}

// promote puts the prepared files of the accounts in place.
func (s *Store) promote(accounts []string) error {
	for _, account := range accounts {
		if err := s.disk.rename(s.file(pendingPrefix, account), s.file(sealedPrefix, account)); err != nil {
			return err
		}
	}
	return nil
}

// recover finishes a Rekey that was interrupted if its prepared files open all
// that the key doesn't, and undoes it if the key opens everything as it is.
// Where only the other one of its two keys can do so, nothing is changed, and
// the error is ErrInterrupted.
func (s *Store) recover() error {
	foreign, err := s.foreign()
	if err != nil {
		return err
	}
	if len(foreign) > 0 && s.isPrepared(foreign) {
		s.log.Info("finishing the change of the key that was interrupted", "key", s.key.source)
		return s.promote(foreign)
	}
	foreign = s.adopt(foreign)
	pending, err := s.list(pendingPrefix)
	switch {
	case err != nil:
		return err
	case len(foreign) == 0:
		s.removePending()
	case len(pending) > 0:
		return &KeyTrouble{fmt.Errorf("%w, and %s isn't the key that can end it: run: oauthproxy store rekey --key-file FILE, with the file of the other one of the two keys; where that one is no file, put it back",
			ErrInterrupted, s.key.source)}
	default:
		s.log.Error("sign-ins that are sealed with another key can't be used", "account", strings.Join(foreign, ", "), "key", s.key.source)
	}
	return nil
}

// foreign returns the accounts whose files are sealed with another key.
func (s *Store) foreign() ([]string, error) {
	accounts, err := s.accounts()
	return slices.DeleteFunc(accounts, func(account string) bool {
		_, err := s.load(s.file(sealedPrefix, account), account)
		return !errors.As(err, new(*WrongKey))
	}), err
}

// adopt seals anew what opens with the store's own key. A command run by hand
// may have made that one, where only the service gets the key; or it was in use
// before the service got another. The accounts are returned whose files open
// with neither.
func (s *Store) adopt(foreign []string) []string {
	own, err := ReadKey(filepath.Join(s.folder, keyName))
	if !s.key.isServices || err != nil {
		return foreign
	}
	var left []string
	for _, account := range foreign {
		file := s.file(sealedPrefix, account)
		data, err := readSealed(file)
		if err == nil {
			data, err = unseal(own, file, account, data)
		}
		if err == nil {
			err = s.write(file, s.key, account, data)
		}
		if err != nil {
			left = append(left, account)
			continue
		}
		s.log.Info("sealed anew what was sealed with another key", "account", account, "from", own.source, "key", s.key.source)
	}
	return left
}

// isPrepared tells whether all the accounts' files open in their prepared form.
func (s *Store) isPrepared(accounts []string) bool {
	for _, account := range accounts {
		if _, err := s.load(s.file(pendingPrefix, account), account); err != nil {
			return false
		}
	}
	return true
}

// removePending removes what an interrupted Rekey has prepared. What can't be
// removed does no harm: the next OpenStore or Rekey deals with it.
func (s *Store) removePending() {
	accounts, err := s.list(pendingPrefix)
	for _, account := range accounts {
		err = errors.Join(err, s.disk.remove(s.file(pendingPrefix, account)))
	}
	if err != nil {
		s.log.Warn("a prepared change of the key couldn't be removed", "cause", err)
	}
}

package tokens

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Rekey seals everything with another key. Where that comes from ReadKey,
// MakeKey or PassphraseKey, the caller sees to it that the next OpenStore finds
// it; one from GenerateKey takes the place of the store's own.
//
// At every moment one of the two keys opens everything, so that a crash loses
// nothing: everything is first sealed anew in files of its own, then the key
// is changed, and only then do the new files take the place of the old ones.
// The next OpenStore undoes or finishes what was interrupted, by the key that
// it is given. Nothing is changed where anything doesn't open with the key at
// hand.
func (s *Store) Rekey(key Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkNewKey(key); err != nil {
		return err
	}
	accounts, err := s.accounts()
	if err != nil {
		return err
	}
	if err := s.prepare(accounts, key); err != nil {
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
	if err := s.usable(); err != nil {
		return err
	}
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

// prepare seals everything with the new key, beside what is there.
func (s *Store) prepare(accounts []string, key Key) error {
	for _, account := range accounts {
		blob, err := s.load(s.file(sealedPrefix, account), account)
		if err == nil {
			err = s.write(s.file(pendingPrefix, account), key, account, blob)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
// Otherwise nothing is changed: a key that opens nothing is a *WrongKey, and so
// is the old one of a Rekey that only the new one can finish.
func (s *Store) recover(accounts []string) error {
	pending, err := s.list(pendingPrefix)
	if err != nil {
		return err
	}
	var foreign []string
	var wrong *WrongKey
	for _, account := range accounts {
		_, err := s.load(s.file(sealedPrefix, account), account)
		if e, ok := errors.AsType[*WrongKey](err); ok {
			foreign, wrong = append(foreign, account), e
		}
	}
	switch {
	case wrong == nil:
		s.removePending()
	case s.isPrepared(foreign):
		s.log.Info("finishing the change of the key that was interrupted", "key", s.key.source)
		return s.promote(foreign)
	case len(foreign) == len(accounts) || len(pending) > 0:
		return wrong
	default:
		s.log.Warn("sign-ins that are sealed with another key can't be used", "accounts", foreign, "key", s.key.source)
	}
	return nil
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
		s.log.Warn("a prepared change of the key couldn't be removed", "error", err)
	}
}

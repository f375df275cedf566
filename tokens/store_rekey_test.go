package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oauthproxy/internal/wire"
)

// rekeyWay is where the store's key comes from, before and after.
type rekeyWay struct {
	name string
	// before and after are what the store is opened with.
	before, after KeyOptions
	newKey        func(s *Store) (Key, error)
}

func rekeyWays(t *testing.T) []rekeyWay {
	t.Helper()
	folder := t.TempDir()
	one, two := filepath.Join(folder, "one.key"), filepath.Join(folder, "two.key")
	for _, file := range []string{one, two} {
		if _, err := MakeKey(file); err != nil {
			t.Fatal(err)
		}
	}
	passphrase := wire.NewSecret("correct horse battery staple")
	return []rekeyWay{
		{"own key, in place", KeyOptions{}, KeyOptions{}, func(*Store) (Key, error) { return GenerateKey(), nil }},
		{"own key, then a file", KeyOptions{}, KeyOptions{File: one}, func(*Store) (Key, error) { return ReadKey(one) }},
		{"a file, then another", KeyOptions{File: one}, KeyOptions{File: two}, func(*Store) (Key, error) { return ReadKey(two) }},
		{"own key, then a passphrase", KeyOptions{}, KeyOptions{Passphrase: passphrase}, func(s *Store) (Key, error) { return s.PassphraseKey(passphrase) }},
		{"a passphrase, then a file", KeyOptions{Passphrase: passphrase}, KeyOptions{File: one}, func(*Store) (Key, error) { return ReadKey(one) }},
	}
}

var rekeyContents = map[string]string{"alice@x": "a", "bob@x": "b", "carol@x": "c"}

func filledStore(t *testing.T, folder string, k KeyOptions, d disk) *Store {
	t.Helper()
	s, err := OpenStore(folder, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	for account, content := range rekeyContents {
		wantSaved(t, s, account, content)
	}
	s.disk = d
	return s
}

func TestRekey(t *testing.T) {
	for _, way := range rekeyWays(t) {
		t.Run(way.name, func(t *testing.T) {
			folder := t.TempDir()
			s := filledStore(t, folder, way.before, realDisk)
			old := s.key
			key, err := way.newKey(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Rekey(key); err != nil {
				t.Fatal(err)
			}
			wantContents(t, s)
			wantSaved(t, s, "dave@x", "d") // goes on with the new key
			closeStore(t, s)
			s = openTestStore(t, folder, way.after)
			if s.key.id() == old.id() || s.key.id() != key.id() {
				t.Error("the key hasn't changed")
			}
			wantContents(t, s)
			wantLoaded(t, s, "dave@x", "d")
			if pending, err := s.list(pendingPrefix); err != nil || len(pending) != 0 {
				t.Errorf("left behind: %q, %v", pending, err)
			}
			s.key = old
			if _, err := s.Load("alice@x"); !errors.As(err, new(*WrongKey)) {
				t.Errorf("with the old key: %v", err)
			}
		})
	}
}

// The power fails after each step in turn. Then one of the two keys opens
// everything, the other one harms nothing, and the change can be made after all.
func TestCrashInRekey(t *testing.T) {
	for _, way := range rekeyWays(t)[:3] { // a passphrase takes its time, and the same steps
		done := false
		steps := 0
		for ; !done && !t.Failed(); steps++ {
			t.Run(fmt.Sprintf("%s, %d steps", way.name, steps), func(t *testing.T) {
				folder := t.TempDir()
				done = crashedRekey(t, folder, way, steps)
				wantOneKeyOpens(t, folder, way)
			})
		}
		// Three files sealed anew and three put in place, at least.
		if steps <= 2*len(rekeyContents) {
			t.Errorf("%s was tried for %d steps", way.name, steps)
		}
	}
}

// crashedRekey makes as many steps of a Rekey, and tells whether those were all.
func crashedRekey(t *testing.T, folder string, way rekeyWay, steps int) (done bool) {
	t.Helper()
	d := &testDisk{most: steps}
	s := filledStore(t, folder, way.before, d.disk())
	defer closeStore(t, s)
	key, err := way.newKey(s)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Rekey(key)
	if err != nil && !strings.Contains(err.Error(), "the power is off") {
		t.Fatal(err)
	}
	return err == nil
}

// wantOneKeyOpens opens the store with the old key, then with the new one, and
// the old one again: what opens, opens everything; what doesn't, says so and
// changes nothing.
func wantOneKeyOpens(t *testing.T, folder string, way rekeyWay) {
	t.Helper()
	opened := 0
	for _, k := range []KeyOptions{way.before, way.after, way.before} {
		before := snapshot(t, folder)
		s, err := OpenStore(folder, k, nil)
		if errors.Is(err, ErrInterrupted) {
			wantSnapshot(t, folder, before)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load("alice@x"); errors.As(err, new(*WrongKey)) {
			closeStore(t, s)
			wantSnapshot(t, folder, before)
			continue
		}
		opened++
		wantContents(t, s)
		if pending, err := s.list(pendingPrefix); err != nil || len(pending) != 0 {
			t.Errorf("left behind: %q, %v", pending, err)
		}
		closeStore(t, s)
	}
	if opened == 0 {
		t.Error("neither key opens the store")
	}
}

// The new key alone, right after the crash: it finishes the change if it can,
// and else leaves everything to the old one.
func TestNewKeyAfterCrash(t *testing.T) {
	way := rekeyWays(t)[1]
	for steps := range 7 {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			folder := t.TempDir()
			crashedRekey(t, folder, way, steps)
			isPrepared := steps >= len(rekeyContents)
			s, err := OpenStore(folder, way.after, nil)
			if isPrepared != (err == nil) && steps > 0 || err != nil && !errors.Is(err, ErrInterrupted) {
				t.Fatalf("the new key: %v", err)
			}
			if steps == 0 {
				closeStore(t, s) // nothing has begun: the key is just another one
				s, err = OpenStore(folder, way.before, nil)
			}
			if err != nil {
				s = openTestStore(t, folder, way.before)
			}
			wantContents(t, s)
			closeStore(t, s)
		})
	}
}

// After an interruption the store is closed to the process that is left, which
// could otherwise save what the next start takes for old.
func TestRekeyInterrupted(t *testing.T) {
	folder := t.TempDir()
	way := rekeyWays(t)[0]
	d := &testDisk{most: len(rekeyContents)} // up to the key's own file
	s := filledStore(t, folder, way.before, d.disk())
	if err := s.Rekey(GenerateKey()); err == nil || !strings.Contains(err.Error(), "the next start undoes or finishes it") {
		t.Errorf("got %v", err)
	}
	if err := s.Save("alice@x", nil); err == nil || !strings.Contains(err.Error(), "restart oauthproxy") {
		t.Errorf("got %v", err)
	}
	closeStore(t, s)
	wantContents(t, openTestStore(t, folder, KeyOptions{}))
}

// When it fails early, as on a full disk, everything is as before.
func TestRekeyWithoutSpace(t *testing.T) {
	folder := t.TempDir()
	way := rekeyWays(t)[1]
	s := filledStore(t, folder, way.before, realDisk)
	before := snapshot(t, folder)
	writes := 0
	s.disk.write = func(name string, data []byte, mode os.FileMode) error {
		if writes++; writes == 2 {
			return errors.New("no space left on device")
		}
		return realDisk.write(name, data, mode)
	}
	key, err := way.newKey(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Rekey(key); err == nil || !strings.Contains(err.Error(), "the key was not changed: ") {
		t.Errorf("got %v", err)
	}
	wantSnapshot(t, folder, before)
	wantContents(t, s)
	if err := s.Rekey(key); err != nil {
		t.Error(err)
	}
	wantContents(t, s)
}

func TestRekeyRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "store.key")
	if _, err := MakeKey(file); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	s := filledStore(t, folder, KeyOptions{File: file}, realDisk)
	before := snapshot(t, folder)
	tests := []struct {
		name string
		key  Key
		want string
	}{
		{"no key", Key{}, "there is no key"},
		{"the same key", s.key, "the new key is the one in use"},
		{"a key to be kept nowhere", GenerateKey(), "the key is " + file + ", which oauthproxy doesn't change by itself"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := s.Rekey(test.key); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	mustWrite(t, s.file(sealedPrefix, "torn@x"), []byte("torn"))
	if err := s.Delete("torn@x"); err != nil {
		t.Fatal(err)
	}
	wantSnapshot(t, folder, before)
	if _, err := s.PassphraseKey(wire.Secret{}); err == nil {
		t.Error("an empty passphrase became a key")
	}
}

// What is no account's sign-in keeps nobody from changing the key: a damaged
// file is moved aside, a copy beside its original left alone.
func TestRekeyPassesOver(t *testing.T) {
	folder := t.TempDir()
	s := filledStore(t, folder, KeyOptions{}, realDisk)
	file := s.file(sealedPrefix, "alice@x")
	copied := mustRead(t, file)
	mustWrite(t, file+".bak", copied)
	mustWrite(t, s.file(sealedPrefix, "torn@x"), []byte("torn"))
	if err := s.Rekey(GenerateKey()); err != nil {
		t.Fatal(err)
	}
	wantContents(t, s)
	if accounts, err := s.Accounts(); err != nil || len(accounts) != len(rekeyContents) {
		t.Errorf("accounts %q, %v", accounts, err)
	}
	aside, err := filepath.Glob(filepath.Join(folder, "damaged-*-torn@x"))
	if err != nil || len(aside) != 1 || string(mustRead(t, aside[0])) != "torn" {
		t.Errorf("moved aside: %q, %v", aside, err)
	}
	if !bytes.Equal(mustRead(t, file+".bak"), copied) {
		t.Error("the copy was changed")
	}
	closeStore(t, s)
	wantContents(t, openTestStore(t, folder, KeyOptions{}))
}

// What a command run by hand has sealed with a key of its own making, the
// service takes over with the key that it alone has.
func TestServicesKey(t *testing.T) {
	credentials := t.TempDir()
	if _, err := MakeKey(filepath.Join(credentials, keyName)); err != nil {
		t.Fatal(err)
	}
	for name, service := range map[string]KeyOptions{
		"a credential": {CredentialsDirectory: credentials},
		"a passphrase": {Passphrase: wire.NewSecret("correct horse battery staple")},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			closeStore(t, filledStore(t, folder, KeyOptions{}, realDisk))
			s := openTestStore(t, folder, service)
			wantContents(t, s)
			closeStore(t, s)
			s = openTestStore(t, folder, KeyOptions{})
			if _, err := s.Load("alice@x"); !errors.As(err, new(*WrongKey)) {
				t.Errorf("with the store's own key: %v", err)
			}
		})
	}
}

// mustKey returns a key with a file of its own.
func mustKey(t *testing.T) Key {
	t.Helper()
	key, err := MakeKey(filepath.Join(t.TempDir(), "new.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func wantContents(t *testing.T, s *Store) {
	t.Helper()
	for account, content := range rekeyContents {
		wantLoaded(t, s, account, content)
	}
	accounts, err := s.Accounts()
	if err != nil || !slices.Equal(accounts[:3], []string{"alice@x", "bob@x", "carol@x"}) {
		t.Errorf("accounts %q, %v", accounts, err)
	}
}

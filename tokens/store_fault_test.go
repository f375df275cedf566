package tokens

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// storeFault is a way in which a stored file goes wrong.
type storeFault struct {
	name string
	// spoil changes the file of testAccount, whose neighbour is bob@x.
	spoil func(t *testing.T, s *Store, file string)
	want  string
}

func spoilt(change func(data []byte) []byte) func(*testing.T, *Store, string) {
	return func(t *testing.T, _ *Store, file string) { mustWrite(t, file, change(mustRead(t, file))) }
}

var storeFaults = []storeFault{
	{"empty", spoilt(func([]byte) []byte { return nil }), "it is empty"},
	{"zeros", spoilt(func(d []byte) []byte { return make([]byte, len(d)) }), "it isn't a file that oauthproxy has written"},
	{"cut in the first word", spoilt(func(d []byte) []byte { return d[:2] }), "it isn't a file that oauthproxy has written"},
	{"cut before the format", spoilt(func(d []byte) []byte { return d[:3] }), "it isn't a file that oauthproxy has written"},
	{"cut in the key", spoilt(func(d []byte) []byte { return d[:7] }), "it was cut short"},
	{"cut in the account", spoilt(func(d []byte) []byte { return d[:sealFixed+3] }), "it was cut short"},
	{"cut in the nonce", spoilt(func(d []byte) []byte { return d[:sealFixed+len(testAccount)+3] }), "it was cut short or changed"},
	{"cut at the end", spoilt(func(d []byte) []byte { return d[:len(d)-1] }), "it was cut short or changed"},
	{"a bit of the key's name", spoilt(func(d []byte) []byte { d[5] ^= 1; return d }), "its beginning was changed"},
	{"a bit of the length", spoilt(func(d []byte) []byte { d[sealFixed-1] ^= 0x40; return d }), "its beginning was changed"},
	{"a bit of the account's name", spoilt(func(d []byte) []byte { d[sealFixed] ^= 0x80; return d }), "its beginning was changed"},
	{"longer", spoilt(func(d []byte) []byte { return append(d, 0) }), "it was cut short or changed"},
	{"huge", spoilt(func([]byte) []byte { return make([]byte, maxSealed+1) }), "it is larger than 1052672 bytes"},
	{"of another account", func(t *testing.T, s *Store, file string) {
		mustWrite(t, file, mustRead(t, s.file(sealedPrefix, "bob@x")))
	}, `it belongs to "bob@x", not to "scanner@contoso.example"`},
	{"of another account, in disguise", func(t *testing.T, s *Store, file string) {
		bob := mustRead(t, s.file(sealedPrefix, "bob@x"))
		mustWrite(t, file, append(sealHeader(s.key, testAccount), bob[sealFixed+len("bob@x"):]...))
	}, "it was cut short or changed"},
}

// A file that went wrong is told in plain words and left where it is; the next
// Save moves it aside, whole.
func TestDamagedFile(t *testing.T) {
	for _, fault := range storeFaults {
		t.Run(fault.name, func(t *testing.T) {
			folder := t.TempDir()
			s := openTestStore(t, folder, KeyOptions{})
			wantSaved(t, s, testAccount, testToken)
			wantSaved(t, s, "bob@x", "b")
			file := s.file(sealedPrefix, testAccount)
			fault.spoil(t, s, file)
			spoilt := mustRead(t, file)
			closeStore(t, s)
			s = openTestStore(t, folder, KeyOptions{}) // a damaged file doesn't keep the store from opening

			for range 2 {
				_, err := s.Load(testAccount)
				damaged, ok := errors.AsType[*Damaged](err)
				if !ok || damaged.File != file || damaged.Reason != fault.want || !strings.Contains(err.Error(), "sign in again") {
					t.Fatalf("got %v", err)
				}
				wantNoTrace(t, "the error", err.Error())
			}
			wantSaved(t, s, testAccount, "new")
			wantLoaded(t, s, "bob@x", "b")
			aside, err := filepath.Glob(filepath.Join(folder, "damaged-*-"+testAccount))
			if err != nil || len(aside) != 1 || !bytes.Equal(mustRead(t, aside[0]), spoilt) {
				t.Errorf("moved aside: %q, %v", aside, err)
			}
			if accounts, err := s.Accounts(); err != nil || !slices.Equal(accounts, []string{"bob@x", testAccount}) {
				t.Errorf("accounts %q, %v", accounts, err)
			}
		})
	}
}

func TestDamagedFileIsDeleted(t *testing.T) {
	s := openTestStore(t, t.TempDir(), KeyOptions{})
	mustWrite(t, s.file(sealedPrefix, testAccount), []byte("torn"))
	if err := s.Delete(testAccount); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(testAccount); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// Every single bit counts: a file with one turned over is refused.
func TestEveryBitCounts(t *testing.T) {
	key := GenerateKey()
	data, err := seal(key, testAccount, []byte(testToken))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(data) * 8 {
		turned := bytes.Clone(data)
		turned[i/8] ^= 1 << (i % 8)
		if _, err := unseal(key, "file", testAccount, turned); err == nil {
			t.Fatalf("bit %d may be either", i)
		}
	}
	if blob, err := unseal(key, "file", testAccount, data); err != nil || string(blob) != testToken {
		t.Errorf("the whole file: %v", err)
	}
}

// What another version has written is left alone.
func TestOtherFormat(t *testing.T) {
	for _, format := range []byte{'0', '2', '9'} {
		t.Run(string(format), func(t *testing.T) {
			folder := t.TempDir()
			s := openTestStore(t, folder, KeyOptions{})
			file := s.file(sealedPrefix, testAccount)
			mustWrite(t, file, []byte("OAP"+string(format)+" of another version"))
			closeStore(t, s)
			s = openTestStore(t, folder, KeyOptions{})
			_, loading := s.Load(testAccount)
			for _, err := range []error{loading, s.Try(testAccount), s.Save(testAccount, nil), s.Delete(testAccount), s.Rekey(GenerateKey())} {
				other, ok := errors.AsType[*OtherFormat](err)
				if !ok || other.File != file || other.Format != int(format-'0') || !strings.Contains(err.Error(), "run that version") {
					t.Errorf("got %v", err)
				}
			}
			if !strings.HasSuffix(string(mustRead(t, file)), "of another version") {
				t.Error("the file was changed")
			}
		})
	}
}

// With a key that opens none of its files, the store changes none of them.
func TestWrongKey(t *testing.T) {
	folder := t.TempDir()
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, testAccount, testToken)
	wantSaved(t, s, "bob@x", "b")
	closeStore(t, s)
	before := snapshot(t, folder)
	keyFile := filepath.Join(t.TempDir(), "other.key")
	if _, err := MakeKey(keyFile); err != nil {
		t.Fatal(err)
	}
	s = openTestStore(t, folder, KeyOptions{File: keyFile})
	_, err := s.Load(testAccount)
	for _, err := range []error{err, s.Try(testAccount), s.Save(testAccount, nil), s.Delete(testAccount), s.Rekey(mustKey(t))} {
		wrong, ok := errors.AsType[*WrongKey](err)
		if !ok || wrong.Source != keyFile || filepath.Dir(wrong.File) != folder {
			t.Fatalf("got %v", err)
		}
		for _, want := range []string{"another key than " + keyFile, "put back the key", "sign in again"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q doesn't say %q", err, want)
			}
		}
	}
	closeStore(t, s)
	wantSnapshot(t, folder, before)
	wantLoaded(t, openTestStore(t, folder, KeyOptions{}), testAccount, testToken)
}

// One file of another key, such as from an old copy, keeps nobody else from
// working, and nothing touches it.
func TestOneFileOfAnotherKey(t *testing.T) {
	folder, log := t.TempDir(), &logBuffer{}
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, "bob@x", "b")
	file := s.file(sealedPrefix, testAccount)
	foreign, err := seal(GenerateKey(), testAccount, []byte(testToken))
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, file, foreign)
	closeStore(t, s)
	s, err = OpenStore(folder, KeyOptions{}, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, loading := s.Load(testAccount)
	for _, err := range []error{loading, s.Try(testAccount), s.Save(testAccount, []byte("new")), s.Delete(testAccount), s.Rekey(GenerateKey())} {
		if wrong, ok := errors.AsType[*WrongKey](err); !ok || wrong.File != file {
			t.Errorf("got %v", err)
		}
	}
	if !bytes.Equal(mustRead(t, file), foreign) {
		t.Error("the file was changed")
	}
	wantSaved(t, s, "bob@x", "still works")
	if !strings.Contains(log.String(), testAccount) {
		t.Errorf("log: %s", log)
	}
	wantNoTrace(t, "the log", log.String())
}

// The file, or the whole folder, is removed or exchanged while the store is open.
func TestRemovedWhileOpen(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, testAccount, "a")
	if err := os.Remove(s.file(sealedPrefix, testAccount)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(testAccount); !errors.Is(err, ErrNotFound) {
		t.Errorf("a removed file: %v", err)
	}
	wantSaved(t, s, testAccount, "a")

	wantGone := func() {
		t.Helper()
		_, loading := s.Load(testAccount)
		for _, err := range []error{loading, s.Save(testAccount, []byte("b")), s.Delete(testAccount), s.Rekey(GenerateKey())} {
			if err == nil || !strings.Contains(err.Error(), folder+" has been removed or exchanged") {
				t.Errorf("got %v", err)
			}
		}
	}
	if err := os.Rename(folder, folder+".old"); err != nil {
		t.Skipf("an open folder can't be moved here: %v", err)
	}
	wantGone()
	other := openTestStore(t, folder, KeyOptions{})
	wantGone()
	if _, err := other.Load(testAccount); !errors.Is(err, ErrNotFound) {
		t.Errorf("the other folder was written to: %v", err)
	}
	closeStore(t, other)
	if err := errors.Join(os.RemoveAll(folder), os.Rename(folder+".old", folder)); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, s, testAccount, "a")
}

// When writing fails, as on a full disk, the error says so and what was stored
// stays.
func TestStoreOnBadDisk(t *testing.T) {
	folder := t.TempDir()
	d := &testDisk{most: -1}
	s := openTestStore(t, folder, KeyOptions{})
	s.disk = d.disk()
	wantSaved(t, s, testAccount, "old")
	mustWrite(t, s.file(sealedPrefix, "bob@x"), []byte("torn"))
	before := snapshot(t, folder)
	d.err = errors.New("no space left on device")
	for what, err := range map[string]error{
		"save":           s.Save(testAccount, []byte(testToken)),
		"save over torn": s.Save("bob@x", []byte(testToken)),
		"save new":       s.Save("carol@x", []byte(testToken)),
		"try":            s.Try(testAccount),
		"try new":        s.Try("carol@x"),
		"delete":         s.Delete(testAccount),
		"delete torn":    s.Delete("bob@x"),
	} {
		if !errors.Is(err, d.err) {
			t.Errorf("%s: %v", what, err)
		}
		wantNoTrace(t, "the error", err.Error())
	}
	wantSnapshot(t, folder, before)
	d.err = nil
	wantLoaded(t, s, testAccount, "old")
	wantSaved(t, s, testAccount, "new")
}

// What a crash in the middle of writing has left is removed at the next start.
func TestCrashWhileWriting(t *testing.T) {
	folder := t.TempDir()
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, testAccount, "old")
	closeStore(t, s)
	before := snapshot(t, folder)
	mustWrite(t, filepath.Join(folder, ".safefile-123"), []byte("half"))
	wantLoaded(t, openTestStore(t, folder, KeyOptions{}), testAccount, "old")
	wantSnapshot(t, folder, before)
}

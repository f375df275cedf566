package tokens

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"oauthproxy/internal/wire"
)

func TestMakeAndReadKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.key")
	if _, err := ReadKey(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	made, err := MakeKey(file)
	if err != nil {
		t.Fatal(err)
	}
	wantMode(t, file, 0o600)
	read, err := ReadKey(file)
	if err != nil || read.Reveal() != made.Reveal() || read.source != file {
		t.Errorf("read back: %v", err)
	}
	if _, err := MakeKey(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made over a file: %v", err)
	}
	if again, err := ReadKey(file); err != nil || again.Reveal() != made.Reveal() {
		t.Errorf("the file was replaced: %v", err)
	}
	if made.id() == GenerateKey().id() {
		t.Error("two keys are the same")
	}
}

func TestReadKeyForms(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(GenerateKey().Reveal()))
	tests := []struct {
		name, content string
		isKey         bool
	}{
		{"no line end", good, true},
		{"a line end", good + "\n", true},
		{"a line end of Windows", good + "\r\n", true},
		{"empty", "", false},
		{"cut", good[:40], false},
		{"two keys", good + "\n" + good, false},
		{"too short a key", base64.StdEncoding.EncodeToString(make([]byte, 31)), false},
		{"too long a key", base64.StdEncoding.EncodeToString(make([]byte, 33)), false},
		{"raw bytes", strings.Repeat("k", 32), false},
		{"hexadecimal", strings.Repeat("0f", 32), false},
		{"huge", strings.Repeat("A", maxKeyFile+1), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.key")
			mustWrite(t, file, []byte(test.content))
			key, err := ReadKey(file)
			if (err == nil) != test.isKey || err == nil && key.IsEmpty() {
				t.Fatalf("got %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), file) || len(test.content) > 8 && strings.Contains(err.Error(), test.content[:8])) {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// What is no file is told as such, and nobody is sent to change its mode.
func TestKeyIsNoFile(t *testing.T) {
	for _, name := range []string{t.TempDir(), os.DevNull} {
		if _, err := ReadKey(name); err == nil || !strings.Contains(err.Error(), "is no file that can hold a key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	file := filepath.Join(t.TempDir(), "a.key")
	if _, err := MakeKey(file); err != nil {
		t.Fatal(err)
	}
	for mode, isFine := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o604: false, 0o660: false, 0o666: false} {
		t.Run(fmt.Sprintf("%04o", mode), func(t *testing.T) {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadKey(file); (err == nil) != isFine || err != nil && !strings.Contains(err.Error(), "run: chmod 600 "+file) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Which key counts when several are there.
func TestKeyOrder(t *testing.T) {
	credentials, folder := t.TempDir(), t.TempDir()
	file := filepath.Join(folder, "configured.key")
	own := filepath.Join(folder, keyName)
	for _, name := range []string{filepath.Join(credentials, keyName), file, own} {
		if _, err := MakeKey(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	t.Setenv(passphraseVariable, "correct horse battery staple")
	o := EnvironmentKey(file)
	for _, step := range []struct {
		want string
		drop func()
	}{
		{filepath.Join(credentials, keyName), func() { o.CredentialsDirectory = folder + "2" }},
		{file, func() { o.File = "" }},
		{"the passphrase in OAUTHPROXY_STORE_PASSPHRASE", func() { o.Passphrase = wire.Secret{} }},
		{own, func() {}},
	} {
		key, err := o.find(folder, true)
		if err != nil || key.source != step.want || key.isOwn != (step.want == own) {
			t.Errorf("the key is %s, want %s, %v", key.source, step.want, err)
		}
		step.drop()
	}
}

// A key that can't be found is never replaced by another one.
func TestMissingKey(t *testing.T) {
	folder := t.TempDir()
	missing := filepath.Join(folder, "missing")
	bad := t.TempDir()
	mustWrite(t, filepath.Join(bad, keyName), []byte("not a key"))
	tests := []struct {
		name    string
		options KeyOptions
		isEmpty bool
		want    string
	}{
		{"the configured file", KeyOptions{File: missing}, true, "the key file " + missing + " doesn't exist"},
		{"the own file, something is sealed", KeyOptions{}, false, filepath.Join(folder, keyName) + " is missing, and no other key is at hand"},
		{"the salt, something is sealed", KeyOptions{Passphrase: wire.NewSecret("p")}, false, "the salt of the passphrase, is missing: put the file back"},
		{"a credential that is none", KeyOptions{CredentialsDirectory: bad, File: missing}, true, "is not a key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.options.find(folder, test.isEmpty); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if names := storeFiles(t, folder); len(names) != 0 {
				t.Errorf("files were made: %q", names)
			}
		})
	}
}

func TestPassphrase(t *testing.T) {
	folder := t.TempDir()
	right, wrong := KeyOptions{Passphrase: wire.NewSecret("correct horse battery staple")}, KeyOptions{Passphrase: wire.NewSecret("Correct horse battery staple")}
	s := openTestStore(t, folder, right)
	wantSaved(t, s, testAccount, testToken)
	closeStore(t, s)
	if names := storeFiles(t, folder); strings.Join(names, " ") != "account-"+testAccount+" store.lock store.salt" {
		t.Errorf("files %q", names)
	}
	before := snapshot(t, folder)
	s = openTestStore(t, folder, wrong)
	_, err := s.Load(testAccount)
	closeStore(t, s)
	if e, ok := errors.AsType[*WrongKey](err); !ok || e.Source != "the passphrase in OAUTHPROXY_STORE_PASSPHRASE" || strings.Contains(err.Error(), "horse") {
		t.Errorf("the wrong one: %v", err)
	}
	wantSnapshot(t, folder, before)
	s = openTestStore(t, folder, right)
	wantLoaded(t, s, testAccount, testToken)
	closeStore(t, s)

	salt := filepath.Join(folder, saltName)
	for _, content := range []string{"", "argon2id-1 ", "argon2id-1 00", "argon2id-2 " + strings.Repeat("00", saltSize), strings.Repeat("00", saltSize)} {
		mustWrite(t, salt, []byte(content))
		if _, err := OpenStore(folder, right, nil); err == nil || !strings.Contains(err.Error(), salt) || !strings.Contains(err.Error(), "put it back") {
			t.Errorf("salt %q: %v", content, err)
		}
	}
}

// Two stores with one passphrase don't share a key.
func TestPassphraseIsSalted(t *testing.T) {
	o := KeyOptions{Passphrase: wire.NewSecret("correct horse battery staple")}
	one, two := openTestStore(t, t.TempDir(), o), openTestStore(t, t.TempDir(), o)
	if one.key.id() == two.key.id() {
		t.Error("the same key")
	}
}

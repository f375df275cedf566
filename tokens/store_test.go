package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestStoreKeeps(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "made", "too")
	s := openTestStore(t, folder, KeyOptions{})
	contents := map[string][]byte{
		"alice@contoso.example":   []byte("a refresh token"),
		"nothing@contoso.example": {},
		"large@contoso.example":   bytes.Repeat([]byte{0}, maxBlob),
	}
	for range 2 { // the second time over what is there
		for account, blob := range contents {
			wantSaved(t, s, account, string(blob))
		}
	}
	closeStore(t, s)
	s = openTestStore(t, folder, KeyOptions{})
	for account, blob := range contents {
		wantLoaded(t, s, account, string(blob))
	}
	want := []string{"alice@contoso.example", "large@contoso.example", "nothing@contoso.example"}
	if got, err := s.Accounts(); err != nil || !slices.Equal(got, want) {
		t.Errorf("accounts %q, %v", got, err)
	}
	wantMode(t, folder, fs.ModeDir|0o700)
	for _, name := range storeFiles(t, folder) {
		wantMode(t, filepath.Join(folder, name), 0o600)
	}
}

func TestStoreNotFound(t *testing.T) {
	s := openTestStore(t, t.TempDir(), KeyOptions{})
	if _, err := s.Load(testAccount); !errors.Is(err, ErrNotFound) {
		t.Errorf("load: %v", err)
	}
	if err := s.Delete(testAccount); err != nil {
		t.Errorf("delete: %v", err)
	}
	if accounts, err := s.Accounts(); err != nil || len(accounts) != 0 {
		t.Errorf("accounts %q, %v", accounts, err)
	}
}

func TestStoreDelete(t *testing.T) {
	s := openTestStore(t, t.TempDir(), KeyOptions{})
	wantSaved(t, s, "alice@x", "a")
	wantSaved(t, s, "bob@x", "b")
	if err := s.Delete("alice@x"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("alice@x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	wantLoaded(t, s, "bob@x", "b")
}

// Nothing of what is stored can be read in the files, and the same content
// saved twice looks different.
func TestStoreSeals(t *testing.T) {
	folder := t.TempDir()
	s := openTestStore(t, folder, KeyOptions{})
	var last []byte
	for range 3 {
		wantSaved(t, s, testAccount, testToken)
		data, err := os.ReadFile(s.file(sealedPrefix, testAccount))
		if err != nil {
			t.Fatal(err)
		}
		wantNoTrace(t, "the file", string(data))
		if body := data[len(sealHeader(s.key, testAccount)):]; last != nil && bytes.Equal(body[:12], last[:12]) {
			t.Error("the nonce came twice")
		} else {
			last = body
		}
	}
	if !bytes.HasPrefix(mustRead(t, s.file(sealedPrefix, testAccount)), []byte("OAP1")) {
		t.Error("the file doesn't say what it is")
	}
}

func TestStoreRefusesToKeep(t *testing.T) {
	folder := t.TempDir()
	s := openTestStore(t, folder, KeyOptions{})
	tests := []struct {
		name, account string
		size          int
		want          string
	}{
		{"too much", testAccount, maxBlob + 1, "it has 1048577 bytes, more than 1048576"},
		{"no name", "", 1, "the account has no name"},
		{"a name too long", strings.Repeat("a", maxName+1), 1, "is too long to be a file name"},
		{"a name too long when escaped", strings.Repeat("!", maxName/2), 1, "is too long to be a file name"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := s.Save(test.account, make([]byte, test.size)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("save: %v", err)
			}
			if _, err := s.Load(test.account); err == nil {
				t.Error("loaded")
			}
		})
	}
	if names := storeFiles(t, folder); !slices.Equal(names, []string{"store.key", "store.lock"}) {
		t.Errorf("files %q", names)
	}
}

func TestStoreClosed(t *testing.T) {
	s := openTestStore(t, t.TempDir(), KeyOptions{})
	closeStore(t, s)
	_, loading := s.Load(testAccount)
	_, listing := s.Accounts()
	for _, err := range []error{loading, listing, s.Save(testAccount, nil), s.Delete(testAccount), s.Rekey(GenerateKey())} {
		if err == nil || err.Error() != "the store of sign-ins is closed" {
			t.Errorf("error %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestStoreIsSharedByGoroutines(t *testing.T) {
	s := openTestStore(t, t.TempDir(), KeyOptions{})
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			account := fmt.Sprintf("user%d@x", i%4)
			for range 10 {
				if err := s.Save(account, []byte(account)); err != nil {
					t.Error(err)
				}
				if blob, err := s.Load(account); err != nil || string(blob) != account {
					t.Errorf("%q, %v", blob, err)
				}
			}
		})
	}
	users.Wait()
}

// The modes of the folder that a person has made.
func TestStoreFolderMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	tests := []struct {
		mode          fs.FileMode
		refused, warn bool
	}{
		{0o700, false, false},
		{0o750, false, true},
		{0o755, false, true},
		{0o770, false, true},
		{0o777, true, false},
		{0o702, true, false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%04o", test.mode), func(t *testing.T) {
			folder, log := t.TempDir(), &logBuffer{}
			if err := os.Chmod(folder, test.mode); err != nil {
				t.Fatal(err)
			}
			s, err := OpenStore(folder, KeyOptions{}, log.logger())
			if (err != nil) != test.refused || err != nil && !strings.Contains(err.Error(), "run: chmod 700 "+folder) {
				t.Errorf("error %v", err)
			}
			if err == nil {
				closeStore(t, s)
			}
			if strings.Contains(log.String(), "other users can look into") != test.warn {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// Whatever prints a store or a key shows nothing of the key.
func TestStoreHidesKey(t *testing.T) {
	log := &logBuffer{}
	s := openTestStore(t, t.TempDir(), KeyOptions{})
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s) + fmt.Sprintf("%v %+v %#v %s %q %x %d", s.key, s.key, s.key, s.key, s.key, s.key, s.key)
	log.logger().Info("shown", "store", s, "key", s.key, "options", KeyOptions{Passphrase: s.key.Secret})
	shown += log.String()
	for _, form := range traces(s.key.Reveal()) {
		if strings.Contains(shown, form) || strings.Contains(shown, fmt.Sprintf("%x", form)) || strings.Contains(shown, fmt.Sprint([]byte(form))) {
			t.Fatal("the key is shown")
		}
	}
	if !strings.Contains(shown, "***") {
		t.Errorf("shown: %s", shown)
	}
}

// openTestStore opens a store and closes it when the test ends.
func openTestStore(t testing.TB, folder string, k KeyOptions) *Store {
	t.Helper()
	s, err := OpenStore(folder, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantSaved(t *testing.T, s *Store, account, content string) {
	t.Helper()
	if err := s.Save(account, []byte(content)); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, s, account, content)
}

func wantLoaded(t *testing.T, s *Store, account, want string) {
	t.Helper()
	if got, err := s.Load(account); err != nil || string(got) != want {
		t.Errorf("%s: loaded %.40q, want %.40q, %v", account, got, want, err)
	}
}

func wantMode(t *testing.T, name string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil || runtime.GOOS != "windows" && info.Mode() != want {
		t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
	}
}

// storeFiles returns the names of the files in the folder.
func storeFiles(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustWrite(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

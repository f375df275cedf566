package tokens

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"oauthproxy/internal/safefile"
)

// Store keeps what sign-ins leave behind, such as refresh tokens: one sealed
// file per account, in a folder that one process at a time can have open. It
// may be used by many goroutines at once.
type Store struct {
	folder string
	log    *slog.Logger
	lock   fileLock
	disk   disk

	mu  sync.Mutex
	key Key
	// closed is why the store can't be used any more; nil while it can.
	closed error
}

// disk is how the store changes files; each of these happens whole or not at
// all.
type disk struct {
	write  func(name string, data []byte, mode os.FileMode) error
	rename func(name, to string) error
	remove func(name string) error
}

// OpenStore opens the store in the folder, usually the state directory, which
// is made if there is none. A nil log gets nothing. The error is ErrLocked
// while another process has the store open, and a *WrongKey where nothing in
// it is sealed with this key. Close must be called in the end.
func OpenStore(folder string, k KeyOptions, log *slog.Logger) (*Store, error) {
	return openStore(folder, k, log, disk{write: safefile.Write, rename: safefile.Rename, remove: safefile.Remove})
}

func openStore(folder string, k KeyOptions, log *slog.Logger, d disk) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("can't make the folder for sign-ins: %w", err)
	}
	if err := checkFolderMode(folder, log); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(folder, "store.lock"))
	if err != nil {
		return nil, err
	}
	s := &Store{folder: folder, log: log, lock: lock, disk: d}
	if err := s.open(k); err != nil {
		_ = lock.release()
		return nil, err
	}
	return s, nil
}

// open finds the key and cleans up behind a process that has crashed.
func (s *Store) open(k KeyOptions) error {
	if err := safefile.Sweep(s.folder); err != nil {
		return err
	}
	accounts, err := s.accounts()
	if err != nil {
		return err
	}
	if s.key, err = k.find(s.folder, len(accounts) == 0); err != nil {
		return err
	}
	return s.recover(accounts)
}

// checkFolderMode refuses a folder in which every user of the machine could
// exchange files, and warns of one that others can look into.
func checkFolderMode(folder string, log *slog.Logger) error {
	info, err := os.Stat(folder)
	if err != nil || runtime.GOOS == "windows" {
		return err
	}
	mode := info.Mode().Perm()
	if mode&0o002 != 0 {
		return fmt.Errorf("every user can change files in %s (mode %04o), run: chmod 700 %s", folder, mode, folder)
	}
	if mode&0o077 != 0 {
		log.Warn("other users can look into the folder for sign-ins", "folder", folder, "mode", fmt.Sprintf("%04o", mode), "next", "chmod 700 "+folder)
	}
	return nil
}

// Load returns what was saved for the account. The error is ErrNotFound,
// *WrongKey, *OtherFormat, *Damaged or one of the file system.
func (s *Store) Load(account string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(account); err != nil {
		return nil, err
	}
	return s.load(s.file(sealedPrefix, account), account)
}

// Save keeps blob for the account, in place of what was kept before. A file
// that another key or another version of this program has sealed is left
// alone, which is an error (*WrongKey, *OtherFormat); one that is damaged is
// moved aside. After an error the old file is as it was; only where the disk
// fails in the very last step, the new one is in place already.
func (s *Store) Save(account string, blob []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(account); err != nil {
		return err
	}
	file := s.file(sealedPrefix, account)
	_, err := s.load(file, account)
	if damaged, ok := errors.AsType[*Damaged](err); ok {
		err = s.moveAside(damaged, account)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.write(file, s.key, account, blob)
}

// Delete removes what is kept for the account, even if it is damaged. That
// nothing is kept is no error. What another key or another version of this
// program has sealed stays.
func (s *Store) Delete(account string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(account); err != nil {
		return err
	}
	file := s.file(sealedPrefix, account)
	_, err := s.load(file, account)
	if _, ok := errors.AsType[*Damaged](err); ok || err == nil {
		return s.disk.remove(file)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Accounts returns, sorted by their files, the names of all accounts for which
// something is kept, whether it can be loaded or not.
func (s *Store) Accounts() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	return s.accounts()
}

// Close lets go of the folder. It may be called more than once.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock.file == nil {
		return nil
	}
	err := s.lock.release()
	s.lock.file, s.closed = nil, errors.New("the store of sign-ins is closed")
	return err
}

// Format writes the folder, whatever the verb: the key stays hidden.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "store "+s.folder) }

// usable tells why nothing can be read or written any more, if so.
func (s *Store) usable() error {
	if s.closed != nil {
		return s.closed
	}
	if !s.lock.isInPlace() {
		return fmt.Errorf("the folder %s has been removed or exchanged while it was in use: put it back, or restart oauthproxy", s.folder)
	}
	return nil
}

func (s *Store) check(account string) error {
	if err := s.usable(); err != nil {
		return err
	}
	return checkAccountName(account)
}

func (s *Store) load(file, account string) ([]byte, error) {
	data, err := readSealed(file)
	if err != nil {
		return nil, err
	}
	return unseal(s.key, file, account, data)
}

func (s *Store) write(file string, key Key, account string, blob []byte) error {
	data, err := seal(key, account, blob)
	if err != nil {
		return fmt.Errorf("can't store the sign-in of %s: %w", account, err)
	}
	if err := s.disk.write(file, data, 0o600); err != nil {
		return fmt.Errorf("can't store the sign-in of %s, nothing that was stored before is lost: %w", account, err)
	}
	return nil
}

// moveAside gives a damaged file another name: somebody may know to read it.
func (s *Store) moveAside(damaged *Damaged, account string) error {
	to := s.file(damagedPrefix+time.Now().UTC().Format("20060102T150405.000000000Z-"), account)
	if err := s.disk.rename(damaged.File, to); err != nil {
		return err
	}
	s.log.Warn("damaged file moved aside", "account", account, "file", to, "reason", damaged.Reason)
	return nil
}

// accounts returns the names of the accounts that have a file.
func (s *Store) accounts() ([]string, error) { return s.list(sealedPrefix) }

// list returns the names of the accounts that have a file of one kind.
func (s *Store) list(prefix string) ([]string, error) {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return nil, fmt.Errorf("can't read the folder of sign-ins: %w", err)
	}
	var accounts []string
	for _, entry := range entries {
		name, found := strings.CutPrefix(entry.Name(), prefix)
		if account, ok := accountName(name); found && ok {
			accounts = append(accounts, account)
		}
	}
	return accounts, nil
}

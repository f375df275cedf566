package tokens

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"oauthproxy/internal/safefile"
)

// Store keeps what sign-ins leave behind, such as refresh tokens: one sealed
// file per account, in a folder that one process at a time can have open.
// Capitals in an account's name make no difference. It may be used by many
// goroutines at once.
type Store struct {
	folder string
	keys   KeyOptions
	log    *slog.Logger
	disk   disk

	mu   sync.Mutex
	lock fileLock // without a file while the store isn't open
	key  Key
	// isShared says that the store is open only while it is used.
	isShared bool
	// failed and failedAt are why and when the store couldn't be opened last.
	failed   error
	failedAt time.Time
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

// retryOpen is how long a store that couldn't be opened isn't tried again:
// thousands of accounts may ask for it at once.
const retryOpen = 10 * time.Second

// OpenStore opens the store in the folder, usually the state directory, which
// is made if there is none. A nil log gets nothing. The error is ErrLocked
// while another process has the store open, and a *KeyTrouble where only the
// key is missing; files that are damaged, or sealed with another key, are no
// error. Close must be called in the end.
func OpenStore(folder string, k KeyOptions, log *slog.Logger) (*Store, error) {
	s := NewStore(folder, k, log)
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// NewStore returns a store that is opened when it is first used. Where it can't
// be, each use returns the error, and it is tried again.
func NewStore(folder string, k KeyOptions, log *slog.Logger) *Store {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := disk{write: safefile.Write, rename: safefile.Rename, remove: safefile.Remove}
	return &Store{folder: folder, keys: k, log: log, disk: d}
}

// HasSignIns tells, without opening the store in the folder, whether it keeps
// anything.
func HasSignIns(folder string) bool {
	entries, _ := os.ReadDir(folder)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), sealedPrefix) })
}

// Share lets go of the folder, except for as long as each later use takes:
// other processes can open the store in between.
func (s *Store) Share() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isShared = true
	_ = s.unlock()
}

func (s *Store) open() error {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return fmt.Errorf("can't make the folder for sign-ins: %w", err)
	}
	if err := checkFolderMode(s.folder, s.log); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(s.folder, "store.lock"))
	if err != nil {
		return err
	}
	s.lock = lock
	if err := s.takeUp(); err != nil {
		_ = s.unlock()
		return err
	}
	return nil
}

// takeUp finds the key and cleans up behind a process that has crashed.
func (s *Store) takeUp() error {
	if err := safefile.Sweep(s.folder); err != nil {
		return err
	}
	files, err := s.list(sealedPrefix)
	if err != nil {
		return err
	}
	if s.key, err = s.keys.find(s.folder, len(files) == 0); err != nil {
		return &KeyTrouble{err}
	}
	return s.recover()
}

func (s *Store) unlock() error {
	if s.lock.file == nil {
		return nil
	}
	err := s.lock.release()
	s.lock.file = nil
	return err
}

// enter begins a use of the store, which leave ends unless there is an error.
func (s *Store) enter() error {
	s.mu.Lock()
	err := s.usable()
	if err != nil {
		s.leave()
	}
	return err
}

func (s *Store) leave() {
	if s.isShared {
		_ = s.unlock()
	}
	s.mu.Unlock()
}

// usable opens the store where it isn't open, and tells why nothing can be
// read or written, if so.
func (s *Store) usable() error {
	switch {
	case s.closed != nil:
		return s.closed
	case s.lock.file == nil:
		if s.failed == nil || time.Since(s.failedAt) > retryOpen {
			s.failed, s.failedAt = s.open(), time.Now()
		}
		return s.failed
	case !s.lock.isInPlace():
		return fmt.Errorf("the folder %s has been removed or exchanged while it was in use: put it back, or restart oauthproxy", s.folder)
	}
	return nil
}

// enterFor is enter for what is about one account, whose name it folds.
func (s *Store) enterFor(account string) (string, error) {
	account = foldName(account)
	if err := checkAccountName(account); err != nil {
		return "", err
	}
	return account, s.enter()
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
		log.Warn("other users can look into the folder for sign-ins", "folder", folder, "mode", fmt.Sprintf("%04o", mode), "remedy", "chmod 700 "+folder)
	}
	return nil
}

// Load returns what was saved for the account. The error is ErrNotFound,
// *WrongKey, *OtherFormat, *Damaged or one of the file system.
func (s *Store) Load(account string) ([]byte, error) {
	account, err := s.enterFor(account)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	return s.load(s.file(sealedPrefix, account), account)
}

// Save keeps blob for the account, in place of what was kept before. A file
// that another key or another version of this program has sealed is left
// alone, which is an error (*WrongKey, *OtherFormat); one that is damaged is
// moved aside. After an error the old file is as it was; only where the disk
// fails in the very last step, the new one is in place already.
func (s *Store) Save(account string, blob []byte) error {
	account, err := s.enterFor(account)
	if err != nil {
		return err
	}
	defer s.leave()
	file := s.file(sealedPrefix, account)
	_, err = s.load(file, account)
	if damaged, ok := errors.AsType[*Damaged](err); ok {
		err = s.moveAside(damaged, account)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.write(file, s.key, account, blob)
}

// Try tells whether Save could keep something for the account. It writes as
// much as that would, and removes it.
func (s *Store) Try(account string) error {
	account, err := s.enterFor(account)
	if err != nil {
		return err
	}
	defer s.leave()
	_, err = s.load(s.file(sealedPrefix, account), account)
	if _, isDamaged := errors.AsType[*Damaged](err); err != nil && !isDamaged && !errors.Is(err, ErrNotFound) {
		return err
	}
	trial := filepath.Join(s.folder, "store.trial")
	if err := s.write(trial, s.key, account, make([]byte, trialSize)); err != nil {
		return err
	}
	return s.disk.remove(trial)
}

// Delete removes what is kept for the account, even if it is damaged. That
// nothing is kept is no error. What another key or another version of this
// program has sealed stays.
func (s *Store) Delete(account string) error {
	account, err := s.enterFor(account)
	if err != nil {
		return err
	}
	defer s.leave()
	file := s.file(sealedPrefix, account)
	_, err = s.load(file, account)
	if _, ok := errors.AsType[*Damaged](err); ok || err == nil {
		return s.disk.remove(file)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Accounts returns, sorted by their files, the names of all accounts for which
// something is kept, in small letters, whether it can be loaded or not.
func (s *Store) Accounts() ([]string, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.accounts()
}

// Close lets go of the folder. It may be called more than once.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = errors.New("the store of sign-ins is closed")
	return s.unlock()
}

// Format writes the folder, whatever the verb: the key stays hidden.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "store "+s.folder) }

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
	s.log.Warn("damaged file moved aside", "account", account, "file", to, "cause", damaged.Reason)
	return nil
}

// accounts returns the names of the accounts that have a file. One that says
// it is another account's is no more than a copy that somebody has made.
func (s *Store) accounts() ([]string, error) {
	all, err := s.list(sealedPrefix)
	return slices.DeleteFunc(all, func(account string) bool {
		file := s.file(sealedPrefix, account)
		data, _ := readSealed(file)
		h, err := parseHeader(file, data)
		return err == nil && h.account != account && h.account == quotable(h.account)
	}), err
}

// list returns the names of the accounts that have a file of one kind.
func (s *Store) list(prefix string) ([]string, error) {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return nil, fmt.Errorf("can't read the folder of sign-ins: %w", err)
	}
	var accounts []string
	for _, entry := range entries {
		name, found := strings.CutPrefix(entry.Name(), prefix)
		if account, ok := accountName(name); found && ok && account == foldName(account) {
			accounts = append(accounts, account)
		}
	}
	return accounts, nil
}

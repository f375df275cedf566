package tokens

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// The kinds of files, by the first part of their names; the account follows.
// A first part keeps names off those that mean something to a system, such as
// "..", ".profile" or Windows' "nul".
const (
	sealedPrefix  = "account-"
	pendingPrefix = "next-"    // sealed with a new key, while Rekey runs
	damagedPrefix = "damaged-" // and a time
)

// maxName bounds the escaped name of an account, in bytes: file systems take
// 255 for the whole. Mailboxes of Exchange have 113 characters at most.
const maxName = 200

// checkAccountName tells why nothing can be kept for an account of this name.
func checkAccountName(account string) error {
	if account == "" {
		return errors.New("the account has no name")
	}
	if len(escapeName(account)) > maxName {
		return fmt.Errorf("the account name %.60q... is too long to be a file name", account)
	}
	return nil
}

// foldName is the name that an account has in the store: as everywhere else,
// capitals make no difference.
func foldName(account string) string { return strings.ToLower(account) }

func (s *Store) file(prefix, account string) string {
	return filepath.Join(s.folder, prefix+escapeName(account))
}

// escapeName writes an account name so that it is a file name everywhere, one
// of its own: all but a few signs are %-escaped. Capital letters are, because
// some file systems take them for small ones; so is a dot at the end, which
// Windows drops.
func escapeName(account string) string {
	var name strings.Builder
	for i := range len(account) {
		c := account[i]
		isSafe := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("@-_+", c) >= 0 || c == '.' && i < len(account)-1
		if isSafe {
			name.WriteByte(c)
		} else {
			fmt.Fprintf(&name, "%%%02X", c)
		}
	}
	return name.String()
}

// accountName undoes escapeName; false for what escapeName never writes.
func accountName(name string) (string, bool) {
	account, err := url.PathUnescape(name)
	return account, err == nil && account != "" && escapeName(account) == name
}

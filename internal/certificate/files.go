package certificate

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"oauthproxy/internal/safefile"
)

// lookEvery is how often, at most, a handshake looks at the files.
const lookEvery = 5 * time.Second

// Files is a certificate and its key in files that somebody else renews. While
// the files can't be used, such as between the writing of one and the other,
// what they were before stays in use.
type Files struct {
	certificateFile, keyFile string
	needRSA                  bool
	log                      *slog.Logger

	mu       sync.Mutex
	current  *tls.Certificate
	seen     [2]fs.FileInfo // of the files that current is from
	looked   time.Time
	failure  string // why the files can't be used, as told already
	reminder reminder
}

// OpenFiles reads a certificate with its intermediates, and its key, both in
// PEM. With needRSA the key has to be one for RSA.
func OpenFiles(certificateFile, keyFile string, needRSA bool, log *slog.Logger) (*Files, error) {
	f := &Files{certificateFile: certificateFile, keyFile: keyFile, needRSA: needRSA, log: log}
	if err := f.read(); err != nil {
		return nil, err
	}
	f.looked = time.Now()
	f.remind()
	return f, nil
}

// Get returns the certificate that is in the files, or was last.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked) >= lookEvery {
		f.looked = now
		f.look()
		f.remind()
	}
	return f.current, nil
}

// look reads the files again if they have changed, or failed before.
func (f *Files) look() {
	if f.failure == "" && f.isUnchanged() {
		return
	}
	before := f.current
	if err := f.read(); err != nil {
		if f.failure != err.Error() {
			f.failure = err.Error()
			f.log.Warn("the new certificate can't be used, the old one stays in use", "file", f.certificateFile, "cause", err)
		}
		return
	}
	f.failure = ""
	if !bytes.Equal(before.Leaf.Raw, f.current.Leaf.Raw) {
		f.reminder = reminder{}
		f.log.Info("certificate replaced", "file", f.certificateFile, "expires", f.current.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
}

func (f *Files) isUnchanged() bool {
	now, err := f.stat()
	if err != nil {
		return false
	}
	for i, info := range now {
		if was := f.seen[i]; !os.SameFile(was, info) || was.Size() != info.Size() || !was.ModTime().Equal(info.ModTime()) {
			return false
		}
	}
	return true
}

func (f *Files) stat() (all [2]fs.FileInfo, err error) {
	if all[0], err = os.Stat(f.certificateFile); err != nil {
		return all, err
	}
	all[1], err = os.Stat(f.keyFile)
	return all, err
}

// read reads the files. What they are is looked at first: a change while they
// are read is seen the next time.
func (f *Files) read() error {
	seen, err := f.stat()
	if err != nil {
		return err
	}
	certificate, err := safefile.Read(f.certificateFile, maxFile)
	if err != nil {
		return err
	}
	key, err := safefile.Read(f.keyFile, maxFile)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("%s with %s: %s", f.certificateFile, f.keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	if f.needRSA && !IsRSA(pair) {
		return errors.New(f.certificateFile + " has no RSA key, which legacy TLS needs")
	}
	f.current, f.seen = &pair, seen
	return nil
}

// IsRSA tells whether a pair's key is one for RSA: clients without elliptic
// curves can use no other.
func IsRSA(pair tls.Certificate) bool {
	_, ok := pair.PrivateKey.(*rsa.PrivateKey)
	return ok
}

func (f *Files) remind() {
	f.reminder.remind(f.log, f.current.Leaf, f.certificateFile, "replace the files; that needs no restart")
}

package certificate

import (
	"bytes"
	"crypto/x509"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// newLog returns a log and what is written to it.
func newLog() (*slog.Logger, *strings.Builder) {
	var text strings.Builder
	return slog.New(slog.NewTextHandler(&text, nil)), &text
}

// mustOpen opens the authority of a state directory.
func mustOpen(t *testing.T, state string) *Authority {
	t.Helper()
	a, err := OpenAuthority(state, "proxy.example")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustIssue(t *testing.T, a *Authority, address string, names ...string) *Issued {
	t.Helper()
	i, err := a.Issue(address, names, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// leaf returns the certificate that a client sees now.
func leaf(t *testing.T, s Source) *x509.Certificate {
	t.Helper()
	c, err := s.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

// TestAuthority: what it issues is what clients verify.
func TestAuthority(t *testing.T) {
	state := filepath.Join(t.TempDir(), "new", "state")
	a := mustOpen(t, state)
	issued := mustIssue(t, a, "192.0.2.5:465", "mail.contoso.com", "192.0.2.5", "localhost")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.RootPEM())
	got := leaf(t, issued)
	for _, name := range []string{"mail.contoso.com", "192.0.2.5", "localhost"} {
		if _, err := got.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := got.Verify(x509.VerifyOptions{Roots: roots, DNSName: "other.contoso.com"}); err == nil {
		t.Error("another name is good too")
	}
	if life := got.NotAfter.Sub(got.NotBefore); life > 397*day {
		t.Errorf("it is good for %v", life)
	}
	for what, c := range map[string]*x509.Certificate{"root": a.Root, "certificate": got} {
		if c.PublicKeyAlgorithm != x509.RSA || c.SignatureAlgorithm != x509.SHA256WithRSA {
			t.Errorf("the %s is %v, signed with %v", what, c.PublicKeyAlgorithm, c.SignatureAlgorithm)
		}
	}
	if got.KeyUsage&x509.KeyUsageKeyEncipherment == 0 || got.Subject.CommonName != "mail.contoso.com" {
		t.Errorf("usage %b, common name %s", got.KeyUsage, got.Subject.CommonName)
	}
	if bytes.Contains(a.RootPEM(), []byte("PRIVATE")) {
		t.Error("the root's PEM has its key")
	}
	err := filepath.WalkDir(state, func(name string, _ fs.DirEntry, _ error) error {
		info, err := os.Stat(name)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAuthorityStays: a restart changes nothing that clients see, unless a name
// is missing.
func TestAuthorityStays(t *testing.T) {
	state := t.TempDir()
	root := mustOpen(t, state).Root
	first := leaf(t, mustIssue(t, mustOpen(t, state), ":25", "a.example", "192.0.2.1", "2001:db8::1"))
	a := mustOpen(t, state)
	if !a.Root.Equal(root) {
		t.Error("the root has changed")
	}
	if again := leaf(t, mustIssue(t, a, ":25", "192.0.2.1", "2001:db8::1")); !again.Equal(first) {
		t.Error("the certificate has changed, though it has the names")
	}
	if other := leaf(t, mustIssue(t, a, ":26", "a.example")); other.Equal(first) {
		t.Error("two listeners have the same certificate")
	}
	more := mustIssue(t, a, ":25", "a.example", "b.example")
	if names := more.Names(); !slices.Equal(names, []string{"a.example", "b.example"}) {
		t.Errorf("with one more name: %q", names)
	}
	if err := os.WriteFile(more.file, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := leaf(t, mustIssue(t, a, ":25", "a.example")); after.CheckSignatureFrom(root) != nil {
		t.Error("a damaged certificate isn't replaced")
	}
}

// TestAuthorityRace: whoever makes it at the same time gets the same.
func TestAuthorityRace(t *testing.T) {
	state := t.TempDir()
	var racing sync.WaitGroup
	prints := make([]string, 4)
	for i := range prints {
		racing.Go(func() {
			if a, err := OpenAuthority(state, "proxy.example"); err != nil {
				t.Error(err)
			} else {
				prints[i] = Fingerprint(a.Root)
			}
		})
	}
	racing.Wait()
	if all := slices.Compact(prints); len(all) != 1 || len(all[0]) != 32*3-1 {
		t.Errorf("got %q", all)
	}
	entries, err := os.ReadDir(state)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the state directory: %v, %v", entries, err)
	}
}

// TestAuthorityDamaged: a root that clients have is never replaced by itself.
func TestAuthorityDamaged(t *testing.T) {
	state := t.TempDir()
	a := mustOpen(t, state)
	mustIssue(t, a, ":25", "a.example")
	file := filepath.Join(a.folder, rootName)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	certificateOnly := whole[:bytes.Index(whole, []byte("-----BEGIN PRIVATE"))]
	notRoot, err := a.issue([]string{"a.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"torn": whole[:len(whole)/2], "key lost": certificateOnly, "empty": {}, "no root": notRoot, "gone": nil} {
		t.Run(name, func(t *testing.T) {
			if content == nil {
				_ = os.Remove(file)
			} else if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenAuthority(state, "proxy.example")
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "put it back from a copy; if there is none, remove the folder "+a.folder) {
				t.Errorf("error %v", err)
			}
			if now, _ := os.ReadFile(file); !bytes.Equal(now, content) {
				t.Error("the file has changed")
			}
		})
	}
}

// TestIssuedRenews: a certificate is renewed ahead of its end, while it serves.
func TestIssuedRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		a := mustOpen(t, t.TempDir())
		issued, err := a.Issue(":25", []string{"a.example"}, log)
		if err != nil {
			t.Fatal(err)
		}
		first := leaf(t, issued)
		time.Sleep(365 * day)
		if !leaf(t, issued).Equal(first) {
			t.Error("renewed too early")
		}
		time.Sleep(2 * day)
		second := leaf(t, issued)
		if second.Equal(first) || second.NotAfter.Before(time.Now().Add(395*day)) {
			t.Error("not renewed")
		}
		if kept := leaf(t, mustIssue(t, a, ":25", "a.example")); !kept.Equal(second) {
			t.Error("the new one isn't kept")
		}

		if err := os.RemoveAll(a.folder); err != nil {
			t.Fatal(err)
		}
		time.Sleep(370 * day)
		for range 3 {
			if !leaf(t, issued).Equal(second) {
				t.Error("a certificate that can't be kept is used")
			}
		}
		if n := strings.Count(text.String(), "can't be renewed"); n != 1 {
			t.Errorf("told %d times that it can't be renewed", n)
		}
	})
}

// TestRootEnds: the end of the root is told in time, and nothing lasts longer.
func TestRootEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := mustOpen(t, t.TempDir())
		time.Sleep(time.Until(a.Root.NotAfter.Add(-100 * day)))
		log, text := newLog()
		issued, err := a.Issue(":25", []string{"a.example"}, log)
		if err != nil {
			t.Fatal(err)
		}
		if !leaf(t, issued).NotAfter.Equal(a.Root.NotAfter) || !strings.Contains(text.String(), "ends soon") {
			t.Errorf("until %v, the log:\n%s", leaf(t, issued).NotAfter, text)
		}
	})
}

func TestFileName(t *testing.T) {
	for address, want := range map[string]string{
		"192.168.10.5:25": "listener-192.168.10.5_25.pem",
		"[::1]:993":       "listener-___1__993.pem",
		"../../x:1":       "listener-.._.._x_1.pem",
		":25":             "listener-_25.pem",
	} {
		if got := fileName(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

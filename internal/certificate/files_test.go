package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a certificate in files that a test replaces.
type pair struct{ certificateFile, keyFile string }

func newPair(t *testing.T, life time.Duration) pair {
	folder := t.TempDir()
	p := pair{filepath.Join(folder, "proxy.pem"), filepath.Join(folder, "proxy.key")}
	certificate, key := selfSigned(t, 1, life)
	p.write(t, certificate, key)
	return p
}

func (p pair) write(t *testing.T, certificate, key []byte) {
	t.Helper()
	for name, content := range map[string][]byte{p.certificateFile: certificate, p.keyFile: key} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func selfSigned(t *testing.T, serial int64, life time.Duration) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now(), NotAfter: time.Now().Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER)
}

// TestFilesReplaced: new files are used, and while they can't be, what was
// there before.
func TestFilesReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		p := newPair(t, 365*day)
		f, err := OpenFiles(p.certificateFile, p.keyFile, false, log)
		if err != nil {
			t.Fatal(err)
		}
		serves := func(step string, want int64) {
			t.Helper()
			if got := leaf(t, f).SerialNumber.Int64(); got != want {
				t.Errorf("%s: serves number %d, want %d", step, got, want)
			}
		}
		serves("at first", 1)
		certificate, key := selfSigned(t, 2, 365*day)
		p.write(t, certificate, key)
		serves("at once", 1)
		time.Sleep(lookEvery)
		serves("replaced", 2)

		next, nextKey := selfSigned(t, 3, 365*day)
		p.write(t, next, key)
		for range 3 {
			time.Sleep(lookEvery)
			serves("half replaced", 2)
		}
		p.write(t, next[:100], nextKey)
		time.Sleep(lookEvery)
		serves("half written", 2)
		if err := os.Remove(p.keyFile); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		serves("removed", 2)
		p.write(t, next, nextKey)
		time.Sleep(lookEvery)
		serves("whole", 3)

		if n := strings.Count(text.String(), "can't be used"); n != 3 {
			t.Errorf("%d warnings, want one for each of three causes:\n%s", n, text)
		}
		if n := strings.Count(text.String(), "certificate replaced"); n != 2 {
			t.Errorf("told %d times that it is replaced, want 2", n)
		}
	})
}

// TestFilesNeedRSA: old clients couldn't use another key, neither now nor later.
func TestFilesNeedRSA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, 365*day)
		if _, err := OpenFiles(p.certificateFile, p.keyFile, true, quiet); err == nil || !strings.Contains(err.Error(), "no RSA key") {
			t.Errorf("error %v", err)
		}
		certificate, key := p.read(t)
		both, err := mustOpen(t, t.TempDir()).issue([]string{"a.example"})
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, both, both)
		f, err := OpenFiles(p.certificateFile, p.keyFile, true, quiet)
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, certificate, key)
		time.Sleep(lookEvery)
		if leaf(t, f).PublicKeyAlgorithm != x509.RSA {
			t.Error("a key that is not for RSA is used")
		}
	})
}

func (p pair) read(t *testing.T) (certificate, key []byte) {
	t.Helper()
	certificate, err := os.ReadFile(p.certificateFile)
	if err == nil {
		key, err = os.ReadFile(p.keyFile)
	}
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func TestOpenFilesErrors(t *testing.T) {
	p := newPair(t, day)
	for name, files := range map[string]pair{
		"no certificate": {"nowhere.pem", p.keyFile},
		"no key":         {p.certificateFile, "nowhere.key"},
		"a folder":       {filepath.Dir(p.keyFile), p.keyFile},
		"exchanged":      {p.keyFile, p.certificateFile},
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := OpenFiles(files.certificateFile, files.keyFile, false, quiet); err == nil {
				t.Errorf("got %v", f)
			}
		})
	}
}

// TestReminder: the end of a certificate is told at the start, and once a day
// to whoever uses it.
func TestReminder(t *testing.T) {
	tests := []struct {
		name           string
		life, passed   time.Duration
		soon, hasEnded int
	}{
		{"far away", 365 * day, 300 * day, 0, 0},
		{"two weeks before", 365 * day, 352 * day, 1, 0},
		{"short-lived, in its first days", 6 * day, 4 * day, 0, 0},
		{"short-lived, near its end", 6 * day, 5 * day, 1, 0},
		{"over", 365 * day, 366 * day, 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, test.life)
				time.Sleep(test.passed)
				log, text := newLog()
				f, err := OpenFiles(p.certificateFile, p.keyFile, false, log)
				if err != nil {
					t.Fatal(err)
				}
				for range 10 {
					time.Sleep(time.Minute)
					leaf(t, f)
				}
				soon, ended := strings.Count(text.String(), "ends soon"), strings.Count(text.String(), "has ended")
				if soon != test.soon || ended != test.hasEnded {
					t.Errorf("got %d and %d, want %d and %d", soon, ended, test.soon, test.hasEnded)
				}
				time.Sleep(day)
				leaf(t, f)
				if again := strings.Count(text.String(), "level=WARN"); soon+ended > 0 && again != soon+ended+1 {
					t.Errorf("a day later told %d times", again)
				}
			})
		})
	}
}

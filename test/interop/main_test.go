//go:build linux

// Package interop runs the proxy as a person would, the built program with a
// configuration file, between real mail clients (curl, Python's libraries,
// msmtp, mbsync, fetchmail, Mutt) and two mail services: the sandbox, and Dovecot with Postfix, which take nothing
// but XOAUTH2 and ask the sandbox's Entra ID about each token.
//
// What is not installed is skipped. With OAUTHPROXY_INTEROP=required in the
// environment it is an error.
package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long anything here may take: a slow machine is no failure.
const patience = time.Minute

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(suite{m})
}

// shared is what all tests use, once one of them has asked for it.
var shared struct {
	folder  string // for the files of everybody; any user may enter it
	program string // the built proxy
	authority
	password      string // of every login but one: all that clients have to quote
	oddPassword   string // of that one: not even text
	Hash, OddHash string // of the two
}

// suite is the tests with what comes after them.
type suite struct{ *testing.M }

// Run runs the tests and leaves nothing behind.
func (s suite) Run() int {
	code := s.M.Run()
	if err := errors.Join(stopRealServers(), os.RemoveAll(shared.folder)); err != nil {
		fmt.Fprintln(os.Stderr, "cannot clean up after the tests:", err)
		code = max(code, 1)
	}
	return code
}

var prepareOnce = sync.OnceValue(prepare)

// needShared makes sure that everything in shared is there.
func needShared(t *testing.T) {
	t.Helper()
	if err := prepareOnce(); err != nil {
		t.Fatal("cannot prepare the tests: ", err)
	}
}

func prepare() (err error) {
	if shared.folder, err = os.MkdirTemp("", "oauthproxy-interop-"); err != nil {
		return err
	}
	if err := os.Chmod(shared.folder, 0o755); err != nil {
		return err
	}
	if shared.authority, err = newAuthority(shared.folder); err != nil {
		return err
	}
	if err := build(); err != nil {
		return err
	}
	shared.password = `it's "q\uoted" {5+} ` + unmistakable
	shared.oddPassword = "  p\xe4ssw\xf6rd {3} \\\" \xff " + unmistakable + " "
	if shared.Hash, err = hashOf(shared.password); err != nil {
		return err
	}
	shared.OddHash, err = hashOf(shared.oddPassword)
	return err
}

// mainPackage is the package of the proxy's program.
const mainPackage = "oauthproxy/cmd/oauthproxy"

// build builds the proxy, with the race detector if the tests have it.
func build() error {
	shared.program = filepath.Join(shared.folder, "oauthproxy")
	arguments := []string{"build", "-o", shared.program}
	if isRace() {
		arguments = append(arguments, "-race")
	}
	out, err := exec.Command("go", append(arguments, mainPackage)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return noteSources()
}

// noteSources looks at all that the proxy is made of, and at the scripts. "go
// test" takes a result from its cache unless something has changed that the
// tests were built of or have looked at, and these are none of the former.
func noteSources() error {
	const ours = `{{with .Module}}{{if .Main}}{{println $.Dir}}{{range $.GoFiles}}{{println (printf "%s/%s" $.Dir .)}}{{end}}{{end}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", ours, mainPackage).Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	scripts, err := filepath.Glob("testdata/*.py")
	if err != nil {
		return err
	}
	for _, path := range append(scripts, strings.Split(string(out), "\n")...) {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	return nil
}

// isRace tells whether the tests were built with the race detector.
func isRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// hashOf asks the proxy for a password's hash.
func hashOf(password string) (string, error) {
	passwd := exec.Command(shared.program, "passwd")
	passwd.Stdin = strings.NewReader(password + "\n")
	out, err := passwd.Output()
	return strings.TrimSpace(string(out)), err
}

// required says that nothing may be skipped.
var required = os.Getenv("OAUTHPROXY_INTEROP") == "required"

// needs skips the test where a program isn't installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			lacks(t, program+" is not installed")
		}
	}
}

// lacks skips the test, or fails it where nothing may be skipped.
func lacks(t *testing.T, what string) {
	t.Helper()
	if required {
		t.Fatalf("%s, and OAUTHPROXY_INTEROP=required", what)
	}
	t.Skip(what)
}

//go:build linux

package interop

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// python runs a script of testdata as a user of the proxy. More settings are
// what the script asks for.
func (s *site) python(t *testing.T, protocol, mode, user string, more map[string]any) {
	t.Helper()
	_, port, _ := strings.Cut(s.address(protocol, mode), ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	setting := map[string]any{"port": number, "tls": mode, "ca": shared.RootFile, "user": user, "password": shared.password}
	maps.Copy(setting, more)
	input, err := json.Marshal(setting)
	if err != nil {
		t.Fatal(err)
	}
	// -B: the tests leave nothing in the repository.
	command := exec.Command("python3", "-B", filepath.Join("testdata", protocol+"_session.py"))
	command.Stdin = bytes.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", protocol, err, out)
	}
}

// TestPythonSMTP runs smtplib.
func TestPythonSMTP(t *testing.T) {
	eachPython(t, func(t *testing.T, s *site, mode string, n int) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		message := newMessage(from, to, ordinaryBody)
		s.python(t, "smtp", mode, from, map[string]any{
			"message": fileOf(t, message), "recipient": to, "refused": s.refused(),
		})
		got := s.received(t, to, 3*(n+1))
		copies := 0
		for _, g := range got {
			if bytes.HasSuffix(g, message) {
				copies++
			}
		}
		if copies != 3 {
			t.Errorf("%d of %d messages are as sent, want 3", copies, len(got))
		}
	})
}

// TestPythonIMAP runs imaplib.
func TestPythonIMAP(t *testing.T) {
	eachPython(t, func(t *testing.T, s *site, mode string, _ int) {
		user := s.mailboxes()[0]
		s.python(t, "imap", mode, user, map[string]any{
			"message": fileOf(t, newMessage(user, user, ordinaryBody)),
			"large":   fileOf(t, newMessage(user, user, large(5<<20))),
		})
	})
}

// TestPythonPOP3 runs poplib.
func TestPythonPOP3(t *testing.T) {
	eachPython(t, func(t *testing.T, s *site, mode string, n int) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		first, second := newMessage(from, to, ordinaryBody), newMessage(from, to, large(1<<20))
		c := s.logInSMTP(t, mode, from)
		c.sendMessage(from, []string{to}, first)
		c.sendMessage(from, []string{to}, second)
		s.received(t, to, 2*(n+1))
		s.python(t, "pop3", mode, to, map[string]any{"first": fileOf(t, first), "second": fileOf(t, second)})
	})
}

// eachPython runs the test on each service, in each way to TLS.
func eachPython(t *testing.T, test func(t *testing.T, s *site, mode string, n int)) {
	needs(t, "python3")
	onEach(t, func(t *testing.T, s *site) {
		for n, mode := range tlsModes {
			t.Run(mode, func(t *testing.T) { test(t, s, mode, n) })
		}
	})
}

// fileOf writes a file for a script to read.
func fileOf(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "message")
	writeFile(t, file, content)
	return file
}

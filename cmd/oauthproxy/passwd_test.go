package main

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"oauthproxy/accounts"
	"oauthproxy/internal/wire"
)

// opens tells whether hash is that of password.
func opens(t *testing.T, hash, password string) bool {
	t.Helper()
	directory, err := accounts.New([]accounts.Account{{
		Mailbox: "a@contoso.com",
		Logins:  []accounts.Login{{User: "a", PasswordHash: hash}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = directory.Verify(t.Context(), accounts.Attempt{
		Protocol: "imap", User: "a", Password: wire.NewSecret(password), Address: netip.MustParseAddr("127.0.0.1"),
	})
	return err == nil
}

func TestPasswd(t *testing.T) {
	tests := []struct{ name, stdin, password string }{
		{"a line", "correct horse\n", "correct horse"},
		{"Windows line end", "correct horse\r\n", "correct horse"},
		{"no line end", "correct horse", "correct horse"},
		{"blanks at the ends", " \tcorrect horse \n", " \tcorrect horse "},
		{"quotes and backslashes", `"co\rr'ect` + "\n", `"co\rr'ect`},
		{"UTF-8", "pferdestärke\n", "pferdestärke"},
		{"Latin-1", "pferdest\xe4rke\n", "pferdest\xe4rke"},
		{"the first line alone", "correct\nhorse\n", "correct"},
		{"the longest", strings.Repeat("x", maxPassword) + "\r\n", strings.Repeat("x", maxPassword)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := runCommand(t, test.stdin, "passwd")
			if got.status != exitWell || got.err != "" {
				t.Fatalf("got %+v", got)
			}
			if hash := strings.TrimSuffix(got.out, "\n"); strings.Contains(hash, "\n") || !opens(t, hash, test.password) {
				t.Errorf("standard output has %q, which is not the password's hash alone", got.out)
			}
		})
	}
}

func TestPasswdRefuses(t *testing.T) {
	tests := []struct{ name, stdin, err string }{
		{"nothing", "", "the password is empty"},
		{"an empty line", "\nsecond\n", "the password is empty"},
		{"too long", strings.Repeat("x", maxPassword+1) + "\n", "the password is longer than 1024 bytes"},
		{"far too long", strings.Repeat("x", 10*maxPassword), "the password is longer than 1024 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := runCommand(t, test.stdin, "passwd")
			if want := (outcome{"", "oauthproxy: " + test.err + "\n", exitFailed}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// waiting is a standard input that nobody writes to, until it is closed.
type waiting chan struct{}

func (w waiting) Read([]byte) (int, error) { <-w; return 0, os.ErrClosed }

func TestPasswdInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in := make(waiting)
	defer close(in)
	var out, err bytes.Buffer
	status := run(ctx, []string{"passwd"}, &ui{in: in, out: &out, err: &err})
	if want := "oauthproxy: can't read the password: interrupted\n"; status != exitFailed || out.Len() > 0 || err.String() != want {
		t.Errorf("got %d, %q, %q", status, &out, &err)
	}
}

func TestPasswdGenerate(t *testing.T) {
	form := regexp.MustCompile(`^oauthproxy: the password is ([a-z2-9]{8,15}) \(strength ([0-9]+) bits\); it isn't shown again\n$`)
	seen := make(map[string]bool)
	for range 3 {
		got := runCommand(t, "not read\n", "passwd", "--generate")
		m := form.FindStringSubmatch(got.err)
		if got.status != exitWell || m == nil {
			t.Fatalf("got %+v", got)
		}
		if !opens(t, strings.TrimSuffix(got.out, "\n"), m[1]) {
			t.Errorf("standard output has %q, which is not the password's hash alone", got.out)
		}
		seen[m[1]] = true
	}
	if len(seen) != 3 {
		t.Error("a password came twice")
	}
}

// TestExampleHashes: the example's hashes are of a kind that is accepted.
func TestExampleHashes(t *testing.T) {
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`password_hash: "(.*)"`).FindAllSubmatch(data, -1)
	if len(found) == 0 {
		t.Error("the example has no hashes")
	}
	for _, m := range found {
		if err := accounts.CheckHash(string(m[1])); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}

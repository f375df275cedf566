package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"oauthproxy/tokens"
)

// TestOnlyTheServiceHasTheSecrets: commands reach it without reading them.
func TestOnlyTheServiceHasTheSecrets(t *testing.T) {
	s := newSite(t, "device_code")
	credentials := t.TempDir()
	if err := os.Rename(filepath.Join(s.folder, "client.secret"), filepath.Join(credentials, "client.secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.MakeKey(filepath.Join(credentials, "store.key")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	proxy, smtp := s.serve()
	defer proxy.end(t)
	t.Setenv("CREDENTIALS_DIRECTORY", "")

	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	if err := sendFrom(smtp, "alice", localPassword, "alice@contoso.example"); err != nil {
		t.Error(err)
	}
}

// TestStoreInUse: one state directory is for one process.
func TestStoreInUse(t *testing.T) {
	s := newSite(t, "device_code")
	state := filepath.Join(s.folder, "state")
	locked, err := tokens.OpenStore(state, tokens.KeyOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	want := fmt.Sprintf("oauthproxy: the store of sign-ins is in use by process %d (it has locked %s)\noauthproxy: hint: ",
		os.Getpid(), filepath.Join(state, "store.lock"))
	const mute = "that process doesn't answer on its control socket: wait until it has started or ended, else restart it"
	tests := []struct{ command, hint string }{
		{"serve", "stop that process first; a second service needs a state_directory of its own"},
		{"login alice@contoso.example", mute},
		{"logout alice@contoso.example", mute},
		{"accounts", mute},
		{"store rekey", "the key can't be changed while the service runs: stop it, run this again, and start it"},
	}
	for _, test := range tests {
		t.Run(test.command, func(t *testing.T) {
			got := runCommand(t, "", append(strings.Fields(test.command), "--config", s.config)...)
			if got != (outcome{"", want + test.hint + "\n", exitFailed}) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestUnknownAccount(t *testing.T) {
	s := newSite(t, "device_code")
	tests := []struct {
		name string
		args []string
		err  string
		want int
	}{
		{"mistyped", []string{"login", "alcie@contoso.example"},
			"oauthproxy: there is no account \"alcie@contoso.example\" in the configuration\noauthproxy: hint: did you mean alice@contoso.example?\n", exitFailed},
		{"logout", []string{"logout", "zzz"},
			"oauthproxy: there is no account \"zzz\" in the configuration\noauthproxy: hint: for the accounts there are, run: oauthproxy accounts\n", exitFailed},
		{"none", []string{"login"}, "oauthproxy: no account given: name its mailbox\noauthproxy: hint: for what it takes, run: oauthproxy help login\n", exitUsage},
		{"two", []string{"logout", "a", "b"}, "oauthproxy: unexpected argument \"b\"\noauthproxy: hint: for what it takes, run: oauthproxy help logout\n", exitUsage},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := runCommand(t, "", append(test.args, "--config", s.config)...); got != (outcome{"", test.err, test.want}) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestAccountTable: a line for each account.
func TestAccountTable(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	got := runCommand(t, "", "accounts", "--config", s.config)
	lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
	if len(lines) != 4 || got.status != exitWell || got.err != "oauthproxy: no service answers: this is what the store has\n" {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []string{
		`^ACCOUNT +FLOW +SIGNED IN AS +TOKEN UNTIL +RENEWED +CERTIFICATE UNTIL +STATE +NEXT$`,
		`^alice@contoso.example +device_code +alice@contoso.example +20.* +20.* +- +ready +-$`,
		`^shared@contoso.example +device_code +- +- +- +- +sign-in needed +nobody has signed in for this account; run: oauthproxy login shared@contoso.example$`,
		`^scanner@contoso.example +client_secret +- +- +- +- +ready +no access token has been fetched yet, the first session does that; to try it now, run: oauthproxy login scanner@contoso.example$`,
	} {
		if !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("line %d: got %q, want %s", i, lines[i], want)
		}
	}
}

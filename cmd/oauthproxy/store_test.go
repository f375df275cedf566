package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oauthproxy/tokens"
)

// TestRekey: with another key the sign-ins are the same.
func TestRekey(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	own := filepath.Join(s.folder, "state", "store.key")
	before, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	stillIn := func() {
		t.Helper()
		if got := s.accounts()["alice@contoso.example"]; got.SignedInAs != "alice@contoso.example" {
			t.Errorf("got %+v", got)
		}
	}

	got := runCommand(t, "", "store", "rekey", "--config", s.config)
	if want := (outcome{"", "oauthproxy: the store has a new key; sign-ins in it: 1\n", exitWell}); got != want {
		t.Errorf("own key: %+v", got)
	}
	if after, err := os.ReadFile(own); err != nil || string(after) == string(before) {
		t.Errorf("the store's own key is the same, %v", err)
	}
	stillIn()

	file := filepath.Join(s.folder, "another.key")
	got = runCommand(t, "", "store", "rekey", "--key-file", file, "--config", s.config)
	want := "oauthproxy: the store has a new key; sign-ins in it: 1\noauthproxy: hint: before the next start, write into the configuration: store: {key_file: \"" + file + "\"}\n"
	if got.status != exitWell || got.err != want {
		t.Errorf("key file: %+v", got)
	}
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("config.yaml", string(config)+"store: {key_file: another.key}\n")
	stillIn()

	got = runCommand(t, "", "store", "rekey", "--config", s.config)
	if got.status != exitFailed || !strings.Contains(got.err, "name a file for the new key") {
		t.Errorf("a key file without another: %+v", got)
	}
	got = runCommand(t, "", "store", "rekey", "--key-file", file, "--config", s.config)
	if got.status != exitFailed || !strings.Contains(got.err, "the new key is the one in use") {
		t.Errorf("the same key: %+v", got)
	}
	if key, err := tokens.ReadKey(file); err != nil || key.IsEmpty() {
		t.Errorf("the key file can't be read: %v", err)
	}
}

func TestStoreMisuse(t *testing.T) {
	const hint = "oauthproxy: hint: for what it takes, run: oauthproxy help store\n"
	tests := []struct {
		name string
		args []string
		err  string
	}{
		{"nothing", nil, "oauthproxy: say what to do with the store: rekey\n" + hint},
		{"something else", []string{"empty"}, "oauthproxy: unknown argument \"empty\"\n" + hint},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := runCommand(t, "", append([]string{"store"}, test.args...)...); got != (outcome{"", test.err, exitUsage}) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

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

// TestRekeyFromACredential: that goes before a key file of the configuration.
func TestRekeyFromACredential(t *testing.T) {
	s := newSite(t, "device_code")
	credentials := t.TempDir()
	if _, err := tokens.MakeKey(filepath.Join(credentials, "store.key")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	file := filepath.Join(s.folder, "another.key")
	got := runCommand(t, "", "store", "rekey", "--key-file", file, "--config", s.config)
	if got.status != exitWell || !strings.Contains(got.err, "goes before everything else: LoadCredential=store.key:"+file) {
		t.Errorf("got %+v", got)
	}
}

func TestRekeyToAPassphrase(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	for _, passphrase := range []string{"correct horse", "battery staple"} {
		got := runCommand(t, passphrase+"\n", "store", "rekey", "--passphrase", "--config", s.config)
		if got.status != exitWell || !strings.Contains(got.err, "hint: before the next start, set OAUTHPROXY_STORE_PASSPHRASE to it") || strings.Contains(got.err, passphrase) {
			t.Errorf("got %+v", got)
		}
		t.Setenv("OAUTHPROXY_STORE_PASSPHRASE", passphrase)
		if got := s.accounts()["alice@contoso.example"]; got.State != "ready" {
			t.Errorf("got %+v", got)
		}
	}
}

// TestRekeyInterrupted: the same command again ends the change.
func TestRekeyInterrupted(t *testing.T) {
	s := newSite(t, "device_code")
	for _, account := range []string{"alice@contoso.example", "shared@contoso.example"} {
		s.logInByCode(account, "alice@contoso.example")
	}
	file := filepath.Join(s.folder, "another.key")
	rekey := func() outcome {
		return runCommand(t, "", "store", "rekey", "--key-file", file, "--config", s.config)
	}
	before, err := os.ReadFile(s.state("account-alice@contoso.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := rekey(); got.status != exitWell {
		t.Fatalf("got %+v", got)
	}
	// As if the power had failed before alice's file was put in place.
	if err := os.Rename(s.state("account-alice@contoso.example"), s.state("next-alice@contoso.example")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.state("account-alice@contoso.example"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.accounts()["alice@contoso.example"]; !strings.Contains(got.Text, "was interrupted, and "+s.state("store.key")+" isn't the key that can end it: run: oauthproxy store rekey --key-file FILE") {
		t.Errorf("got %+v", got)
	}
	if got := rekey(); got.status != exitWell || !strings.Contains(got.err, "that was interrupted is ended: the store has the key in "+file+"\noauthproxy: hint: before the next start") {
		t.Errorf("got %+v", got)
	}
	s.change("state_directory: state", "state_directory: state\nstore: {key_file: another.key}")
	for _, account := range []string{"alice@contoso.example", "shared@contoso.example"} {
		if got := s.accounts()[account]; got.State != "ready" {
			t.Errorf("got %+v", got)
		}
	}
}

// TestRekeyMovesAside: what is damaged keeps nobody from changing the key.
func TestRekeyMovesAside(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	if err := os.Truncate(s.state("account-alice@contoso.example"), 100); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, "", "store", "rekey", "--config", s.config)
	want := "oauthproxy: the file of alice@contoso.example is damaged and was moved aside: sign in again\noauthproxy: the store has a new key; sign-ins in it: 0\n"
	if got != (outcome{"", want, exitWell}) {
		t.Errorf("got %+v", got)
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
		{"two kinds of keys", []string{"rekey", "--key-file", "f", "--passphrase"}, "oauthproxy: --key-file and --passphrase can't be used together\n" + hint},
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

package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oauthproxy/internal/registration"
)

// TestSetupRegistersFirst: without a registration the steps come first, and
// the scripts if they are wanted; then the questions go on.
func TestSetupRegistersFirst(t *testing.T) {
	s := newSetup(t)
	s.play(cloudAndMailbox, byBrowser, here, []reply{{"tenant: ", ""}})
	s.await("[no]: ")
	contains(t, s.run.out.String(), "What is to be done at Microsoft", "1. Register the application (administrator of Entra ID)")
	s.typeIn("yes\n")
	s.await("tenant: ")
	if got := s.files(); got != "setup-entra.ps1 setup-exchange.ps1" {
		t.Errorf("in the middle there are %s", got)
	}
	s.typeIn("common\n")
	s.play([]reply{{"tenant: ", tenantID}, {"client ID: ", "not-an-id"}, {"client ID: ", ""}, {"client ID: ", appID}, {"[yes]: ", "no"}, {"[yes]: ", "no"}})
	said := s.ends(exitWell)
	contains(t, said, "that stands for many directories, and it takes one", "it takes an ID such as", "It is needed for the configuration.")
	if strings.Count(said, "What is to be done at Microsoft") != 1 {
		t.Errorf("the steps are told twice:\n%s", said)
	}
	s.load()
}

// TestSetupOverwritesNothingUnasked: with no, the file stays and another can
// be named; with yes, it is replaced.
func TestSetupOverwritesNothingUnasked(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"config.yaml", "setup-exchange.ps1", "client.secret"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newSetupIn(t, folder)
	other := filepath.Join(folder, "other.yaml")
	s.play(cloudAndMailbox, bySecret, here, []reply{{"[no]: ", ""}, {"file, or -: ", folder}, {"file, or -: ", filepath.Join(folder, "config.yaml", "x")}, {"file, or -: ", other}}, registered,
		[]reply{{"[yes]: ", "no"}, {"client secret: ", appID}, {"client secret: ", "new"}, {"[yes]: ", ""}, {"[no]: ", ""}, {"[yes]: ", "no"}})
	said := s.ends(exitWell)
	contains(t, said, "is there already. Overwrite it?", "is there, and is no file", "is no folder", "looks like the Secret ID", "Overwrite them?")
	if got := s.files(); got != "client-2.secret client.secret config.yaml other.yaml setup-exchange.ps1" {
		t.Errorf("files: %s", got)
	}
	for _, name := range []string{"config.yaml", "setup-exchange.ps1", "client.secret"} {
		if text, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(text) != "mine" {
			t.Errorf("%s has %q, %v", name, text, err)
		}
	}
	s.file = other
	if c := s.load(); c.Apps["oauthproxy"].ClientSecretFile != filepath.Join(folder, "client-2.secret") {
		t.Errorf("got %+v", c.Apps)
	}

	s = newSetupIn(t, folder)
	s.play(cloudAndMailbox, bySecret, here, []reply{{"[no]: ", "yes"}}, registered, []reply{{"[yes]: ", "yes"}, {"[yes]: ", ""}, {"[no]: ", "yes"}, {"[yes]: ", "no"}})
	s.ends(exitWell)
	if text, err := os.ReadFile(filepath.Join(folder, "client.secret")); err != nil || string(text) != "mine" {
		t.Errorf("client.secret has %q, %v", text, err)
	}
	s.load()
}

// TestSetupShowsTheConfiguration: "-" writes nothing at all.
func TestSetupShowsTheConfiguration(t *testing.T) {
	s := newSetup(t)
	s.play(cloudAndMailbox, bySecret, here[:3], []reply{{"config.yaml]: ", "-"}}, registered)
	said := s.ends(exitWell)
	contains(t, said, `- mailbox: "alice@contoso.com"`, "nothing was saved", "serve --config FILE")
	if _, err := os.Stat(s.folder); !os.IsNotExist(err) {
		t.Errorf("there is %s", s.files())
	}
}

// TestSetupCannotWrite: where the folder can't be written to, everything that
// was answered is on the screen, with the password.
func TestSetupCannotWrite(t *testing.T) {
	parent := t.TempDir()
	s := newSetupIn(t, filepath.Join(parent, "later", "new"))
	s.play(cloudAndMailbox, byBrowser, here, registered, scriptsThenStay[:2])
	s.await("[yes]: ")
	// A file of that name stands for all that can be wrong, for root too.
	if err := os.WriteFile(filepath.Join(parent, "later"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.typeIn("no\n")
	said := s.ends(exitFailed)
	contains(t, said, "can't make the folder", `- mailbox: "alice@contoso.com"`, "password_hash:", "client_id: \""+appID, "hint: this is the configuration: save it")
	if !shownPassword.MatchString(said) {
		t.Errorf("the password is lost:\n%s", said)
	}
}

// TestSetupMeetsAnotherFile: a file that somebody makes between the question
// and the end stays.
func TestSetupMeetsAnotherFile(t *testing.T) {
	s := newSetup(t)
	s.play(cloudAndMailbox, byBrowser, here, registered, scriptsThenStay[:2])
	s.await("[yes]: ")
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.typeIn("no\n")
	contains(t, s.ends(exitFailed), "has appeared meanwhile: it isn't overwritten", `- mailbox: "alice@contoso.com"`)
	if text, err := os.ReadFile(s.file); err != nil || string(text) != "another" {
		t.Errorf("the file has %q, %v", text, err)
	}
}

// TestSetupOnAFullDisk: /dev/full is one, for the configuration itself.
func TestSetupOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	folder := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "none", folder).CombinedOutput(); err != nil {
		t.Skipf("no file system to fill: %s", out)
	}
	defer func() { _ = exec.Command("umount", folder).Run() }()
	if err := os.WriteFile(filepath.Join(folder, "much"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSetupIn(t, folder)
	s.play(cloudAndMailbox, byBrowser, here, registered, scriptsThenStay)
	contains(t, s.ends(exitFailed), "oauthproxy: can't write", "no space left on device", `- mailbox: "alice@contoso.com"`)
	if got := s.files(); got != "much" {
		t.Errorf("left behind: %s", got)
	}
}

// TestSetupWithACertificate: the command that is told makes files that the
// configuration can use.
func TestSetupWithACertificate(t *testing.T) {
	s := newSetup(t)
	s.play(cloudAndMailbox, []reply{{number, "2"}, {number, "2"}, {"[yes]: ", "no"}, {"[imap, smtp]: ", ""}}, here, registered, scriptsAlone)
	said := s.ends(exitWell)
	contains(t, said, "Upload certificate", "It lacks the application's key and certificate yet")
	key, certificate := filepath.Join(s.folder, "app.key"), filepath.Join(s.folder, "app.crt")
	command := registration.KeyCommand(key, certificate)
	if !strings.Contains(said, command) {
		t.Errorf("%s is missing in:\n%s", command, said)
	}
	makePair(t, command, key, certificate)
	if c := s.load(); c.Apps["oauthproxy"].CertificateFile != certificate || c.Apps["oauthproxy"].KeyFile != key {
		t.Errorf("got %+v", c.Apps)
	}
}

// makePair runs the command; without OpenSSL, net/http/httptest has a pair.
func makePair(t *testing.T, command, key, certificate string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err == nil {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	der, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		key: {Type: "PRIVATE KEY", Bytes: der}, certificate: {Type: "CERTIFICATE", Bytes: server.TLS.Certificates[0].Certificate[0]},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSetupWithoutASecretYet tells where to put it, and runs nothing that
// needs it.
func TestSetupWithoutASecretYet(t *testing.T) {
	s := newSetup(t)
	s.play(cloudAndMailbox, bySecret, here, registered, []reply{{"client secret: ", ""}}, scriptsAlone)
	contains(t, s.ends(exitWell), "It lacks the client secret yet", "secret save the client secret's Value in "+filepath.Join(s.folder, "client.secret"))
	if err := os.WriteFile(filepath.Join(s.folder, "client.secret"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.load()
}

// TestSetupTypedPassword: one that differs is asked for again, and none is on
// the screen.
func TestSetupTypedPassword(t *testing.T) {
	s := newSetup(t)
	s.play(cloudAndMailbox, byBrowser, here[:2], []reply{{number, "2"}, {"\npassword: ", "pÃss 1"}, {"again: ", "pass 2"}, {"\npassword: ", ""}, {"again: ", ""},
		{"\npassword: ", "pÃss 1"}, {"again: ", "pÃss 1"}}, here[3:], registered, scriptsThenStay)
	said := s.ends(exitWell)
	contains(t, said, "The two differ: try again.", "That won't do: it takes 1 to 1024 bytes.", "password the one that you have typed")
	if strings.Contains(said, "ss 1") || strings.Contains(said, "ss 2") {
		t.Errorf("a password is on the screen:\n%s", said)
	}
	if !opens(t, s.load().Accounts[0].Logins[0].PasswordHash, "pÃss 1") {
		t.Error("the typed password doesn't work")
	}
}

// TestSetupSignsIn: login runs with the new configuration; what it says is its
// own. There is no Entra ID to reach here.
func TestSetupSignsIn(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	s := newSetup(t)
	s.play(cloudAndMailbox, byBrowser, here, registered, []reply{{"[yes]: ", ""}, {"[yes]: ", ""}, {"[yes]: ", "no"}})
	s.run.err.await(t, `oauthproxy: now: oauthproxy login alice@contoso.com\r\n(.*\r\n)*.+`)
	s.run.stop()
	<-s.run.status
	s.load()
}

// TestSetupExplains: "?" tells more at every question, and what isn't text is
// refused.
func TestSetupExplains(t *testing.T) {
	s := newSetup(t)
	for _, r := range slices.Concat(cloudAndMailbox, byBrowser, here, registered, scriptsThenStay) {
		s.await(r.prompt)
		s.typeIn("?\n")
		s.await(r.prompt)
		s.typeIn(r.answer + "\n")
	}
	said := s.ends(exitWell)
	if strings.Contains(said, "There is no more to tell") {
		t.Errorf("a question has no more to tell:\n%s", said)
	}

	s = newSetup(t)
	s.play([]reply{{number, "5"}, {number, "x"}, {number, "1"}, {"address: ", "\x1b[A"}, {"address: ", ""}, {"address: ", "bob@contoso"}})
	s.await("address: ")
	s.run.stop()
	contains(t, s.ends(exitFailed), "answer with a number from 1 to 4", "isn't text, such as an arrow key", "it takes an address such as", `"bob@contoso" is no address`)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcome is what a command said, and its exit status.
type outcome struct {
	out, err string
	status   int
}

// runCommand runs oauthproxy with args.
func runCommand(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, err bytes.Buffer
	status := run(t.Context(), args, &ui{in: strings.NewReader(stdin), out: &out, err: &err})
	return outcome{out.String(), err.String(), status}
}

func TestMisuse(t *testing.T) {
	const overview = "oauthproxy: hint: for what it takes, run: oauthproxy help\n"
	tests := []struct {
		name string
		args []string
		err  string
	}{
		{"no command", nil, "oauthproxy: no command given\n" + overview},
		{"unknown flag before the command", []string{"--colour", "passwd"}, "oauthproxy: flag provided but not defined: -colour\n" + overview},
		{"--config without a file", []string{"--config"}, "oauthproxy: flag needs an argument: -config\n" + overview},
		{"mistyped command", []string{"passwrd"}, "oauthproxy: unknown command \"passwrd\"\noauthproxy: hint: did you mean passwd?\n"},
		{"no such command", []string{"colour"}, "oauthproxy: unknown command \"colour\"\noauthproxy: hint: for the commands there are, run: oauthproxy help\n"},
		{"help for no such command", []string{"help", "passwrd"}, "oauthproxy: unknown command \"passwrd\"\noauthproxy: hint: did you mean passwd?\n"},
		{"unknown flag", []string{"passwd", "--colour"}, "oauthproxy: flag provided but not defined: -colour\noauthproxy: hint: for what it takes, run: oauthproxy help passwd\n"},
		{"argument too many", []string{"passwd", "secret"}, "oauthproxy: unexpected argument \"secret\"\noauthproxy: hint: for what it takes, run: oauthproxy help passwd\n"},
		{"argument after the flags' end", []string{"passwd", "--", "--generate"}, "oauthproxy: unexpected argument \"--generate\"\noauthproxy: hint: for what it takes, run: oauthproxy help passwd\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, want := runCommand(t, "", test.args...), (outcome{"", test.err, exitUsage}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestHelp: every command is in the overview, and every one has its own help,
// however it is asked for.
func TestHelp(t *testing.T) {
	overview := runCommand(t, "", "help")
	if overview.status != exitWell || overview.err != "" {
		t.Errorf("help: %+v", overview)
	}
	for _, flag := range []string{"-h", "--help"} {
		if got := runCommand(t, "", flag); got != overview {
			t.Errorf("%s: got %+v, want what help says", flag, got)
		}
	}
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(overview.out, "\n  "+c.form()+" ") || !strings.Contains(overview.out, c.summary) {
				t.Errorf("the overview lacks %s:\n%s", c.form(), overview.out)
			}
			own := runCommand(t, "", "help", c.name)
			if own.status != exitWell || own.err != "" || !strings.HasPrefix(own.out, "usage: oauthproxy "+c.form()+"\n") || !strings.Contains(own.out, "--config FILE") {
				t.Errorf("help %s: %+v", c.name, own)
			}
			if got := runCommand(t, "", c.name, "-h"); got != own {
				t.Errorf("%s -h: got %+v, want what help says", c.name, got)
			}
		})
	}
}

// TestOptions: flags may stand before and after the other arguments.
func TestOptions(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		config string
		rest   string
	}{
		{"before", []string{"--config", "F", "a", "b"}, "F", "a b"},
		{"after", []string{"a", "b", "--config=F"}, "F", "a b"},
		{"between", []string{"a", "-config", "F", "b"}, "F", "a b"},
		{"the last one counts", []string{"--config=E", "a", "--config=F"}, "F", "a"},
		{"none", []string{"a"}, "", "a"},
		{"nothing", nil, "", ""},
		{"after --", []string{"a", "--", "--config=F", "--"}, "", "a --config=F --"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := newOptions("test", &ui{})
			rest, _, ok := o.parse(test.args, 3)
			if got := strings.Join(rest, " "); !ok || got != test.rest || *o.config != test.config {
				t.Errorf("got %q, --config %q, %v; want %q, --config %q", got, *o.config, ok, test.rest, test.config)
			}
		})
	}
}

// broken has a problem with a hint and one without.
const broken = `
apps: {devices: {tenant: contoso.com, client_id: 66666666-7777-8888-9999-000000000000, flow: client_secret, client_secret_file: nowhere}}
listeners: [{protocol: imap, address: "127.0.0.1:1143"}]
accounts: [{mailbox: a@contoso.com, app: devices, logins: []}]
`

func TestWrongConfiguration(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	t.Setenv("HOME", folder)
	file, missing := filepath.Join(folder, "broken.yaml"), filepath.Join(folder, "missing.yaml")
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	problems := "oauthproxy: F:2: apps.devices.client_secret_file: can't read D/nowhere: no such file or directory\n" +
		"oauthproxy: hint: it holds the client secret's value, nothing else\n" +
		"oauthproxy: F:4: accounts[0].logins: the list is empty\n"
	tests := []struct {
		name string
		args []string
		err  string
	}{
		{"named after the command", []string{"serve", "--config", file}, problems},
		{"named before it", []string{"--config=" + file, "serve"}, problems},
		{"not there", []string{"serve", "--config", missing}, "oauthproxy: can't read the configuration D/missing.yaml: no such file or directory\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := runCommand(t, "", test.args...)
			got.err = strings.NewReplacer(file, "F", folder, "D").Replace(got.err)
			if want := (outcome{"", test.err, exitConfig}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestNoConfiguration(t *testing.T) {
	const system = "/etc/oauthproxy/config.yaml"
	if _, err := os.Stat(system); err == nil {
		t.Skip("this machine has a configuration")
	}
	folder := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", folder)
	t.Setenv("HOME", folder)
	got := runCommand(t, "", "serve")
	if got.status != exitConfig || !strings.Contains(got.err, "there is no "+folder) || !strings.Contains(got.err, "and no "+system) ||
		!strings.Contains(got.err, "\noauthproxy: hint: name one with --config") {
		t.Errorf("got %+v", got)
	}
}

func TestVersion(t *testing.T) {
	release = "v1.2.3"
	defer func() { release = "" }()
	got := runCommand(t, "", "version")
	if got.status != exitWell || got.err != "" || !strings.HasPrefix(got.out, "oauthproxy v1.2.3 (go1.") {
		t.Errorf("got %+v", got)
	}
	release = ""
	if got := runCommand(t, "", "version"); got.status != exitWell || !strings.HasPrefix(got.out, "oauthproxy (") {
		t.Errorf("without -ldflags: got %+v", got)
	}
}

// full is a file on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestResultLost(t *testing.T) {
	var err bytes.Buffer
	status := run(context.Background(), []string{"version"}, &ui{in: strings.NewReader(""), out: full{}, err: &err})
	if want := "oauthproxy: can't write the result: no space left on device\n"; status != exitFailed || err.String() != want {
		t.Errorf("got %d, %q, want %q", status, err.String(), want)
	}
	if status := run(context.Background(), []string{"help"}, &ui{in: strings.NewReader(""), out: full{}, err: io.Discard}); status != exitFailed {
		t.Errorf("help: got %d", status)
	}
}

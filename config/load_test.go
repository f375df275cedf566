package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"oauthproxy/internal/wire"
)

// smallest is a configuration with nothing but what is required.
const smallest = `
apps:
  devices:
    tenant: contoso.onmicrosoft.com
    client_id: 66666666-7777-8888-9999-000000000000
    flow: client_secret
    client_secret_file: devices.secret
listeners:
  - {protocol: imap, address: "127.0.0.1:1143"}
accounts:
  - mailbox: scanner@contoso.com
    app: devices
    logins:
      - {user: copier1, password_hash: "$argon2id$good"}
`

// load writes a configuration into folder and loads it.
func load(t testing.TB, folder, text string) (*Config, error) {
	t.Helper()
	file := filepath.Join(folder, "config.yaml")
	writeFile(t, file, text)
	return Load(file, fakeCheck)
}

// mustLoad loads a configuration that has no problem.
func mustLoad(t testing.TB, folder, text string) *Config {
	t.Helper()
	c, err := load(t, folder, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestDefaults(t *testing.T) {
	folder := fixture(t)
	got := mustLoad(t, folder, smallest)
	upstream := Upstream{
		Cloud: "worldwide",
		IMAP:  Host{"outlook.office365.com:993", Implicit},
		POP3:  Host{"outlook.office365.com:995", Implicit},
		SMTP:  Host{"smtp.office365.com:587", StartTLS},
	}
	want := &Config{
		File: filepath.Join(folder, "config.yaml"),
		Apps: map[string]App{"devices": {
			Tenant:           "contoso.onmicrosoft.com",
			ClientID:         "66666666-7777-8888-9999-000000000000",
			Flow:             ClientSecret,
			Authority:        "https://login.microsoftonline.com/contoso.onmicrosoft.com",
			ClientSecretFile: filepath.Join(folder, "devices.secret"),
		}},
		Listeners: []Listener{{Protocol: IMAP, Address: "127.0.0.1:1143", TLS: None}},
		Accounts: []Account{{
			Mailbox:  "scanner@contoso.com",
			App:      "devices",
			Scopes:   []string{"https://outlook.office365.com/.default"},
			Logins:   []Login{{User: "copier1", PasswordHash: "$argon2id$good"}},
			Upstream: upstream,
		}},
		Upstream:       upstream,
		Limits:         Limits{Sessions: 10000, SessionsPerAddress: 200, SessionsPerLogin: 100, MessagesPerMinute: 30, RecipientsPerDay: 10000},
		StateDirectory: filepath.Join(folder, ".local", "state", "oauthproxy"),
		Log:            Log{Level: "info", Format: "text"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEveryKey(t *testing.T) {
	folder := fixture(t)
	c := mustLoad(t, folder, `
accounts:                  # before what it refers to
- mailbox: scanner@contoso.com
  app: devices
  logins:
  - {user: 0123, password_hash: $argon2id$good, networks: [192.168.10.21, 'fd00:10::/64'], protocols: [smtp, imap], device: true,
    sender: mailbox, allow_senders: [copier@localhost, '@printers.example'], allow_recipients: ['@contoso.com'],
    max_message_size: 10 mb, messages_per_minute: 5, recipients_per_message: 20}
  - networks: &office [192.168.10.22/32]
    protocols: [smtp]
    device: false
  upstream: {smtp: {address: 'smtp.example:25'}, pop3: {tls: starttls}}
apps:
  devices: {tenant: 11111111-2222-3333-4444-555555555555, client_id: 66666666-7777-8888-9999-AAAAAAAAAAAA, flow: client_secret,
    client_secret_file: devices.secret, authority: 'https://127.0.0.1:8443/'}
listeners:
- {protocol: smtp, address: ':25', tls: auto, certificate_file: proxy.pem, key_file: proxy.key, networks: *office}
- {protocol: pop3, address: '[fd00:10::5]:110', networks: *office}
- {protocol: imap, address: '[::1]:0', tls: none}
- {protocol: imap, address: 'localhost:0', tls: implicit, certificate_file: proxy.pem, key_file: proxy.key}
- {protocol: pop3, address: ':110', tls: starttls, names: [Mail.contoso.com, 192.168.10.5, 'FD00:10::5'], legacy_tls: true, networks: *office}
- {protocol: imap, address: ':143', tls: auto, certificate_file: rsa.pem, key_file: rsa.key, legacy_tls: true, networks: *office}
upstream: {cloud: gcc-high, imap: {address: 'imap.example:143', tls: starttls}, ca_file: roots.pem}
limits: {sessions: 0, sessions_per_address: 1, sessions_per_login: 010, messages_per_minute: 0, recipients_per_day: 500}
admin: {address: ':9143'}
state_directory: state
store: {key_file: store.key}
http_proxy: 'http://me:secret@127.0.0.1:3128'
log: {level: debug, format: json}
`)
	in := func(name string) string { return filepath.Join(folder, name) }
	imap, pop3 := Host{"imap.example:143", StartTLS}, Host{"outlook.office365.us:995", Implicit}
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
		}
	}
	check("authority", c.Apps["devices"].Authority, "https://127.0.0.1:8443/11111111-2222-3333-4444-555555555555")
	check("scopes", c.Accounts[0].Scopes, []string{"https://outlook.office365.us/.default"})
	check("listeners", c.Listeners, []Listener{
		{SMTP, ":25", Auto, in("proxy.pem"), in("proxy.key"), nil, false, prefixes("192.168.10.22/32")},
		{POP3, "[fd00:10::5]:110", None, "", "", nil, false, prefixes("192.168.10.22/32")},
		{IMAP, "[::1]:0", None, "", "", nil, false, nil},
		{IMAP, "localhost:0", Implicit, in("proxy.pem"), in("proxy.key"), nil, false, nil},
		{POP3, ":110", StartTLS, "", "", []string{"mail.contoso.com", "192.168.10.5", "fd00:10::5"}, true, prefixes("192.168.10.22/32")},
		{IMAP, ":143", Auto, in("rsa.pem"), in("rsa.key"), nil, true, prefixes("192.168.10.22/32")},
	})
	check("logins", c.Accounts[0].Logins, []Login{
		{"0123", "$argon2id$good", prefixes("192.168.10.21/32", "fd00:10::/64"), []string{SMTP, IMAP}, true, Sending{"scanner@contoso.com",
			[]string{"copier@localhost", "@printers.example"}, []string{"@contoso.com"}, 10 << 20, 5, 20}},
		{"", "", prefixes("192.168.10.22/32"), []string{SMTP}, false, Sending{}},
	})
	check("admin", c.Admin, Admin{":9143"})
	check("upstream", c.Upstream, Upstream{"gcc-high", imap, pop3, Host{"smtp.office365.us:587", StartTLS}, in("roots.pem")})
	check("account's upstream", c.Accounts[0].Upstream,
		Upstream{"gcc-high", imap, Host{pop3.Address, StartTLS}, Host{"smtp.example:25", StartTLS}, in("roots.pem")})
	check("limits", c.Limits, Limits{0, 1, 10, 0, 500})
	check("store", c.Store, Store{KeyFile: in("store.key")})
	check("web proxy", c.HTTPProxy, wire.NewSecret("http://me:secret@127.0.0.1:3128"))
	check("state directory", c.StateDirectory, in("state"))
	check("log", c.Log, Log{"debug", "json"})
}

// TestReadable loads files that look unusual but are right.
func TestReadable(t *testing.T) {
	tests := map[string]string{
		"Windows line ends":  strings.ReplaceAll(smallest, "\n", "\r\n"),
		"byte order mark":    "\ufeff" + smallest,
		"no last line end":   strings.TrimSpace(smallest),
		"document start":     "---\n" + smallest,
		"document end":       smallest + "...\n# the end\n",
		"host in capitals":   strings.Replace(smallest, "127.0.0.1:1143", "LOCALHOST:1143", 1),
		"tenant in capitals": strings.Replace(smallest, "contoso.onm", "Contoso.onm", 1),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) { mustLoad(t, fixture(t), text) })
	}
}

func TestAuthority(t *testing.T) {
	tests := []struct{ name, cloud, own, want string }{
		{"worldwide", "worldwide", "", "https://login.microsoftonline.com/contoso.onmicrosoft.com"},
		{"gcc-high", "gcc-high", "", "https://login.microsoftonline.us/contoso.onmicrosoft.com"},
		{"dod", "dod", "", "https://login.microsoftonline.us/contoso.onmicrosoft.com"},
		{"china", "china", "", "https://login.partner.microsoftonline.cn/contoso.onmicrosoft.com"},
		{"base of one's own", "china", "https://[::1]:8443", "https://[::1]:8443/contoso.onmicrosoft.com"},
		{"with a path", "worldwide", "https://entra.example/fabrikam/", "https://entra.example/fabrikam"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(smallest, "    flow", fmt.Sprintf("    authority: %q\n    flow", test.own), 1)
			c := mustLoad(t, fixture(t), text+"upstream: {cloud: "+test.cloud+"}\n")
			if got := c.Apps["devices"].Authority; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestReadSecret(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"as it is", "secret", "secret"},
		{"one line end", "secret\n", "secret"},
		{"Windows line end", "secret\r\n", "secret"},
		{"only one is cut", "secret\n\n", "secret\n"},
		{"blanks belong to it", " a secret \n", " a secret "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "secret")
			writeFile(t, file, test.content)
			got, err := ReadSecret(file)
			if err != nil || got.Reveal() != test.want {
				t.Errorf("got %q, %v, want %q", got.Reveal(), err, test.want)
			}
		})
	}
}

func TestReadSecretErrors(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"empty", "", "is empty"},
		{"a line end alone", "\r\n", "is empty"},
		{"too large", strings.Repeat("x", maxExtraFile+1), "larger than 1048576 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "secret")
			writeFile(t, file, test.content)
			if _, err := ReadSecret(file); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestCredentialsDirectory(t *testing.T) {
	folder, credentials := fixture(t), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	c := mustLoad(t, folder, smallest)
	if got, want := c.Apps["devices"].ClientSecretFile, filepath.Join(folder, "devices.secret"); got != want {
		t.Errorf("without a credential of that name the file is %s, want %s", got, want)
	}
	want := filepath.Join(credentials, "devices.secret")
	writeFile(t, want, "the credential")
	c = mustLoad(t, folder, smallest)
	if got := c.Apps["devices"].ClientSecretFile; got != want {
		t.Errorf("with a credential of that name the file is %s, want %s", got, want)
	}
}

func TestStateDirectory(t *testing.T) {
	tests := []struct{ name, folder, systemd, xdg, want string }{
		{"systemd's", "/etc/oauthproxy", "/var/lib/private/oauthproxy", "", "/var/lib/private/oauthproxy"},
		{"the first of systemd's", "/srv", "/var/lib/a:/var/lib/b", "", "/var/lib/a"},
		{"configuration under /etc", "/etc/oauthproxy", "", "", "/var/lib/oauthproxy"},
		{"configuration in /etc", "/etc", "", "", "/var/lib/oauthproxy"},
		{"not quite /etc", "/etcetera", "", "/home/a/state", "/home/a/state/oauthproxy"},
		{"the user's", "/home/a/.config/oauthproxy", "", "", "/home/a/.local/state/oauthproxy"},
		{"a relative XDG_STATE_HOME counts as none", "/home/a", "", "state", "/home/a/.local/state/oauthproxy"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("STATE_DIRECTORY", test.systemd)
			t.Setenv("XDG_STATE_HOME", test.xdg)
			t.Setenv("HOME", "/home/a")
			if got := stateDirectory(&section{reader: &reader{folder: test.folder}}); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		folder := fixture(t)
		t.Setenv("HOME", "")
		_, err := load(t, folder, smallest)
		if err == nil || !strings.Contains(err.Error(), "config.yaml: state_directory: can't find") {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnreadable(t *testing.T) {
	folder := t.TempDir()
	large := filepath.Join(folder, "large.yaml")
	writeFile(t, large, strings.Repeat("#", maxFile+1))
	tests := []struct{ name, file, want string }{
		{"missing", filepath.Join(folder, "nowhere.yaml"), "nowhere.yaml: no such file or directory"},
		{"a folder", folder, "is a directory"},
		{"too large", large, "large.yaml: it is larger than 4194304 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(test.file, fakeCheck)
			if err == nil || !strings.HasPrefix(err.Error(), "can't read the configuration ") || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got %v, want ...%s", err, test.want)
			}
			if invalid := (*Invalid)(nil); errors.As(err, &invalid) {
				t.Error("a file that can't be read is no *Invalid")
			}
		})
	}
}

func TestFirstFile(t *testing.T) {
	folder := t.TempDir()
	first, second := filepath.Join(folder, "first"), filepath.Join(folder, "second")
	_, err := firstFile(first, second)
	if want := "no configuration found: there is no " + first + " and no " + second; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	writeFile(t, second, "")
	if got, err := firstFile(first, second); got != second || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, second)
	}
	writeFile(t, first, "")
	if got, err := firstFile(first, second); got != first || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, first)
	}
}

func TestDefaultFile(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", folder)
	want := filepath.Join(folder, "oauthproxy", "config.yaml")
	if err := os.Mkdir(filepath.Dir(want), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, want, smallest)
	if got, err := DefaultFile(); got != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestProblem(t *testing.T) {
	tests := []struct {
		name    string
		problem Problem
		want    string
	}{
		{"all", Problem{"config.yaml", 12, "listeners[1].tls", "text", "hint"}, "config.yaml:12: listeners[1].tls: text (hint: hint)"},
		{"no hint", Problem{"config.yaml", 12, "listeners[1].tls", "text", ""}, "config.yaml:12: listeners[1].tls: text"},
		{"no line", Problem{"config.yaml", 0, "apps", "text", ""}, "config.yaml: apps: text"},
		{"no key", Problem{"config.yaml", 12, "", "text", ""}, "config.yaml:12: text"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.problem.String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	tests := map[string]bool{
		"127.0.0.1:25": true, "127.1.2.3:25": true, "[::1]:25": true, "[::ffff:127.0.0.1]:25": true, "Localhost:25": true,
		":25": false, "0.0.0.0:25": false, "[::]:25": false, "192.168.10.5:25": false, "proxy.contoso.com:25": false, "localhost": false,
	}
	for address, want := range tests {
		t.Run(address, func(t *testing.T) {
			if got := (Listener{Address: address}).IsLoopback(); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestReadingHint: what a file should hold is no help to who may not read it.
func TestReadingHint(t *testing.T) {
	const holds = "it holds the secret"
	if _, err := ReadSecret(filepath.Join(t.TempDir(), "missing")); readingHint(err, holds) != holds {
		t.Errorf("missing: %q", readingHint(err, holds))
	}
	forbidden := fmt.Errorf("can't read x: %w", cause(&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}))
	if hint := readingHint(forbidden, holds); !strings.HasPrefix(hint, "let the user") {
		t.Errorf("forbidden: %q", hint)
	}
}

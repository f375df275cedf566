package config

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"oauthproxy/internal/wire"
)

// config reads the whole file. What others refer to comes first.
func (r *reader) config(root *value) *Config {
	top, _ := r.section(root, "", topKeys)
	c := &Config{
		Upstream:       upstream(top.child("upstream", upstreamKeys)),
		Limits:         limits(top.child("limits", limitKeys)),
		Admin:          admin(top.child("admin", adminKeys)),
		StateDirectory: stateDirectory(top),
		Store:          store(top.child("store", storeKeys)),
		HTTPProxy:      top.webProxy("http_proxy"),
		Log:            logging(top.child("log", logKeys)),
	}
	c.Apps = apps(top, clouds[c.Upstream.Cloud])
	c.Listeners = listeners(top)
	c.Accounts = accounts(top, c)
	return c
}

func limits(s *section) Limits {
	return Limits{
		Sessions:           s.count("sessions", 10_000),
		SessionsPerAddress: s.count("sessions_per_address", 200),
		SessionsPerLogin:   s.count("sessions_per_login", 100),
		MessagesPerMinute:  s.count("messages_per_minute", 30),
		RecipientsPerDay:   s.count("recipients_per_day", 10_000),
	}
}

func admin(s *section) Admin {
	a := Admin{Address: s.text("address")}
	s.checkAddress(a.Address, 0, `such as "127.0.0.1:9143"`)
	return a
}

// store doesn't look for the key: what a missing one means depends on what is
// in the store.
func store(s *section) Store { return Store{KeyFile: s.fileName("key_file")} }

// webProxy reads the URL of a web proxy. It may hold a password: no problem
// quotes it.
func (s *section) webProxy(key string) wire.Secret {
	address := s.text(key)
	if address == "" {
		return wire.Secret{}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		s.report(key, "such as http://proxy.contoso.com:3128", "expected the address of a web proxy")
	}
	return wire.NewSecret(address)
}

func logging(s *section) Log {
	return Log{
		Level:  s.choice("level", "info", "debug", "info", "warn", "error"),
		Format: s.choice("format", "text", "text", "json"),
	}
}

// stateDirectory returns the directory that is configured, else the one that
// systemd made (StateDirectory=), else the machine's for a configuration
// under /etc, else the user's.
func stateDirectory(s *section) string {
	if name := s.text("state_directory"); name != "" {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(s.folder, name)
	}
	// With several directories systemd puts colons between them.
	if name, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); name != "" {
		return name
	}
	if strings.HasPrefix(s.folder+"/", "/etc/") {
		return "/var/lib/oauthproxy"
	}
	name, err := userState()
	if err != nil {
		s.report("state_directory", "set state_directory", "can't find a directory of yours to keep state in: %v", err)
	}
	return name
}

// userState returns the user's directory for state, by the XDG base
// directory specification where that is the custom.
func userState() (string, error) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		folder, err := os.UserConfigDir()
		return filepath.Join(folder, "oauthproxy", "state"), err
	}
	if folder := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(folder) {
		return filepath.Join(folder, "oauthproxy"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "oauthproxy"), err
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

// standIn is a running sandbox with the files that a configuration for it
// names.
type standIn struct {
	*sandbox.Sandbox
	folder   string
	password wire.Secret // of every local login
	hash     string
}

// newStandIn starts a sandbox. Its password is made for this run alone.
func newStandIn() (*standIn, error) {
	password, _, err := accounts.Generate()
	if err != nil {
		return nil, err
	}
	hash, err := accounts.Hash(password)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "oauthproxy-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("no folder for the sandbox's files: %w", err)
	}
	s := &standIn{folder: folder, password: password, hash: hash}
	if err := s.start(); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	return s, nil
}

func (s *standIn) start() (err error) {
	if s.Sandbox, err = sandbox.Start(sandbox.Options{}); err != nil {
		return err
	}
	err = os.WriteFile(s.rootFile(), s.CAPEM(), 0o600)
	if err == nil {
		err = os.WriteFile(s.secretFile(), []byte(s.ClientSecret()+"\n"), 0o600)
	}
	if err != nil {
		_ = s.Sandbox.Close()
	}
	return err
}

func (s *standIn) rootFile() string   { return filepath.Join(s.folder, "ca.pem") }
func (s *standIn) secretFile() string { return filepath.Join(s.folder, "client.secret") }

// close stops the sandbox and removes its files.
func (s *standIn) close() {
	_ = s.Sandbox.Close()
	_ = os.RemoveAll(s.folder)
}

// ports are where the proxy's listeners stand in a configuration.
type ports struct{ imap, pop3, smtp int }

var (
	usualPorts = ports{imap: 1143, pop3: 1110, smtp: 1587}
	anyPorts   = ports{}
)

// configuration returns a configuration of the proxy for the sandbox.
func (s *standIn) configuration(p ports) string {
	authority, tenant := s.Authority(), s.TenantID()
	authority = strings.TrimSuffix(authority, "/"+tenant)
	var b strings.Builder
	fmt.Fprintf(&b, `# A configuration for oauthproxy before its sandbox, as long as that runs.
# Every login has the password %s
apps:
  sandbox:
    tenant: %s
    client_id: %s
    flow: client_secret
    client_secret_file: %q
    authority: %s
  people:                          # who sign in, with: oauthproxy login MAILBOX
    tenant: %s
    client_id: %s
    flow: device_code
    authority: %s

listeners:
  - {protocol: imap, address: "127.0.0.1:%d"}
  - {protocol: pop3, address: "127.0.0.1:%d"}
  - {protocol: smtp, address: "127.0.0.1:%d"}

upstream:
  imap: {address: %q, tls: implicit}
  pop3: {address: %q, tls: implicit}
  smtp: {address: %q, tls: starttls}
  ca_file: %q

state_directory: %q

accounts:
`, s.password.Reveal(), tenant, s.ClientID(), s.secretFile(), authority,
		tenant, s.ClientID(), authority, p.imap, p.pop3, p.smtp,
		s.IMAP(), s.POP3(), s.SMTP(), s.rootFile(), filepath.Join(s.folder, "state"))
	what := map[string]string{}
	for _, scenario := range sandbox.Scenarios() {
		what[scenario.Name+"@"+sandbox.Domain] = fmt.Sprintf("  # %s (%s)\n", scenario.What, scenario.Mark)
	}
	for _, mailbox := range s.Mailboxes() {
		fmt.Fprintf(&b, "%s  - mailbox: %s\n%s    logins:\n      - {user: %s, password_hash: %q}\n",
			what[mailbox], mailbox, appOf(mailbox), mailbox, s.hash)
	}
	return b.String()
}

// appOf says in the configuration how the mailbox is opened: the shared one by
// somebody who signs in, all others by the application itself.
func appOf(mailbox string) string {
	if mailbox == "shared@"+sandbox.Domain {
		return "    app: people\n    sign_in_as: alice@" + sandbox.Domain + "\n"
	}
	return "    app: sandbox\n"
}

// load writes the configuration to the sandbox's folder and reads it back as
// any other.
func (s *standIn) load(p ports) (*config.Config, error) {
	file := filepath.Join(s.folder, "config.yaml")
	if err := os.WriteFile(file, []byte(s.configuration(p)), 0o600); err != nil {
		return nil, err
	}
	return config.Load(file, accounts.CheckHash)
}

// runSandbox runs the stand-ins alone.
func runSandbox(ctx context.Context, args []string, u *ui) int {
	if _, status, ok := newOptions("sandbox", u).parse(args, 0); !ok {
		return status
	}
	s, err := newStandIn()
	if err != nil {
		return u.fail(err)
	}
	defer s.close()
	u.result("%s", strings.TrimSuffix(s.configuration(usualPorts), "\n"))
	u.say("stand-in Entra ID and Exchange are running on this machine alone, until Ctrl-C")
	u.hint("save the configuration above and run: oauthproxy serve --config FILE")
	<-ctx.Done()
	return exitWell
}

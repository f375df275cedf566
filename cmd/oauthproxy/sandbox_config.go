package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"oauthproxy/internal/sandbox"
)

// ports are where the proxy's listeners stand in a configuration.
type ports struct{ imap, pop3, smtp int }

var (
	usualPorts = ports{imap: 1143, pop3: 1110, smtp: 1587}
	anyPorts   = ports{}
)

// configuration returns a configuration of the proxy for the sandbox: an
// account for each of its mailboxes and applications. Those with which people
// sign in come last.
func (s *standIn) configuration(p ports) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# A configuration for oauthproxy before its sandbox, as long as that runs.
# Every login has the password %s
apps:
`, s.password.Reveal())
	for _, app := range s.apps() {
		s.writeApp(&b, app)
	}
	fmt.Fprintf(&b, `
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
`, p.imap, p.pop3, p.smtp, s.IMAP(), s.POP3(), s.SMTP(), s.rootFile(), filepath.Join(s.folder, "state"))
	own, people := s.accounts()
	for _, account := range own {
		s.writeAccount(&b, account)
	}
	b.WriteString("\n  # Here a person signs in first, with: oauthproxy login MAILBOX\n")
	for _, account := range people {
		s.writeAccount(&b, account)
	}
	return b.String()
}

// The applications that work.
const (
	ownApp    = "sandbox" // acts for itself
	peopleApp = "people"
)

// apps returns the applications of the sandbox, those with which people sign
// in last.
func (s *standIn) apps() []sandbox.App {
	own := []sandbox.App{{Name: ownApp, Flow: sandbox.FlowClientSecret,
		Tenant: s.TenantID(), ClientID: s.ClientID(), Secret: s.ClientSecret()}}
	people := []sandbox.App{{Name: peopleApp, Flow: sandbox.FlowDeviceCode,
		Tenant: s.TenantID(), ClientID: s.ClientID()}}
	for _, app := range s.Apps() {
		if app.Flow == sandbox.FlowDeviceCode {
			people = append(people, app)
		} else {
			own = append(own, app)
		}
	}
	return append(own, people...)
}

func (s *standIn) writeApp(b *strings.Builder, app sandbox.App) {
	fmt.Fprintf(b, "  %s:\n    tenant: %s\n    client_id: %s\n    flow: %s\n", app.Name, app.Tenant, app.ClientID, app.Flow)
	switch app.Flow {
	case sandbox.FlowClientSecret:
		fmt.Fprintf(b, "    client_secret_file: %q\n", s.secretFile(app))
	case sandbox.FlowCertificate:
		fmt.Fprintf(b, "    certificate_file: %q\n", s.secretFile(app))
	}
	if len(app.Scopes) > 0 {
		fmt.Fprintf(b, "    scopes: [%s]\n", strings.Join(app.Scopes, ", "))
	}
	fmt.Fprintf(b, "    authority: %s\n", strings.TrimSuffix(s.Authority(), "/"+s.TenantID()))
}

// sandboxAccount is a mailbox with the application that opens it.
type sandboxAccount struct {
	mailbox, app, signInAs string
	what                   string // goes wrong; "": nothing
}

// accounts returns those of the sandbox: which an application opens for
// itself, and for which a person signs in.
func (s *standIn) accounts() (own, people []sandboxAccount) {
	for _, mailbox := range s.Mailboxes() {
		scenario := s.Scenario(mailbox)
		account := sandboxAccount{mailbox: mailbox, app: ownApp, what: remark(scenario.What, scenario.Mark)}
		if scenario.SignInAs == "" {
			own = append(own, account)
			continue
		}
		account.app, account.signInAs = peopleApp, scenario.SignInAs+"@"+sandbox.Domain
		people = append(people, account)
	}
	for _, app := range s.Apps() {
		account := sandboxAccount{mailbox: app.Mailbox, app: app.Name, what: remark(app.What, app.Mark)}
		if app.Flow == sandbox.FlowDeviceCode {
			people = append(people, account)
		} else {
			own = append(own, account)
		}
	}
	return own, people
}

// remark says what goes wrong, and how sure that is; "" where nothing does.
func remark(what string, mark sandbox.Mark) string {
	if mark == "" {
		return ""
	}
	return fmt.Sprintf("%s (%s)", what, mark)
}

func (s *standIn) writeAccount(b *strings.Builder, account sandboxAccount) {
	if account.what != "" {
		fmt.Fprintf(b, "  # %s\n", account.what)
	}
	fmt.Fprintf(b, "  - mailbox: %s\n    app: %s\n", account.mailbox, account.app)
	if account.signInAs != "" {
		fmt.Fprintf(b, "    sign_in_as: %s\n", account.signInAs)
	}
	fmt.Fprintf(b, "    logins:\n      - {user: %s, password_hash: %q}\n", account.mailbox, s.hash)
}

package doctor

import (
	"strings"
	"testing"
	"time"

	"oauthproxy/internal/sandbox"
)

const graph = "https://graph.microsoft.com"

// causes are what can be wrong with an account: the mailbox is one of the
// sandbox's, and each protocol's finding is CAUSE, or - where it works, or ?
// where that proves nothing yet, with a line that tells whom and how to mend it.
var causes = []struct {
	name    string
	mailbox string // local part
	person  string // local part of who signs in
	token   sandbox.TokenOptions
	change  func(*Account)

	imap, pop3, smtp string
	who              string
	line             string // of the steps
}{
	{name: "wrong audience of an app", mailbox: "bob", token: sandbox.TokenOptions{Audience: graph},
		imap: "wrong-audience", pop3: "wrong-audience", smtp: "wrong-audience", who: "you", line: "https://outlook.office365.com/.default"},
	{name: "wrong audience of a person", mailbox: "alice", person: "alice", token: sandbox.TokenOptions{Audience: graph},
		imap: "wrong-audience", pop3: "wrong-audience", smtp: "wrong-audience", who: "you", line: "remove scopes from the app devices"},
	{name: "no roles", mailbox: "bob", token: sandbox.TokenOptions{Permissions: []string{}},
		imap: "role-missing", pop3: "role-missing", smtp: "role-missing", who: "the administrator of Entra ID", line: "Application permissions: IMAP.AccessAsApp"},
	{name: "no role for IMAP", mailbox: "bob", token: sandbox.TokenOptions{Permissions: []string{"POP.AccessAsApp", "SMTP.SendAsApp"}},
		imap: "role-missing", pop3: "-", smtp: "-", who: "the administrator of Entra ID", line: "Application permissions: IMAP.AccessAsApp"},
	{name: "no role for SMTP", mailbox: "bob", token: sandbox.TokenOptions{Permissions: []string{"IMAP.AccessAsApp", "POP.AccessAsApp"}},
		imap: "-", pop3: "-", smtp: "role-missing", who: "the administrator of Entra ID", line: "Application permissions: SMTP.SendAsApp"},
	{name: "roles in Exchange", mailbox: "app-rbac", token: sandbox.TokenOptions{Permissions: []string{}},
		imap: "role-missing", pop3: "role-missing", smtp: "?", who: "the administrator of Entra ID", line: "Application permissions: IMAP.AccessAsApp"},
	{name: "no scope for SMTP", mailbox: "alice", person: "alice", token: sandbox.TokenOptions{Permissions: []string{"IMAP.AccessAsUser.All", "POP.AccessAsUser.All"}},
		imap: "-", pop3: "-", smtp: "scope-missing", who: "the administrator of Entra ID", line: "Delegated permissions: SMTP.Send"},
	{name: "no scope for SMTP, and opaque", mailbox: "alice", person: "alice", token: sandbox.TokenOptions{Opaque: true, Permissions: []string{"IMAP.AccessAsUser.All", "POP.AccessAsUser.All"}},
		imap: "-", pop3: "-", smtp: "scope-missing", who: "the administrator of Entra ID", line: "Delegated permissions: SMTP.Send"},
	{name: "no scope for IMAP and POP3", mailbox: "alice", person: "alice", token: sandbox.TokenOptions{Permissions: []string{"SMTP.Send"}},
		imap: "scope-missing", pop3: "scope-missing", smtp: "-", who: "the administrator of Entra ID", line: "Delegated permissions: IMAP.AccessAsUser.All"},
	{name: "expired", mailbox: "bob", token: sandbox.TokenOptions{Lifetime: -time.Minute},
		imap: "token-expired", pop3: "token-expired", smtp: "token-expired", who: "you"},
	{name: "other tenant", mailbox: "bob", token: sandbox.TokenOptions{TenantID: "0c0ffee0-0000-4000-8000-00000000beef"},
		imap: "wrong-tenant", pop3: "wrong-tenant", smtp: "wrong-tenant", who: "you", line: "compare tenant of the app devices"},
	{name: "other user", mailbox: "alice", person: "bob", change: func(a *Account) {
		a.Person = alice
		a.Hosts[2].User = alice
	},
		imap: "wrong-user", pop3: "wrong-user", smtp: "wrong-user", who: "you", line: "oauthproxy login alice@contoso.example"},
	{name: "a shared mailbox without FullAccess", mailbox: "other-user", person: "alice",
		imap: "no-right-delegated", pop3: "no-right-delegated", smtp: "-", who: "the administrator of Exchange", line: "-User 'alice@contoso.example'"},
	{name: "wrong object ID", mailbox: "wrong-object-id",
		imap: "app-not-in-exchange", pop3: "app-not-in-exchange", smtp: "app-not-in-exchange", who: "the administrator of Exchange", line: "New-ServicePrincipal -AppId "},
	{name: "an app without FullAccess", mailbox: "no-rights",
		imap: "app-without-access", pop3: "app-without-access", smtp: "?", who: "the administrator of Exchange", line: "Add-MailboxPermission -Identity 'no-rights@contoso.example'"},
	{name: "an app, and no such mailbox", mailbox: "unknown-mailbox",
		imap: "app-not-in-exchange", pop3: "app-not-in-exchange", smtp: "app-not-in-exchange", who: "the administrator of Exchange", line: "Get-EXOMailbox -Identity 'unknown-mailbox@contoso.example'"},
	{name: "an app, IMAP and POP off", mailbox: "not-connected",
		imap: "app-without-access", pop3: "app-without-access", smtp: "?", who: "the administrator of Exchange", line: "Set-CASMailbox -Identity 'not-connected@contoso.example' -PopEnabled $true"},
	{name: "no such mailbox, of a person", mailbox: "refuse", person: "refuse",
		imap: "mailbox-unknown", pop3: "mailbox-unknown", smtp: "mailbox-unknown", who: "the administrator of Exchange", line: "Get-EXOMailbox -Identity 'refuse@contoso.example'"},
	{name: "IMAP off, of an app", mailbox: "imap-disabled",
		imap: "imap-off", pop3: "-", smtp: "-", who: "the administrator of Exchange", line: "Set-CASMailbox -Identity 'imap-disabled@contoso.example' -ImapEnabled $true"},
	{name: "POP off, of an app", mailbox: "pop-disabled",
		imap: "-", pop3: "pop-off", smtp: "-", who: "the administrator of Exchange", line: "Set-CASMailbox -Identity 'pop-disabled@contoso.example' -PopEnabled $true"},
	{name: "IMAP and POP off", mailbox: "not-connected", person: "not-connected",
		imap: "imap-off", pop3: "pop-off", smtp: "-", who: "the administrator of Exchange", line: "-ImapEnabled $true"},
	{name: "IMAP and POP off, in newer words", mailbox: "not-connected-2026", person: "not-connected-2026",
		imap: "imap-off", pop3: "pop-off", smtp: "-", who: "the administrator of Exchange", line: "-ImapEnabled $true"},
	{name: "SMTP off for the tenant", mailbox: "smtp-disabled-tenant", person: "smtp-disabled-tenant",
		imap: "-", pop3: "-", smtp: "smtp-off-tenant", who: "the administrator of Exchange", line: "Set-CASMailbox -Identity 'smtp-disabled-tenant@contoso.example' -SmtpClientAuthenticationDisabled $false"},
	{name: "SMTP off for the mailbox", mailbox: "smtp-disabled", imap: "-", pop3: "-", smtp: "smtp-off-mailbox", who: "the administrator of Exchange", line: "-SmtpClientAuthenticationDisabled $false"},
	{name: "security defaults", mailbox: "security-defaults", imap: "-", pop3: "-", smtp: "smtp-security-defaults", who: "the administrator of Entra ID"},
	{name: "Conditional Access", mailbox: "conditional-access", imap: "-", pop3: "-", smtp: "smtp-policy", who: "the administrator of Entra ID"},
	{name: "basic disabled", mailbox: "basic-disabled", imap: "-", pop3: "-", smtp: "basic-disabled"},
	{name: "basic not supported", mailbox: "basic-not-supported", imap: "-", pop3: "-", smtp: "basic-disabled"},
	{name: "credentials incorrect", mailbox: "credentials-incorrect", imap: "-", pop3: "-", smtp: "smtp-credentials-incorrect"},
	{name: "account locked", mailbox: "account-locked", imap: "-", pop3: "-", smtp: "smtp-account-locked", who: "the administrator of Entra ID"},
	{name: "federation", mailbox: "sts-unreachable", imap: "-", pop3: "-", smtp: "smtp-federation"},
	{name: "not logged in, SMTP off", mailbox: "not-authenticated-disabled", imap: "-", pop3: "-", smtp: "smtp-off-tenant", who: "the administrator of Exchange"},
	{name: "send as", mailbox: "send-as-refused", imap: "-", pop3: "-", smtp: "send-as-denied-app", who: "the administrator of Exchange"},
	{name: "throttled login", mailbox: "throttled-login", imap: "throttled", pop3: "-", smtp: "-"},
	{name: "throttled always", mailbox: "throttled-always", imap: "throttled", pop3: "-", smtp: "-"},
	{name: "closed at login", mailbox: "closed-at-login", imap: "session-refused-commands", pop3: "-", smtp: "-"},
	{name: "drop", mailbox: "drop", imap: "connection-closed", pop3: "connection-closed", smtp: "connection-closed", who: "the administrator of the network"},
	{name: "drop after login", mailbox: "drop-after-login", imap: "connection-closed", pop3: "-", smtp: "-"},
	{name: "garbage", mailbox: "garbage", imap: "answers-http", pop3: "answers-http", smtp: "answers-http"},
	{name: "a token too long for POP3", mailbox: "bob", token: sandbox.TokenOptions{Length: 5000}, imap: "-", pop3: "pop3-token-long-app", smtp: "-"},
}

func TestCauses(t *testing.T) {
	for _, tt := range causes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t, sandbox.Options{})
			mailbox, person := tt.mailbox+"@"+sandbox.Domain, ""
			if tt.person != "" {
				person = tt.person + "@" + sandbox.Domain
			}
			a := w.admit(mailbox, person, tt.token)
			if tt.change != nil {
				tt.change(a)
			}
			c := w.examine(t)
			if len(c.findings) != 5 {
				t.Errorf("%d findings", len(c.findings))
			}
			isTold := false
			for probe, want := range map[string]string{"imap": tt.imap, "pop3": tt.pop3, "smtp": tt.smtp} {
				f := c.of(probe)
				if want == "?" {
					if f.Status != Note || f.Cause != "smtp-unproven" {
						t.Errorf("%s: %s %s, want a note", probe, f.Status, f.Cause)
					}
					continue
				}
				if want == "-" {
					if f.Status != OK {
						t.Errorf("%s: %s", probe, f.Status)
					}
					continue
				}
				if f.Status != Broken || f.Cause != want || tt.who != "" && f.Who != tt.who || f.Means == "" || f.Do == "" {
					t.Errorf("%s: %s %s by %s, want %s by %s", probe, f.Status, f.Cause, f.Who, want, tt.who)
				}
				isTold = isTold || strings.Contains(strings.Join(append(f.Fix, f.PowerShell...), "\n"), tt.line)
			}
			if !isTold {
				t.Errorf("no step is %q", tt.line)
			}
			if strings.Contains(c.String(), "MAILBOX") || strings.Contains(c.String(), "{") || strings.Contains(c.String(), "CLIENT_ID") {
				t.Error("something isn't filled in")
			}
			if t.Failed() {
				t.Log("\n" + c.String())
			}
		})
	}
}

// The steps for one cause are told once.
func TestStepsOnce(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	w.admit("wrong-object-id@"+sandbox.Domain, "", sandbox.TokenOptions{})
	c := w.examine(t)
	if len(c.of("imap").PowerShell) == 0 {
		t.Error("no steps with the first")
	}
	for _, probe := range []string{"pop3", "smtp"} {
		f := c.of(probe)
		if f.Do != "the same as for IMAP" || len(f.Fix)+len(f.PowerShell) > 0 {
			t.Errorf("%s: %s", probe, f.Do)
		}
	}
}

// The login of an application over SMTP alone shows no right to the mailbox; a
// person's does, and so does IMAP.
func TestUnproven(t *testing.T) {
	tests := []struct {
		name, person string
		protocols    []string
		want         Status
	}{
		{"an app, SMTP alone", "", []string{"smtp"}, Note},
		{"an app, with IMAP", "", []string{"imap", "smtp"}, OK},
		{"an app, with POP3", "", []string{"smtp", "pop3"}, OK},
		{"a person, SMTP alone", alice, []string{"smtp"}, OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t, sandbox.Options{})
			w.admit(alice, tt.person, sandbox.TokenOptions{}, tt.protocols...)
			f := w.examine(t).of("smtp")
			if f.Status != tt.want || f.Status == Note && !strings.Contains(strings.Join(f.Fix, "\n"), "check --send ADDRESS "+alice) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Where an application is let into one mailbox, Exchange knows it: that isn't
// the cause for the next one. Another application tells nothing.
func TestKnownApp(t *testing.T) {
	const absent = "unknown-mailbox@" + sandbox.Domain
	tests := []struct {
		name, app, person string
		protocols         []string
		want              string
	}{
		{"the same app", "devices", "", nil, "mailbox-unknown"},
		{"the same app, IMAP alone", "devices", "", []string{"imap"}, "app-without-access"},
		{"another app", "printers", "", nil, "app-not-in-exchange"},
		{"a person", "devices", alice, nil, "app-not-in-exchange"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t, sandbox.Options{})
			w.admit(alice, tt.person, sandbox.TokenOptions{}).App = tt.app
			w.admit(absent, "", sandbox.TokenOptions{}, tt.protocols...)
			steps := 0
			for _, f := range w.examine(t).findings {
				if f.Account != absent || told[f.Probe] == "" {
					continue
				}
				steps += min(len(f.PowerShell), 1)
				if f.Status != Broken || f.Cause != tt.want || f.Subject == "" || f.Seen == "" || f.Took == 0 {
					t.Errorf("%+v", f)
				}
			}
			if steps != 1 {
				t.Errorf("the steps are told %d times", steps)
			}
		})
	}
}

package remedy

import (
	"slices"
	"testing"
)

func TestCaseOf(t *testing.T) {
	tests := []struct {
		name, tenant, person, mailbox string
		want                          Case
	}{
		{"one's own", "contoso.com", "alice@contoso.com", "Alice@contoso.com", ""},
		{"a shared mailbox", "contoso.com", "alice@contoso.com", "info@contoso.com", Shared},
		{"an application", "contoso.com", "", "scanner@contoso.com", App},
		{"a personal account", "Consumers", "dora@hotmail.com", "dora@hotmail.com", Personal},
		{"a personal account, by ID", "9188040D-6c67-4c5b-b112-36a304b66dad", "dora@hotmail.com", "dora@hotmail.com", Personal},
		{"of any tenant", "common", "dora@hotmail.com", "dora@hotmail.com", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := CaseOf(test.tenant, test.person, test.mailbox); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestFor(t *testing.T) {
	tests := []struct {
		name, id string
		cases    []Case
		want     string
	}{
		{"SMTP of a personal account", "smtp-off-mailbox", []Case{Personal}, "smtp-off-personal"},
		{"SMTP of a work account", "smtp-off-mailbox", []Case{""}, "smtp-off-mailbox"},
		{"IMAP of a personal account", "imap-off", []Case{Personal}, "imap-off-personal"},
		{"not connected, a personal account", "not-connected", []Case{Personal}, "imap-off-personal"},
		{"POP3 of a personal account", "pop-off", []Case{Personal}, "pop-off-personal"},
		{"an application's long token", "pop3-token-long", []Case{App}, "pop3-token-long-app"},
		{"an application's certificate", "certificate-ends", []Case{App}, "certificate-ends-app"},
		{"an application's sender", "send-as-denied", []Case{App}, "send-as-denied-app"},
		{"a shared mailbox as sender", "send-as-denied", []Case{Shared}, "send-as-denied-shared"},
		{"the first that has its own", "role-missing", []Case{App, SMTPOnly}, "role-missing-smtp"},
		{"scopes of the configuration", "scope-missing", []Case{Scopes}, "scope-not-asked"},
		{"no case", "imap-off", nil, "imap-off"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Named(test.id).For(test.cases...); got.ID != test.want {
				t.Errorf("%q, want %q", got.ID, test.want)
			}
		})
	}
	if got := (Remedy{Says: "of no table"}).For(Personal); got.Says != "of no table" {
		t.Errorf("%+v", got)
	}
}

// TestVariants: each takes the place of remedies that there are, and is never
// found by a reply or number, which are the general one's.
func TestVariants(t *testing.T) {
	for _, r := range All() {
		if (len(r.Replaces) == 0) != (r.Case == "") {
			t.Errorf("%s: replaces %q for %q", r.ID, r.Replaces, r.Case)
		}
		if r.Case == "" {
			continue
		}
		if !slices.Contains([]Case{Personal, App, Shared, SMTPOnly, Scopes}, r.Case) || len(r.AADSTS)+len(r.Reply) > 0 {
			t.Errorf("%s: for %q, by %v %q", r.ID, r.Case, r.AADSTS, r.Reply)
		}
		for _, id := range r.Replaces {
			if general := Named(id); general.Case != "" {
				t.Errorf("%s replaces %s, which is a variant itself", r.ID, id)
			}
		}
	}
}

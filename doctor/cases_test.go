package doctor

import (
	"testing"

	"oauthproxy/internal/remedy"
)

func TestFitting(t *testing.T) {
	person := Account{Mailbox: "alice@contoso.example", Person: "alice@contoso.example", Tenant: "contoso.example"}
	shared := Account{Mailbox: "info@contoso.example", Person: "alice@contoso.example", Tenant: "contoso.example"}
	personal := Account{Mailbox: "dora@hotmail.example", Person: "dora@hotmail.example", Tenant: "consumers"}
	app := Account{Mailbox: "scanner@contoso.example", Tenant: "contoso.example"}
	own, all := person, person
	own.Scopes = []string{"https://outlook.office.com/IMAP.AccessAsUser.All"}
	all.Scopes = []string{"https://outlook.office.com/.default"}
	no := map[string]string{"smtp": "535 5.7.3 Authentication unsuccessful"}
	three := map[string]string{"smtp": no["smtp"], "imap": "", "pop3": ""}
	tests := []struct {
		name    string
		account Account
		roles   []string
		replies map[string]string
		id      string
		want    string
	}{
		{"a person's own", person, nil, no, "smtp-off-mailbox", "smtp-off-mailbox"},
		{"a personal account", personal, nil, no, "smtp-off-mailbox", "smtp-off-personal"},
		{"an application for SMTP alone", app, nil, no, "role-missing", "role-missing-smtp"},
		{"an application for SMTP alone, with a role", app, []string{"IMAP.AccessAsApp"}, no, "role-missing", "role-missing"},
		{"an application for all three", app, nil, three, "role-missing", "role-missing"},
		{"scopes as they are by default", person, nil, three, "scope-missing", "scope-missing"},
		{"scopes without SMTP", own, nil, three, "scope-missing", "scope-not-asked"},
		{"scopes for all that is consented to", all, nil, three, "scope-missing", "scope-missing"},
		{"the sender is a shared mailbox", shared, nil, no, "send-as-denied", "send-as-denied-shared"},
		{"the sender of an application", app, nil, no, "send-as-denied", "send-as-denied-app"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := &caseOf{account: test.account, protocol: "smtp", claims: Claims{Roles: test.roles}, replies: test.replies}
			if got := k.fitting(remedy.Named(test.id)); got.ID != test.want {
				t.Errorf("%q, want %q", got.ID, test.want)
			}
		})
	}
}

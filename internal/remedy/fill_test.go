package remedy

import (
	"reflect"
	"strings"
	"testing"
)

func TestFill(t *testing.T) {
	r := Remedy{
		Says:       "the name {host} can't be resolved for {mailbox}",
		Do:         "sign in as {person}",
		Fix:        []string{"oauthproxy login {mailbox}", "compare {tenant}", "chmod 600 {file}"},
		PowerShell: []string{"Set-CASMailbox -Identity {mailbox} -ImapEnabled $true", "New-ServicePrincipal -ObjectId {object_id}"},
	}
	facts := map[string]string{
		"mailbox": "o'brien@contoso.com", "host": "{mailbox}", "tenant": "a\x1b[31mb", "person": "", "file": "/etc/o p/key",
	}
	got := r.Fill(facts)
	want := Remedy{
		Says:       "the name {mailbox} can't be resolved for o'brien@contoso.com",
		Do:         "sign in as PERSON",
		Fix:        []string{`oauthproxy login 'o'\''brien@contoso.com'`, "compare TENANT", "chmod 600 '/etc/o p/key'"},
		PowerShell: []string{"Set-CASMailbox -Identity 'o''brien@contoso.com' -ImapEnabled $true", "New-ServicePrincipal -ObjectId OBJECT_ID"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if r.Fix[0] != "oauthproxy login {mailbox}" {
		t.Error("the table itself was changed")
	}
}

func TestQuoting(t *testing.T) {
	tests := []struct{ name, value, shell, powerShell string }{
		{"plain", "alice@contoso.com", "alice@contoso.com", "'alice@contoso.com'"},
		{"an apostrophe", "o'brien@contoso.com", `'o'\''brien@contoso.com'`, "'o''brien@contoso.com'"},
		{"typographic apostrophes", "o’b‘@x", "'o’b‘@x'", "'o’’b‘‘@x'"},
		{"a command", "$(reboot);`x`", "'$(reboot);`x`'", "'$(reboot);`x`'"},
		{"an option", "-rf", "'-rf'", "'-rf'"},
		{"letters of other scripts", "jörg@bücher.example", "jörg@bücher.example", "'jörg@bücher.example'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Remedy{Fix: []string{"oauthproxy login {mailbox}"}, PowerShell: []string{"X {mailbox}"}}.Fill(map[string]string{"mailbox": test.value})
			if got.Fix[0] != "oauthproxy login "+test.shell || got.PowerShell[0] != "X "+test.powerShell {
				t.Errorf("%q, %q", got.Fix, got.PowerShell)
			}
		})
	}
}

// TestUnfit: what may come from a server isn't shown if it could write on the
// terminal.
func TestUnfit(t *testing.T) {
	for _, value := range []string{"", "a\nb", "a\rb", "\x00", "\x7f", "\x1b]0;x\a", "a\u202eb", "a\u200bb", "a\u2028b", "\xff", strings.Repeat("a", maxFact+1)} {
		if got := (Remedy{Says: "{user}"}).Fill(map[string]string{"user": value}).Says; got != "USER" {
			t.Errorf("%q is filled in as %q", value, got)
		}
	}
}

func FuzzFill(f *testing.F) {
	f.Add("a {mailbox} b", "x")
	f.Add("{", "}")
	f.Add("{{mailbox}}", "{mailbox}")
	f.Fuzz(func(t *testing.T, text, value string) {
		r := Remedy{Says: text, Fix: []string{"oauthproxy " + text}, PowerShell: []string{text}}.Fill(map[string]string{"mailbox": value})
		if !strings.Contains(text, "{") && r.Says != text {
			t.Errorf("%q became %q", text, r.Says)
		}
	})
}

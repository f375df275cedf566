package docs

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"oauthproxy/internal/registration"
)

var powershell = regexp.MustCompile("(?ms)^```powershell\n(.*?)^```$")

// TestCommandsAreThoseOfSetup: the page on Entra ID and Exchange shows the
// commands that setup tells, one block for each way to a mailbox.
func TestCommandsAreThoseOfSetup(t *testing.T) {
	const imap, pop3, smtp = registration.IMAP, registration.POP3, registration.SMTP
	plan := func(mailbox string, access registration.Access, protocols ...string) registration.Plan {
		return registration.Plan{Cloud: "worldwide", Mailboxes: []string{mailbox}, Access: access, Protocols: protocols}
	}
	shared := plan("info@contoso.com", registration.Browser, imap, smtp)
	shared.SignInAs = "alice@contoso.com"
	role := plan("scanner@contoso.com", registration.Secret, smtp)
	role.MailRole = true
	want := []registration.Plan{
		plan("alice@contoso.com", registration.Browser, imap, pop3, smtp),
		shared,
		plan("scanner@contoso.com", registration.Secret, imap, pop3, smtp),
		role,
	}
	blocks := powershell.FindAllStringSubmatch(read(t, filepath.Join(root, "docs/entra-setup.md")), -1)
	if len(blocks) != len(want) {
		t.Fatalf("the page has %d blocks of PowerShell, want %d", len(blocks), len(want))
	}
	for i, block := range blocks {
		commands := want[i].Commands()
		if !strings.HasPrefix(block[1], commands[0]) {
			commands = commands[2:] // how to connect is shown above
		}
		if shown := shownCommands(block[1]); !slices.Equal(shown, commands) {
			t.Errorf("block %d:\n%s\nwant\n%s", i+1, strings.Join(shown, "\n"), strings.Join(commands, "\n"))
		}
	}
}

// shownCommands are the lines of a block without comments.
func shownCommands(block string) []string {
	return slices.DeleteFunc(strings.Split(block, "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "#")
	})
}

func TestKeyCommandIsThatOfSetup(t *testing.T) {
	if page := read(t, filepath.Join(root, "docs/entra-setup.md")); !strings.Contains(page, "\n      "+registration.KeyCommand("app.key", "app.crt")+"\n") {
		t.Error("the page shows another command for the key pair")
	}
}

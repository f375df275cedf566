package remedy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var placeholder = regexp.MustCompile(`\{([^}]*)\}?`)

func TestTable(t *testing.T) {
	for _, r := range All() {
		t.Run(r.ID, func(t *testing.T) {
			if !slices.Contains([]Section{SignIn, Claims, LogIn, Sessions, Messages, Networks, Here}, r.Section) {
				t.Errorf("section %q", r.Section)
			}
			if !slices.Contains([]Who{You, Entra, Exchange, Network, Microsoft}, r.Who) {
				t.Errorf("who %q", r.Who)
			}
			if !slices.Contains([]Class{"", Later, Person, Administrator, SetUp}, r.Class) || r.Section == SignIn && r.Class == "" {
				t.Errorf("class %q", r.Class)
			}
			if !slices.Contains([]string{"", "imap", "pop3", "smtp"}, r.Protocol) {
				t.Errorf("protocol %q", r.Protocol)
			}
			if !slices.Contains([]string{"", "certain", "reported", "inferred"}, r.Mark) || len(r.Reply) > 0 && r.Mark == "" {
				t.Errorf("mark %q", r.Mark)
			}
			for _, piece := range r.Reply {
				if piece != strings.ToLower(piece) {
					t.Errorf("reply %q", piece)
				}
			}
		})
	}
}

func TestTextsReadWell(t *testing.T) {
	for _, r := range All() {
		t.Run(r.ID, func(t *testing.T) {
			for _, text := range slices.Concat([]string{r.Says, r.Do}, r.Fix, r.PowerShell) {
				if text == "" || strings.TrimSpace(text) != text || strings.HasSuffix(text, ".") || strings.Contains(text, "  ") {
					t.Errorf("%q", text)
				}
				for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
					if !slices.Contains(Placeholders, m[1]) {
						t.Errorf("%q: no placeholder %s", text, m[0])
					}
				}
			}
			// What a client is told stands on a device's display, in one line of
			// SMTP.
			if len(r.Tells) > 120 || strings.Contains(r.Tells, "{") {
				t.Errorf("tells %q", r.Tells)
			}
			if text := fmt.Sprintf("%s (AADSTS%d): %s", r.Says, 999999999, r.Do); r.Section == SignIn && len(text) > 250 {
				t.Errorf("%d characters: %s", len(text), text)
			}
			if r.Section == SignIn && strings.Contains(r.Says+r.Do, "{") {
				t.Error("tokens fills nothing in")
			}
			for _, line := range r.PowerShell {
				for _, m := range placeholder.FindAllStringIndex(line, -1) {
					if line[m[0]-1] != ' ' || m[1] < len(line) && line[m[1]] != ' ' {
						t.Errorf("%q: a placeholder that isn't an argument", line)
					}
				}
			}
		})
	}
}

// TestIDs: what others find by its name alone.
func TestIDs(t *testing.T) {
	for _, id := range strings.Fields(`
		wrong-audience scope-missing role-missing wrong-user wrong-tenant token-expired token-not-yet-valid token-opaque
		no-right-delegated no-right-app app-without-access app-not-in-exchange smtp-unproven pop-off imap-off mailbox-unknown clock-wrong tls-inspected captive-portal answers-http
		port-silent send-as-denied mailbox-no-rights open-relay not-running port-taken listener-silent listener-foreign
		file-readable-by-others file-unreadable folder-not-writable certificate-ends certificate-ended certificate-name`) {
		if Named(id).ID != id {
			t.Error(id)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a name that isn't there")
		}
	}()
	Named("no-such")
}

func TestByAADSTS(t *testing.T) {
	count := 0
	for _, r := range All() {
		count += len(r.AADSTS)
	}
	if count < 127 {
		t.Errorf("only %d numbers", count)
	}
	if r, found := ByAADSTS(7000222); !found || r.ID != "secret-expired" || r.Class != SetUp || r.Who != Entra {
		t.Errorf("%+v", r)
	}
	if r, found := ByAADSTS(4711); found || !r.IsZero() {
		t.Errorf("%+v", r)
	}
	if got := LookUp(4711); got != "https://login.microsoftonline.com/error?code=4711" {
		t.Error(got)
	}
}

// TestExamples: what the table gives as an example leads to its own entry.
func TestExamples(t *testing.T) {
	for _, r := range All() {
		if len(r.Reply) == 0 {
			continue
		}
		if len(r.Seen) == 0 {
			t.Errorf("%s: no example", r.ID)
		}
		for _, text := range r.Seen {
			protocol := r.Protocol
			if protocol == "" {
				protocol = protocolOf(text)
			}
			if got, _ := ByReply(protocol, text); got.ID != r.ID {
				t.Errorf("%s: %s leads to %q", r.ID, text, got.ID)
			}
		}
	}
}

func protocolOf(reply string) string {
	switch {
	case strings.HasPrefix(reply, "-ERR"):
		return "pop3"
	case '0' <= reply[0] && reply[0] <= '9':
		return "smtp"
	}
	return "imap"
}

// TestByReply: as it comes, with tags, suffixes and continued lines; and what
// looks alike.
func TestByReply(t *testing.T) {
	const suffix = " [BN9PR03CA0001.namprd03.prod.outlook.com 2026-11-22T10:00:00.000Z 08DE]"
	tests := []struct{ name, protocol, text, want string }{
		{"in general words, SMTP", "smtp", "535 5.7.3 Authentication unsuccessful" + suffix, "login-refused"},
		{"continued", "smtp", "535-5.7.3 Authentication / 535 5.7.3 unsuccessful", "login-refused"},
		{"continued within a sentence", "smtp", "535-5.7.139 Authentication unsuccessful, SmtpClientAuthentication is\r\n535 5.7.139 disabled for the Tenant.", "smtp-off-tenant"},
		{"continued alone", "smtp", "550-5.7.60 SMTP; Client does not", "send-as-denied"},
		{"in general words, IMAP", "imap", "A3 NO AUTHENTICATE failed.", "login-refused"},
		{"older words, IMAP", "imap", "A3 NO LOGIN failed.", "login-refused"},
		{"older words, POP3", "pop3", "-ERR Logon failure: unknown user name or bad password.", "login-refused"},
		{"switched off for all", "smtp", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant." + suffix, "smtp-off-tenant"},
		{"a number that goes on", "smtp", "535 5.7.30 Something", ""},
		{"a number that goes on before", "smtp", "550 Denied [15.7.233]", ""},
		{"a host's number", "smtp", "550 5.4.1 Denied [5.7.2331]", ""},
		{"not logged in, and why", "smtp", "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.3 Authentication unsuccessful" + suffix, "login-refused"},
		{"not logged in, for a policy", "smtp", "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.", "smtp-off-mailbox"},
		{"as a NO", "imap", "A3 NO User is authenticated but not connected.", "not-connected"},
		{"of another protocol", "pop3", "-ERR User is authenticated but not connected.", ""},
		{"throttled", "pop3", "-ERR Request is throttled. Suggested Backoff Time: 5 milliseconds", "throttled"},
		{"closed, POP3", "pop3", "-ERR Connection is closed. 10", "session-broken-off"},
		{"broken off, POP3", "pop3", "-ERR Protocol error. Connection is closed. 10", "pop3-token-long"},
		{"unknown", "smtp", "535 5.7.8 Something new", ""},
		{"nothing", "imap", "", ""},
		{"far behind", "smtp", "554 5.0.0 " + strings.Repeat("x", maxReply) + " SendAsDenied;", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := ByReply(test.protocol, test.text); got.ID != test.want {
				t.Errorf("%q, want %q", got.ID, test.want)
			}
		})
	}
}

func TestReaderIsStrict(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown field", "- {id: a, sais: x}", "field sais not found"},
		{"an id twice", "- {id: a}\n- {id: a}", `the id "a"`},
		{"no id", "- {says: x}", `the id ""`},
		{"a number twice", "- {id: a, aadsts: [1]}\n- {id: b, aadsts: [1]}", "AADSTS1 stands there twice"},
		{"a number twice in one", "- {id: a, aadsts: [1, 1]}", "AADSTS1 stands there twice"},
		{"no number", "- {id: a, aadsts: [one]}", "cannot unmarshal"},
		{"no list", "a: b", "cannot unmarshal"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := read([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

func TestAllIsACopy(t *testing.T) {
	all := All()
	all[0].ID = "changed"
	if All()[0].ID == "changed" {
		t.Error("the table was changed")
	}
}

// BenchmarkRead is what the first look into the table costs. A program that
// never looks pays nothing.
func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		if _, err := read(file); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkByReply(b *testing.B) {
	text := "554 5.0.0 nothing that is known " + strings.Repeat("diagnostics ", 100)
	ByReply("smtp", text)
	for b.Loop() {
		ByReply("smtp", text)
	}
}

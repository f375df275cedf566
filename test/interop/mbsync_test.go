//go:build linux

package interop

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// configureMbsync writes mbsync's file: what is in the folders of the home
// that match the pattern, and what is in those of the mailbox, shall be the
// same.
func (s *site) configureMbsync(p program, at port, user, password, pattern string) string {
	for _, folder := range []string{"INBOX/cur", "INBOX/new", "INBOX/tmp"} {
		if err := os.MkdirAll(filepath.Join(p.home, "mail", folder), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	tls := map[string]string{none: "None", startTLS: "STARTTLS", implicit: "IMAPS"}[at.tls]
	const special = `"\`
	return p.configure("mbsyncrc", fmt.Sprintf(`FSync no

IMAPStore far
Host localhost
Port %s
User %s
Pass %s
SSLType %s
AuthMechs LOGIN
CertificateFile %s

MaildirStore near
Path mail/
Inbox mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns %s
Create Both
Expunge Both
SyncState *
`, s.port("imap", at.listener), escape(user, special), escape(password, special), tls, shared.RootFile, escape(pattern, special)))
}

// maildir is what a folder holds: the flags of each message by its text.
type maildir map[string]string

// writeMaildir makes a folder of a program's home.
func (p program) writeMaildir(folder string, messages maildir) {
	p.t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(p.home, "mail", folder, sub), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	n := 0
	for text, flags := range messages {
		n++
		p.configure(filepath.Join("mail", folder, "cur", fmt.Sprintf("%d.interop:2,%s", n, flags)), text)
	}
	p.age(folder)
}

// age makes a folder look an hour old: mbsync waits until the second is over
// in which one has changed.
func (p program) age(folder string) {
	p.t.Helper()
	anHourAgo := time.Now().Add(-time.Hour)
	for _, sub := range []string{"cur", "new"} {
		if err := os.Chtimes(filepath.Join(p.home, "mail", folder, sub), anHourAgo, anHourAgo); err != nil {
			p.t.Fatal(err)
		}
	}
}

// tuid is the header field by which mbsync finds what it has stored.
var tuid = regexp.MustCompile(`(?m)^X-TUID: .*\n|\nX-TUID: .*\z`)

// readMaildir returns what is in a folder of a program's home.
func (p program) readMaildir(folder string) maildir {
	p.t.Helper()
	names, err := os.ReadDir(filepath.Join(p.home, "mail", folder, "cur"))
	if err != nil {
		p.t.Fatal(err)
	}
	fresh, err := os.ReadDir(filepath.Join(p.home, "mail", folder, "new"))
	if err != nil {
		p.t.Fatal(err)
	}
	messages := maildir{}
	read := func(sub, name string) {
		text, err := os.ReadFile(filepath.Join(p.home, "mail", folder, sub, name))
		if err != nil {
			p.t.Fatal(err)
		}
		_, flags, _ := strings.Cut(name, ":2,")
		header, body, _ := strings.Cut(string(text), "\n\n")
		messages[tuid.ReplaceAllString(header, "")+"\n\n"+body] = flags
	}
	for _, name := range names {
		read("cur", name.Name())
	}
	for _, name := range fresh {
		read("new", name.Name())
	}
	return messages
}

// wantMaildir compares without showing the messages.
func (p program) wantMaildir(folder string, want maildir) {
	p.t.Helper()
	got := p.readMaildir(folder)
	if maps.Equal(got, want) {
		return
	}
	p.t.Errorf("%s: %d messages, want %d", folder, len(got), len(want))
	for text, flags := range want {
		if has, ok := got[text]; !ok || has != flags {
			p.t.Fatalf("a message of %d bytes: there %t, flags %q, want %q", len(text), ok, has, flags)
		}
	}
}

// TestMbsync stores and fetches a folder, from one home into another, with
// flags and an odd name.
func TestMbsync(t *testing.T) {
	needs(t, "mbsync")
	onEachLogin(t, func(t *testing.T, s *site, at port, login oddLogin, n int) {
		mailbox := s.mailboxes()[0]
		folder := fmt.Sprintf(`M&APw-ll & %d "one" \ (two)`, n)
		folder = strings.ReplaceAll(folder, "& ", "&- ") // modified UTF-7, RFC 3501 section 5.1.3
		want := maildir{}
		for _, flags := range []string{"", "S", "F", "RS", "DS"} {
			want[string(unixLines(newMessage(mailbox, mailbox, ordinaryBody)))] = flags
		}
		here, there := newProgram(t), newProgram(t)
		here.writeMaildir(folder, want)
		here.must(nil, "mbsync", "-c", s.configureMbsync(here, at, login.User, login.password, folder), "-a")
		there.writeMaildir(folder, nil)
		there.must(nil, "mbsync", "-c", s.configureMbsync(there, at, login.User, login.password, folder), "-a")
		there.wantMaildir(folder, want)
	})
}

// TestMbsyncMany stores 2,000 messages, and one of 25 MB, and fetches all of
// them; what one home deletes and flags is so in the other.
func TestMbsyncMany(t *testing.T) {
	needs(t, "mbsync")
	onEach(t, func(t *testing.T, s *site) {
		mailbox := s.mailboxes()[0]
		const folder = "Many"
		want := maildir{string(unixLines(newMessage(mailbox, mailbox, big25MB()))): "S"}
		for n := range 2000 {
			want[string(unixLines(newMessage(mailbox, mailbox, fmt.Sprintf("Message %d.\r\n", n))))] = "S"
		}
		here, there := newProgram(t), newProgram(t)
		here.writeMaildir(folder, want)
		hereFile := s.configureMbsync(here, port{implicit, implicit}, mailbox, shared.password, folder)
		thereFile := s.configureMbsync(there, port{none, none}, mailbox, shared.password, folder)
		here.must(nil, "mbsync", "-c", hereFile, "-a")
		there.writeMaildir(folder, nil)
		there.must(nil, "mbsync", "-c", thereFile, "-a")
		there.wantMaildir(folder, want)

		there.changeFlags(folder, 300, "ST")
		there.changeFlags(folder, 300, "FS")
		there.age(folder)
		here.age(folder)
		there.must(nil, "mbsync", "-c", thereFile, "-a")
		here.must(nil, "mbsync", "-c", hereFile, "-a")
		left := there.readMaildir(folder)
		if len(left) != len(want)-300 {
			t.Errorf("%d messages are left, want %d", len(left), len(want)-300)
		}
		here.wantMaildir(folder, left)
	})
}

// changeFlags gives the first n messages of a folder that are seen, and no
// more, those flags.
func (p program) changeFlags(folder string, n int, flags string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.home, "mail", folder, "cur", "*:2,S"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, file := range files[:n] {
		if err := os.Rename(file, strings.TrimSuffix(file, "S")+flags); err != nil {
			p.t.Fatal(err)
		}
	}
}

// TestMbsyncIsRefused checks that a wrong password ends it with words that say
// so.
func TestMbsyncIsRefused(t *testing.T) {
	needs(t, "mbsync")
	s := newSite(t, newStandIn(t))
	for _, at := range ports {
		t.Run(at.String(), func(t *testing.T) {
			p := newProgram(t)
			file := s.configureMbsync(p, at, s.mailboxes()[0], "wrong", "*")
			out, status := p.run(nil, "mbsync", "-c", file, "-a")
			if status != 1 || !strings.Contains(out, "[AUTHENTICATIONFAILED]") {
				t.Errorf("status %d, want 1: %s", status, out)
			}
		})
	}
}

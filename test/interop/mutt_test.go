//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needsMutt skips the test without Mutt, and without the library's mechanisms
// by which it logs in.
func needsMutt(t *testing.T) {
	t.Helper()
	needs(t, "mutt", "script")
	if found, _ := filepath.Glob("/usr/lib/*/sasl2/libplain.so"); len(found) == 0 {
		lacks(t, "libsasl2-modules is not installed")
	}
}

// configureMutt writes Mutt's file: the user and the password of all
// protocols, and no questions.
func (s *site) configureMutt(p program, at port, user, password string) string {
	const special = "\"\\$`"
	user, password = escape(user, special), escape(password, special)
	starttls := map[bool]string{true: "yes", false: "no"}[at.tls == startTLS]
	return p.configure("muttrc", fmt.Sprintf(`
set imap_user=%[1]s imap_pass=%[2]s
set pop_user=%[1]s pop_pass=%[2]s
set smtp_pass=%[2]s
set ssl_starttls=%[3]s ssl_force_tls=no ssl_ca_certificates_file=%[4]s certificate_file=%[4]s
set from=%[5]s use_from=yes copy=no send_charset=utf-8
set mbox_type=Maildir confirmappend=no confirmcreate=no delete=yes quit=yes move=no wait_key=no sleep_time=0
set pop_checkinterval=0 pop_delete=yes imap_check_subscribed=no
`, user, password, starttls, shared.RootFile, s.mailboxes()[0]))
}

// muttURL is where Mutt finds a port.
func (s *site) muttURL(protocol string, at port, user string) string {
	scheme := protocol
	if protocol == "pop3" {
		scheme = "pop"
	}
	if at.tls == implicit {
		scheme += "s"
	}
	if user != "" {
		user = strings.ReplaceAll(url.QueryEscape(user), "+", "%20") + "@"
	}
	return scheme + "://" + user + "localhost:" + s.port(protocol, at.listener) + "/"
}

// TestMutt sends with Mutt, and reads and deletes by IMAP and by POP3, in a
// terminal.
func TestMutt(t *testing.T) {
	needsMutt(t)
	onEachLogin(t, func(t *testing.T, s *site, at port, login oddLogin, n int) {
		mailbox, p := s.mailboxes()[0], newProgram(t)
		file := s.configureMutt(p, at, login.User, login.password)
		smtp := "set smtp_url=" + s.muttURL("smtp", at, login.User)
		p.must(unixLines([]byte(ordinaryBody)), "mutt", "-n", "-F", file, "-e", smtp, "-s", login.name, "--", mailbox)
		got := s.received(t, mailbox, n+1)
		if len(got) != 1 || !bytes.HasSuffix(got[0], []byte("\r\n\r\n"+ordinaryBody)) {
			t.Fatalf("%d messages have arrived, want 1, as it was written%s", len(got), difference(got, []byte(ordinaryBody)))
		}
		protocol := "imap"
		if n%2 == 1 && at.listener != auto { // Mutt connects five times, and each would wait there
			protocol = "pop3"
		}
		p.muttReads(file, s.muttURL(protocol, at, ""))
		var read [][]byte
		for text := range p.readMaildir("INBOX") {
			read = append(read, networkLines(added.ReplaceAll([]byte(text), nil)))
		}
		wantSame(t, protocol, read, got[0])
		s.logIn(t, protocol, none, mailbox).expectOpenMailbox(protocol)
	})
}

// added is what Mutt adds to the messages that it stores.
var added = regexp.MustCompile(`(?m)^(Content-Length|Lines): \d+\n`)

// muttReads lets Mutt copy all messages of a mailbox into a folder, and
// delete them there. For that it needs a terminal.
func (p program) muttReads(file, mailbox string) {
	p.t.Helper()
	p.writeMaildir("INBOX", nil)
	const keys = "push <tag-pattern>~A<enter><tag-prefix><copy-message>mail/INBOX<enter><tag-prefix><delete-message><quit>"
	inTerminal := fmt.Sprintf("stty rows 30 cols 100; exec mutt -n -F %s -f %s -e '%s'", file, mailbox, keys)
	p.must(nil, "script", "-qec", inTerminal, "/dev/null")
}

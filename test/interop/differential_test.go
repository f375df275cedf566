//go:build linux

package interop

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The differential test: a script is said twice, straight to Dovecot or Postfix
// after a login with a password, and through the proxy, which logs in to the
// same servers with XOAUTH2. What is heard after the login has to be the same,
// byte for byte. The two have a mailbox each, in the same state to begin with.
//
// What has to differ is replaced by its name before the comparison:
//   - the mailbox's own name (of the same length);
//   - how long Dovecot needed for a command, which it says;
//   - UIDVALIDITY of folders made in the script: the time of their making;
//   - Postfix's queue ids, and the size that it adds where a message has come by
//     BDAT, as the proxy's small ones do.
//
// SMTP is relayed transaction by transaction, and some commands are answered
// by the proxy itself: EHLO, HELO, MAIL (on credit), DATA (before BDAT), RSET, NOOP, VRFY, QUIT, what
// comes in the wrong order, and what is no command. A script marks these, and
// of them the code alone is compared. Not in the scripts are HELP (Postfix
// doesn't know it), STARTTLS over TLS (503 here, 554 there), and a refused MAIL,
// whose refusal the client hears from the proxy with each RCPT.
//
// A line of a script is one of these:
//
//	> text      say a line; lines one after the other go in one write
//	| "text"    say this, in Go's quotes, without a line end
//	< text      hear up to a line that begins with the text
//	<.          hear up to a line of one dot
//	~ 250       hear a reply of which the code alone is compared
//	<$          hear all that is left, to the end of the connection
//	!           put a new message into the mailbox
//
// MAILBOX stands for the mailbox, LOCAL for its local part.
type script struct{ name, text string }

// differing is what is replaced.
var differing = []struct {
	form *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`m\d{4}(\+\w+)?@interop\.example`), "MAILBOX$1"},
	{regexp.MustCompile(`\(\d+\.\d+ \+ \d+\.\d+( \+ \d+\.\d+)? secs\)`), "(SECONDS)"},
	{regexp.MustCompile(`(UIDVALIDITY|APPENDUID|COPYUID) 1[78]\d{8}\b`), "$1 TIME"},
	{regexp.MustCompile(`(\d+ bytes )?queued as \w+`), "queued as ID"},
}

func normalise(line string) string {
	for _, d := range differing {
		line = d.form.ReplaceAllString(line, d.name)
	}
	return line
}

// TestDifferential says all scripts twice.
func TestDifferential(t *testing.T) {
	servers := startedServers(t, &runningWithPasswords, true)
	s := newSite(t, servers.newService("imaps", "pop3s", "submission"))
	scripts := map[string][]script{"imap": imapScripts, "pop3": pop3Scripts, "smtp": smtpScripts}
	for _, protocol := range protocols {
		for n, script := range scripts[protocol] {
			t.Run(protocol+" "+script.name, func(t *testing.T) {
				mailbox := s.mailboxes()[0]
				direct := servers.newService("imaps", "pop3s", "submission").boxes[0]
				if protocol != "smtp" {
					servers.prepareMailbox(t, direct)
					servers.prepareMailbox(t, mailbox)
				}
				c := dial(t, s.host(protocol).Address)
				c.begin(protocol, s.host(protocol).TLS)
				c.logIn(protocol, direct, directPassword)
				want := c.play(script, direct, servers)
				c = dial(t, s.address(protocol, tlsModes[n%len(tlsModes)]))
				c.begin(protocol, tlsModes[n%len(tlsModes)])
				c.logIn(protocol, mailbox, shared.password)
				compareTranscripts(t, want, c.play(script, mailbox, servers))
			})
		}
	}
}

// begin reads the greeting and comes to TLS.
func (c *client) begin(protocol, mode string) {
	c.t.Helper()
	if mode == implicit {
		c.startTLS()
	}
	c.expect(greetings[protocol])
	if mode != startTLS {
		return
	}
	if protocol == "smtp" {
		c.say("EHLO desk")
		c.until("250 ")
	}
	c.command(startTLSCommands[protocol].say, startTLSCommands[protocol].hear)
	c.startTLS()
}

// logIn logs in as clients always have.
func (c *client) logIn(protocol, user, password string) {
	c.t.Helper()
	switch protocol {
	case "imap":
		c.command("l LOGIN "+quote(user)+" "+quote(password), "l OK ")
	case "pop3":
		c.command("USER "+user, "+OK")
		c.command("PASS "+password, "+OK")
	case "smtp":
		c.say("EHLO desk")
		c.until("250 ")
		c.command("AUTH PLAIN "+plain(user, password), "235 ")
	}
}

// play says a script and returns what is heard.
func (c *client) play(s script, mailbox string, servers *realServers) (heard []string) {
	c.t.Helper()
	var unsaid strings.Builder
	local, _, _ := strings.Cut(mailbox, "@")
	lines := strings.NewReplacer("MAILBOX", mailbox, "LOCAL", local).Replace(strings.TrimSpace(s.text))
	for line := range strings.SplitSeq(lines, "\n") {
		kind, text, _ := strings.Cut(line, " ")
		if kind != ">" && kind != "|" {
			c.send(unsaid.String())
			unsaid.Reset()
		}
		switch kind {
		case ">":
			unsaid.WriteString(text + "\r\n")
		case "|":
			raw, err := strconv.Unquote(text)
			if err != nil {
				c.t.Fatalf("%s: %v", text, err)
			}
			unsaid.WriteString(raw)
		case "<":
			heard = append(heard, c.until(text)...)
		case "~":
			c.until(text + " ")
			heard = append(heard, text)
		case "<.":
			heard = append(heard, string(c.dotted()))
		case "<$":
			rest, err := io.ReadAll(c.in)
			if err != nil {
				c.t.Fatal(err)
			}
			heard = append(heard, string(rest))
		case "!":
			servers.drop(c.t, mailbox, "new", "9.interop", "Subject: new\n\nA new message.\n")
		default:
			c.t.Fatalf("%q is no line of a script", line)
		}
	}
	return heard
}

func compareTranscripts(t *testing.T, want, got []string) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		var direct, proxied string
		if i < len(want) {
			direct = normalise(want[i])
		}
		if i < len(got) {
			proxied = normalise(got[i])
		}
		if direct != proxied {
			t.Fatalf("line %d: heard through the proxy %.300q, directly %.300q", i+1, proxied, direct)
		}
	}
}

// prepared are the messages in a mailbox before each script.
var prepared = []string{
	"From: a@interop.example\nTo: b@interop.example\nSubject: first\nDate: Sun, 22 Nov 2026 12:00:00 +0000\n\nA line.\n.\n..\n.dot\n",
	"From: b@interop.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: text/plain; charset=utf-8\n\nGr\xc3\xbc\xc3\x9fe, and \xff\xfe no UTF-8.\n",
	"Subject: long\n\n" + strings.Repeat("long ", 14_000) + "\nno line end",
	"Subject: parts\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\nContent-Type: application/pdf\n\n%PDF\n--x--\n",
	"Subject: empty\n\n",
}

// prepareMailbox puts the messages into an empty mailbox, in a way that
// everything about them is the same each time: also names and dates.
func (r *realServers) prepareMailbox(t *testing.T, mailbox string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(r.mail(), mailbox)); err != nil {
		t.Fatal(err)
	}
	list := fmt.Sprintf("3 V1900000000 N%d G0123456789abcdef0123456789abcdef\n", len(prepared)+1)
	for n, message := range prepared {
		name := fmt.Sprintf("%d.interop", n+1)
		r.drop(t, mailbox, "cur", name, message)
		list += fmt.Sprintf("%d :%s\n", n+1, name)
	}
	r.own(t, filepath.Join(r.mail(), mailbox, "dovecot-uidlist"), list)
}

// drop puts a message into a mailbox, as a delivery does.
func (r *realServers) drop(t *testing.T, mailbox, folder, name, text string) {
	t.Helper()
	maildir := filepath.Join(r.mail(), mailbox)
	for _, dir := range []string{maildir, maildir + "/cur", maildir + "/new", maildir + "/tmp"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, mailUID, mailUID); err != nil {
			t.Fatal(err)
		}
	}
	r.own(t, filepath.Join(maildir, "tmp", name), text)
	if err := os.Rename(filepath.Join(maildir, "tmp", name), filepath.Join(maildir, folder, name)); err != nil {
		t.Fatal(err)
	}
}

// own writes a file that belongs to the mailboxes' owner, of a fixed date.
func (r *realServers) own(t *testing.T, file, text string) {
	t.Helper()
	writeFile(t, file, []byte(text))
	if err := os.Chown(file, mailUID, mailUID); err != nil {
		t.Fatal(err)
	}
	date := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	if err := os.Chtimes(file, date, date); err != nil {
		t.Fatal(err)
	}
}

//go:build linux

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// configureFetchmail writes fetchmail's file. It hands each message to a
// program that makes a file of it: the name appears when the file is complete.
func (s *site) configureFetchmail(p program, protocol string, at port, user, password, options string) string {
	tls := map[string]string{
		none: "sslproto ''", startTLS: "sslproto 'TLS1.2+' sslcertck", implicit: "ssl sslcertck",
	}[at.tls]
	if err := os.MkdirAll(filepath.Join(p.home, "mail"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.configure("deliver", `file=$(mktemp) && cat >"$file" && mv "$file" "$HOME/mail/"`)
	quote := func(text string) string {
		return `"` + strings.NewReplacer(`"`, `\x22`, `\`, `\x5c`).Replace(text) + `"`
	}
	return p.configure("fetchmailrc", fmt.Sprintf(`poll localhost protocol %s port %s
user %s password %s %s sslcertfile %s
mda "sh %s/deliver" %s
`, protocol, s.port(protocol, at.listener), quote(user), quote(password), tls, shared.RootFile, p.home, options))
}

// fetchmail is its command line. It must not leave its traces in /var.
func (p program) fetchmail(file string) []string {
	return []string{"-f", file, "--idfile", p.home + "/ids", "--pidfile", p.home + "/pid", "--nosyslog"}
}

// fetched returns the messages that have been delivered, as they were on the
// way.
func (p program) fetched() (messages [][]byte) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.home, "mail", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		messages = append(messages, networkLines(text))
	}
	return messages
}

// TestFetchmail fetches and deletes by IMAP and by POP3.
func TestFetchmail(t *testing.T) {
	needs(t, "fetchmail")
	for _, protocol := range []string{"imap", "pop3"} {
		t.Run(protocol, func(t *testing.T) {
			onEachLogin(t, func(t *testing.T, s *site, at port, login oddLogin, n int) {
				mailbox, p := s.mailboxes()[0], newProgram(t)
				first := newMessage(mailbox, mailbox, ordinaryBody)
				second := newMessage(mailbox, mailbox, large(100_000))
				c := s.logInSMTP(t, none, mailbox)
				c.sendMessage(mailbox, []string{mailbox}, first)
				c.sendMessage(mailbox, []string{mailbox}, second)
				s.received(t, mailbox, 2*(n+1))
				file := s.configureFetchmail(p, protocol, at, login.User, login.password, "nokeep fetchall")
				p.must(nil, "fetchmail", p.fetchmail(file)...)
				wantSame(t, "fetched", p.fetched(), first, second)
				s.logIn(t, protocol, none, mailbox).expectOpenMailbox(protocol)
			})
		})
	}
}

// TestFetchmailIdle lets fetchmail wait in IDLE for messages that come
// meanwhile.
func TestFetchmailIdle(t *testing.T) {
	needs(t, "fetchmail")
	onEach(t, func(t *testing.T, s *site) {
		mailbox, p := s.mailboxes()[0], newProgram(t)
		file := s.configureFetchmail(p, "imap", port{startTLS, startTLS}, mailbox, shared.password, "keep idle")
		command := exec.Command("fetchmail", append(p.fetchmail(file), "--verbose")...)
		p.prepare(command)
		waiting, err := start(command)
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.stop()
		sender := s.logInSMTP(t, none, mailbox)
		for n := range 2 {
			err := waiting.await("it is in IDLE again", func(log []string) bool { return count(log, "IMAP> ", "IDLE") > n })
			if err != nil {
				t.Fatal(err)
			}
			message := newMessage(mailbox, mailbox, fmt.Sprintf("Message %d.\r\n", n))
			sender.sendMessage(mailbox, []string{mailbox}, message)
			err = waiting.await("the message has come", func(log []string) bool { return count(log, "not flushed") > n })
			if err != nil {
				t.Fatal(err)
			}
			if !containsMessage(p.fetched(), message) {
				t.Errorf("message %d isn't there as it was sent", n)
			}
		}
	})
}

// TestFetchmailIsRefused checks that fetchmail takes a wrong password for one.
func TestFetchmailIsRefused(t *testing.T) {
	needs(t, "fetchmail")
	s := newSite(t, newStandIn(t))
	for _, protocol := range []string{"imap", "pop3"} {
		for _, at := range ports {
			t.Run(protocol+" "+at.String(), func(t *testing.T) {
				p := newProgram(t)
				file := s.configureFetchmail(p, protocol, at, s.mailboxes()[0], "wrong", "")
				const authenticationFailed = 3
				if out, status := p.run(nil, "fetchmail", p.fetchmail(file)...); status != authenticationFailed {
					t.Errorf("status %d, want %d: %s", status, authenticationFailed, out)
				}
			})
		}
	}
}

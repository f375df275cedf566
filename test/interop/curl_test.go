//go:build linux

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// curl is curl as a user of one of the proxy's ports.
type curl struct {
	t              *testing.T
	url            string
	user, password string
	options        []string
}

// newCurl returns curl for a port: with TLS from the first byte, with the
// command for it, which curl then insists on, or without.
func (s *site) newCurl(t *testing.T, protocol, mode, user string) curl {
	scheme, options := protocol, []string{}
	switch mode {
	case implicit:
		scheme += "s"
	case startTLS:
		options = []string{"--ssl-reqd"}
	}
	_, port, _ := strings.Cut(s.address(protocol, mode), ":")
	return curl{t, scheme + "://localhost:" + port, user, shared.password, options}
}

// run returns what curl has got, or what it complains of. The password goes in
// by standard input: command lines are for everybody to see.
func (c curl) run(arguments ...string) (out []byte, status int) {
	c.t.Helper()
	common := []string{"--silent", "--show-error", "--config", "-", "--cacert", shared.RootFile,
		"--max-time", fmt.Sprint(patience.Seconds())}
	command := exec.Command("curl", slices.Concat(common, c.options, arguments)...)
	command.Stdin = strings.NewReader("user = " + quote(c.user+":"+c.password) + "\n")
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return complaints.Bytes(), exit.ExitCode()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return out, 0
}

// get returns what curl has got.
func (c curl) get(arguments ...string) []byte {
	c.t.Helper()
	out, status := c.run(arguments...)
	if status != 0 {
		c.t.Fatalf("curl %s: status %d: %s", strings.Join(arguments, " "), status, out)
	}
	return out
}

// TestCurl sends, lists, reads, stores and deletes with curl.
func TestCurl(t *testing.T) {
	needs(t, "curl")
	onEach(t, func(t *testing.T, s *site) {
		from, to := s.mailboxes()[0], s.mailboxes()[1]
		sent := 0
		for _, mode := range tlsModes {
			for _, mechanism := range []string{"PLAIN", "LOGIN"} {
				t.Run(mode+" "+mechanism, func(t *testing.T) {
					as := func(user, protocol string) curl {
						c := s.newCurl(t, protocol, mode, user)
						c.options = append(c.options, "--login-options", "AUTH="+mechanism)
						return c
					}
					message := newMessage(from, to, ordinaryBody)
					c := as(from, "smtp")
					c.get("--mail-from", from, "--mail-rcpt", to, "--upload-file", fileOf(t, message), c.url)
					sent++
					wantSame(t, "delivered", s.received(t, to, sent), message)
					as(to, "imap").useIMAP(message)
					as(to, "pop3").usePOP3(message)
				})
			}
		}
	})
}

// useIMAP reads the only message, and stores and deletes another.
func (c curl) useIMAP(message []byte) {
	c.t.Helper()
	wantSame(c.t, "IMAP", [][]byte{c.get(c.url + "/INBOX;MAILINDEX=1")}, message)
	if found := string(c.get(c.url + "/INBOX?SUBJECT%20test")); strings.TrimSpace(found) != "* SEARCH 1" {
		c.t.Errorf("SEARCH: %q, want 1", found)
	}
	if folders := string(c.get(c.url)); !strings.Contains(folders, "INBOX") {
		c.t.Errorf("LIST: %q, want INBOX in it", folders)
	}
	draft := newMessage(c.user, c.user, "A draft.\r\n")
	c.get("--upload-file", fileOf(c.t, draft), c.url+"/INBOX")
	wantSame(c.t, "IMAP, appended", [][]byte{c.get(c.url + "/INBOX;MAILINDEX=2")}, draft)
	c.get("--request", `STORE 2 +FLAGS (\Deleted)`, c.url+"/INBOX")
	c.get("--request", "EXPUNGE", c.url+"/INBOX")
}

// usePOP3 reads and deletes the only message.
func (c curl) usePOP3(message []byte) {
	c.t.Helper()
	list := string(c.get(c.url))
	if !strings.HasPrefix(list, "1 ") || strings.Count(list, "\r\n") != 1 {
		c.t.Errorf("LIST: %q, want one message", list)
	}
	wantSame(c.t, "POP3", [][]byte{c.get(c.url + "/1")}, message)
	top := c.get("--request", "TOP 1 1", c.url)
	if !bytes.Contains(top, []byte("\r\n\r\nA line.\r\n")) || bytes.Contains(top, []byte("8-bit text")) {
		c.t.Errorf("TOP 1 1: %q, want the header and one line", top)
	}
	c.get("--request", "DELE 1", "--head", c.url)
}

// Exit statuses of curl.
const (
	curlTLSFailed   = 64 // CURLE_USE_SSL_FAILED
	curlDeniedLogin = 67 // CURLE_LOGIN_DENIED
)

// TestCurlIsRefused checks that curl takes the refusal of a wrong password for
// what it is, and that a port without TLS does not pretend to have it.
func TestCurlIsRefused(t *testing.T) {
	needs(t, "curl")
	s := newSite(t, newStandIn(t))
	for _, protocol := range protocols {
		for _, mode := range tlsModes {
			t.Run(protocol+" "+mode, func(t *testing.T) {
				c := s.newCurl(t, protocol, mode, s.mailboxes()[0])
				c.password = "wrong"
				if out, status := c.run(c.url); status != curlDeniedLogin {
					t.Errorf("status %d, want %d: %s", status, curlDeniedLogin, out)
				}
			})
		}
		t.Run(protocol+" without TLS", func(t *testing.T) {
			c := s.newCurl(t, protocol, none, s.mailboxes()[0])
			if out, status := c.run("--ssl-reqd", c.url); status != curlTLSFailed {
				t.Errorf("status %d, want %d: %s", status, curlTLSFailed, out)
			}
		})
	}
}

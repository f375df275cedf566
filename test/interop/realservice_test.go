//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oauthproxy/internal/sandbox"
)

// realService is what a test has of Dovecot and Postfix.
type realService struct {
	*realServers
	boxes []string
	ports map[string]string // names of the ports, by protocol
}

// newService returns three unused mailboxes, on the ports of those names.
func (r *realServers) newService(imap, pop3, smtp string) realService {
	s := realService{r, nil, map[string]string{"imap": imap, "pop3": pop3, "smtp": smtp}}
	for range 3 {
		s.boxes = append(s.boxes, mailboxName(int(r.used.Add(1))))
	}
	return s
}

func mailboxName(n int) string { return fmt.Sprintf("m%04d@interop.example", n) }

func (s realService) entra() *sandbox.Sandbox { return s.entraID }

func (s realService) mailboxes() []string { return s.boxes }

func (s realService) refused() string { return "nobody@interop.example" }

func (s realService) host(protocol string) host {
	name := s.ports[protocol]
	mode := startTLS
	if strings.HasSuffix(name, "s") {
		mode = implicit
	}
	return host{fmt.Sprintf("127.0.0.1:%d", s.realServers.ports[name]), mode}
}

// received waits for Postfix to deliver, and reads Dovecot's files. They end
// lines with LF, as all Unix mailboxes do.
func (s realService) received(t *testing.T, mailbox string, n int) [][]byte {
	t.Helper()
	err := s.postfix.await(fmt.Sprintf("%d messages have been delivered", n), func(log []string) bool {
		return count(log, "to=<"+mailbox+">", "status=sent") >= n
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(s.mail(), mailbox, "[cn]*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var messages [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	}
	return messages
}

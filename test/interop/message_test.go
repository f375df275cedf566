//go:build linux

package interop

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
)

// newText returns random letters.
func newText(length int) string {
	var b strings.Builder
	for b.Len() < length {
		b.WriteString(rand.Text())
	}
	return b.String()[:length]
}

// newMessage returns a message with a body.
func newMessage(from, to, body string) []byte {
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: a test\r\n"+
		"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@interop.example>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s",
		from, to, newText(20), body)
}

const ordinaryBody = "A line.\r\nGrüße: 8-bit text.\r\n.\r\n..\r\n.a line that begins with a dot\r\n\r\n  blanks at the end  \r\n"

// bodies are what careless programs change.
var bodies = []struct{ name, body string }{
	{"empty", ""},
	{"ordinary", ordinaryBody},
	{"dots alone", ".\r\n..\r\n...\r\n.\r\n"},
	{"begins with a dot", ".first\r\nsecond\r\n"},
	{"8-bit that is not UTF-8", "caf\xe9 \xff\xfe\x80\r\n"},
	{"control characters", "bell \x07, form feed \f, tab \t, delete \x7f\r\n"},
	{"lines of 998 and 999 bytes", strings.Repeat("x", 998) + "\r\n" + strings.Repeat("y", 999) + "\r\n"},
	{"line of 70,000 bytes", "." + strings.Repeat("long ", 14_000) + "\r\nshort\r\n"},
	{"line of 1 MB", strings.Repeat("0123456789abcdef", 1<<16) + "\r\n"},
	{"many empty lines", strings.Repeat("\r\n", 5000)},
	{"what ends a message elsewhere", "\r\nQUIT\r\nMAIL FROM:<x@example.org>\r\n)\r\na OK done\r\n+OK\r\n"},
	{"20 MB", large(20 << 20)},
}

// large returns a body of about that size, as of an attachment, with a dot at
// the beginning of every tenth line.
func large(size int) string {
	var b strings.Builder
	b.Grow(size + 100)
	for n := 0; b.Len() < size; n++ {
		if n%10 == 0 {
			b.WriteByte('.')
		}
		fmt.Fprintf(&b, "%08d%s\r\n", n, strings.Repeat("QUJDREVG", 8))
	}
	return b.String()
}

// big25MB is a body of 25 MB, made faster than large does.
func big25MB() string { return strings.Repeat(large(100_000), 25<<20/100_000) }

// TestMessages sends messages by SMTP and reads them by IMAP and by POP3:
// nothing in them may change. The small ones go upstream in one chunk, the
// others by DATA: either service knows both.
func TestMessages(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		chunks := 0
		for i, body := range bodies {
			t.Run(body.name, func(t *testing.T) {
				from, to := s.mailboxes()[0], s.mailboxes()[1]
				mode := tlsModes[i%len(tlsModes)]
				message := newMessage(from, to, body.body)
				s.logInSMTP(t, mode, from).sendMessage(from, []string{to}, message)
				wantSame(t, "delivered", s.received(t, to, i+1), message)
				if len(message) < 60<<10 {
					chunks++
				}
				err := s.await("the small messages have gone in one chunk each", func(log []string) bool {
					return strings.Count(strings.Join(log, ""), `"BDAT `) == chunks
				})
				if err != nil {
					t.Error(err)
				}

				imap := s.logInIMAP(t, mode, to)
				wantSame(t, "IMAP", imap.fetchIMAP(), message)
				pop3 := s.logInPOP3(t, mode, to)
				wantSame(t, "POP3", pop3.fetchPOP3(), message)
				pop3.command("DELE 1", "+OK")
				pop3.command("QUIT", "+OK")
				pop3.expectEnd()
				imap.say("q LOGOUT")
				imap.until("q OK ")
				imap.expectEnd()
			})
		}
	})
}

// TestOtherWayUpstream goes to Dovecot by STARTTLS and STLS, and to Postfix by
// implicit TLS: the other way round than elsewhere.
func TestOtherWayUpstream(t *testing.T) {
	ordinary := newRealService(t)
	s := newSite(t, ordinary.newService("imap", "pop3", "submissions"))
	from, to := s.mailboxes()[0], s.mailboxes()[1]
	message := newMessage(from, to, ordinaryBody)
	s.logInSMTP(t, none, from).sendMessage(from, []string{to}, message)
	wantSame(t, "delivered", s.received(t, to, 1), message)
	wantSame(t, "IMAP", s.logInIMAP(t, none, to).fetchIMAP(), message)
	wantSame(t, "POP3", s.logInPOP3(t, none, to).fetchPOP3(), message)
}

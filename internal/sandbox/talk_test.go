package sandbox

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// peer is a client that knows nothing of the protocols: it sends lines and
// compares lines.
type peer struct {
	t    *testing.T
	s    *Sandbox
	conn net.Conn
	r    *bufio.Reader
	// token stands for {name} in a dialogue.
	token string
}

// dial connects to a listener of the sandbox.
func dial(t *testing.T, s *Sandbox, address string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	// Far more than any test takes: a test that hangs shall say where.
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { conn.Close() })
	p := &peer{t: t, s: s, conn: conn, r: bufio.NewReader(conn)}
	if address == s.IMAP() || address == s.POP3() {
		p.startTLS()
	}
	return p
}

// talk connects and goes through a dialogue.
func talk(t *testing.T, s *Sandbox, address, dialogue string) *peer {
	t.Helper()
	p := dial(t, s, address)
	p.talk(dialogue)
	return p
}

func (p *peer) startTLS() {
	p.t.Helper()
	conn := tls.Client(p.conn, clientTLS(p.t, p.s))
	if err := conn.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.conn, p.r = conn, bufio.NewReader(conn)
}

var mailboxName = regexp.MustCompile(`\{([a-z][a-z0-9-]*)\}`)

// talk goes through a dialogue, a line at a time:
//
//	C: a line that is sent; {alice} is an XOAUTH2 response for alice@
//	C> the same without its line end
//	S: the line that must come
//	S~ a regular expression that the line must match
//	TLS: the client starts TLS
//	EOF: the server must close
func (p *peer) talk(dialogue string) {
	p.t.Helper()
	for line := range strings.Lines(dialogue) {
		line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), "\t")
		kind, text, _ := strings.Cut(line, " ")
		switch kind {
		case "":
		case "C:":
			p.send(p.fill(text) + "\r\n")
		case "C>":
			p.send(p.fill(text))
		case "S:":
			if got := p.line(); got != text {
				p.t.Fatalf("got  %q\nwant %q", got, text)
			}
		case "S~":
			if got := p.line(); !regexp.MustCompile("^" + text + "$").MatchString(got) {
				p.t.Fatalf("got  %q\nwant a match of %q", got, text)
			}
		case "TLS:":
			p.startTLS()
		case "EOF:":
			if got, err := p.r.ReadString('\n'); err != io.EOF || got != "" {
				p.t.Fatalf("got %q, %v, want the connection to be closed", got, err)
			}
		default:
			p.t.Fatalf("bad line in the test: %q", line)
		}
	}
}

// fill replaces {name} by credentials.
func (p *peer) fill(text string) string {
	return mailboxName.ReplaceAllStringFunc(text, func(name string) string {
		if p.token == "" {
			p.token = p.s.IssueToken("", TokenOptions{})
		}
		return response(strings.Trim(name, "{}")+"@"+Domain, p.token)
	})
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatalf("cannot send: %v", err)
	}
}

// line returns the server's next line.
func (p *peer) line() string {
	p.t.Helper()
	line, err := p.r.ReadString('\n')
	if err != nil {
		p.t.Fatalf("got %q, then %v", line, err)
	}
	if !strings.HasSuffix(line, "\r\n") {
		p.t.Fatalf("line %q does not end in CRLF", line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

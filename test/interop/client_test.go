//go:build linux

package interop

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// client is a mail client that says and hears what a test wants, to the byte.
// What it says is not shown where a test fails: it may hold a password.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// connect connects to the proxy and comes to TLS if mode says so. The greeting
// has been read.
func (s *site) connect(t *testing.T, protocol, mode string) *client {
	t.Helper()
	c := dial(t, s.address(protocol, mode))
	if mode == implicit {
		c.startTLS()
	}
	c.expect(greetings[protocol])
	if mode == startTLS {
		c.command(startTLSCommands[protocol].say, startTLSCommands[protocol].hear)
		c.startTLS()
	}
	return c
}

var (
	greetings        = map[string]string{"imap": "* OK ", "pop3": "+OK ", "smtp": "220 "}
	startTLSCommands = map[string]struct{ say, hear string }{
		"imap": {"a STARTTLS", "a OK "},
		"pop3": {"STLS", "+OK "},
		"smtp": {"STARTTLS", "220 "},
	}
)

// dial connects to an address.
func dial(t *testing.T, address string) *client {
	t.Helper()
	return dialFrom(t, "127.0.0.1", address)
}

// dialFrom connects from one of this machine's addresses.
func dialFrom(t *testing.T, from, address string) *client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// startTLS makes the connection one over TLS.
func (c *client) startTLS() {
	c.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.RootPEM)
	secure := tls.Client(c.conn, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err := secure.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.in = secure, bufio.NewReader(secure)
}

// send sends bytes, all in one write.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// say sends a line.
func (c *client) say(format string, arguments ...any) {
	c.t.Helper()
	c.send(fmt.Sprintf(format, arguments...) + "\r\n")
}

// hear returns the next line without its end.
func (c *client) hear() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("heard %q, then: %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// expect returns the next line, which has to begin with prefix.
func (c *client) expect(prefix string) string {
	c.t.Helper()
	line := c.hear()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("heard %q, want %q...", line, prefix)
	}
	return line
}

// command says a line and expects an answer of one line.
func (c *client) command(line, prefix string) string {
	c.t.Helper()
	c.say("%s", line)
	return c.expect(prefix)
}

// until returns the lines up to the one that begins with prefix, which is the
// last of them.
func (c *client) until(prefix string) []string {
	c.t.Helper()
	var lines []string
	for {
		line := c.hear()
		lines = append(lines, line)
		if strings.HasPrefix(line, prefix) {
			return lines
		}
		if len(lines) > 10_000 {
			c.t.Fatalf("no %q in %d lines", prefix, len(lines))
		}
	}
}

// expectEnd checks that the proxy closes the connection.
func (c *client) expectEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("heard %q and %v, want the end", rest, err)
	}
}

// literal returns the literal that a line announces, up to the end of the line
// that follows it.
func (c *client) literal(line string) []byte {
	c.t.Helper()
	size, err := strconv.Atoi(strings.TrimSuffix(line[strings.LastIndex(line, "{")+1:], "}"))
	if err != nil {
		c.t.Fatalf("no literal in %q", line)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(c.in, text); err != nil {
		c.t.Fatal(err)
	}
	c.hear()
	return text
}

// dotted returns what follows up to a line of one dot, un-stuffed (RFC 1939
// section 3).
func (c *client) dotted() []byte {
	c.t.Helper()
	var text []byte
	for {
		line, err := c.in.ReadBytes('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if string(line) == ".\r\n" {
			return text
		}
		if line[0] == '.' {
			line = line[1:]
		}
		text = append(text, line...)
	}
}

// plain is the initial response of SASL PLAIN (RFC 4616).
func plain(user, password string) string { return encode("\x00" + user + "\x00" + password) }

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

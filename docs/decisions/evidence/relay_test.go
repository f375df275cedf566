package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// patience bounds each test: nothing in them takes time.
const patience = 30 * time.Second

// upstream is a mail server that takes everything as it comes.
type upstream struct {
	address     string
	refusesData bool

	ended sync.WaitGroup

	mu      sync.Mutex
	command string // the last one
	message []byte // the last one, with its end of data
}

func newUpstream(t *testing.T, refusesData bool) *upstream {
	u := &upstream{refusesData: refusesData}
	ln := listen(t)
	u.address = ln.Addr().String()
	t.Cleanup(func() { _ = ln.Close(); u.ended.Wait() })
	u.ended.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			u.ended.Go(func() { u.serve(conn) })
		}
	})
	return u
}

func (u *upstream) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	say := func(reply string) { _, _ = io.WriteString(conn, reply+"\r\n") }
	say("220 upstream")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		u.note(func() { u.command = line })
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO":
			say("250-upstream\r\n250-DSN\r\n250 8BITMIME")
		case "DATA":
			if u.refusesData {
				say("452 4.3.1 Out of storage")
				continue
			}
			say("354 Go on")
			message, err := readMessage(r)
			if err != nil {
				return
			}
			u.note(func() { u.message = message })
			say("250 2.0.0 OK")
		default:
			say("250 2.0.0 OK")
		}
	}
}

func readMessage(r *bufio.Reader) ([]byte, error) {
	var message []byte
	for !bytes.HasSuffix(message, []byte("\r\n.\r\n")) {
		part, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		message = append(message, part...)
	}
	return message, nil
}

func (u *upstream) note(what func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	what()
}

// heard returns the last command and the last message.
func (u *upstream) heard() (command, message string) {
	u.note(func() { command, message = u.command, string(u.message) })
	return command, message
}

// relay is a proxy of go-smtp's server and client, as one would write it.
type relay struct{ client *smtp.Client }

// newRelay returns the address of such a proxy.
func newRelay(t *testing.T, u *upstream) string {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		client, err := smtp.Dial(u.address)
		return &relay{client}, err
	}))
	server.Domain = "relay"
	server.EnableDSN = true
	return serve(t, server)
}

func (r *relay) Reset()        {}
func (r *relay) Logout() error { return r.client.Close() }

func (r *relay) Mail(from string, o *smtp.MailOptions) error { return r.client.Mail(from, o) }
func (r *relay) Rcpt(to string, o *smtp.RcptOptions) error   { return r.client.Rcpt(to, o) }

func (r *relay) Data(message io.Reader) error {
	data, err := r.client.Data()
	if err != nil {
		return err
	}
	if _, err := io.Copy(data, message); err != nil {
		return err
	}
	return data.Close()
}

func serve(t *testing.T, server *smtp.Server) string {
	server.ErrorLog = log.New(io.Discard, "", 0)
	ln := listen(t)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return ln.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// client is a mail program's end of a connection.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{t, conn, bufio.NewReader(conn)}
}

// say sends text as it is.
func (c *client) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// hear returns the last line of the next SMTP reply.
func (c *client) hear() string {
	c.t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("no reply: %v", err)
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimRight(line, "\r\n")
		}
	}
}

// ask sends a line and returns the last line of its reply.
func (c *client) ask(line string) string {
	c.t.Helper()
	c.say(line + "\r\n")
	return c.hear()
}

// begin brings an SMTP dialogue to where DATA is due.
func (c *client) begin() {
	c.t.Helper()
	c.hear()
	for _, line := range []string{"EHLO client", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"} {
		if reply := c.ask(line); reply[0] != '2' {
			c.t.Fatalf("%s: %s", line, reply)
		}
	}
}

package smtp

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"oauthproxy/internal/script/stage"
)

// benchMessage is 1 MiB of lines as they are in base64, with its end.
var benchMessage = append(bytes.Repeat([]byte(strings.Repeat("QUJD", 19)+"\r\n"), 1<<20/78), ".\r\n"...)

// fastExchange is an upstream that does no more than it must.
func fastExchange(conn *tls.Conn) {
	in := bufio.NewReaderSize(conn, 64<<10)
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
	say("220 ready")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "EHLO":
			say("250-exchange.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH XOAUTH2")
		case "AUTH":
			say("334 ")
			_, _ = in.ReadString('\n')
			say("235 ok")
		case "DATA":
			say("354 go")
			if !swallow(in) {
				return
			}
			say("250 accepted")
		case "QUIT":
			return
		default:
			say("250 ok")
		}
	}
}

// swallow reads a message.
func swallow(in *bufio.Reader) bool {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			return true
		}
	}
}

// sendMessages sends b.N messages to the proxy at the address.
func sendMessages(b *testing.B, address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	hear := func(code string) {
		for {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, code) {
				b.Fatalf("heard %q, %v; want %s", line, err, code)
			}
			if line[3] == ' ' {
				return
			}
		}
	}
	ask := func(command, code string) {
		if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
			b.Fatal(err)
		}
		hear(code)
	}
	hear("220")
	ask("EHLO laptop", "250")
	ask(strings.TrimSpace(auth), "235")
	b.SetBytes(int64(len(benchMessage)))
	for b.Loop() {
		ask("MAIL FROM:<a@b.example>", "250")
		ask("RCPT TO:<c@d.example>", "250")
		ask("DATA", "354")
		if _, err := conn.Write(benchMessage); err != nil {
			b.Fatal(err)
		}
		hear("250")
	}
	ask("QUIT", "221")
}

// BenchmarkMessage sends messages of 1 MiB through the proxy.
func BenchmarkMessage(b *testing.B) {
	s := stage.New(b, Protocol{}, stage.Options{"log": "error"})
	s.PlayUpstream(fastExchange)
	sendMessages(b, s.Listener.Addr().String())
}

// BenchmarkMessageGoSMTP does the same through a proxy as one would write it
// with go-smtp's server and client, to compare.
func BenchmarkMessageGoSMTP(b *testing.B) {
	s := stage.New(b, Protocol{}, stage.Options{"log": "error"})
	s.PlayUpstream(fastExchange)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	upstreamTLS := s.ClientTLS.Clone()
	upstreamTLS.ServerName = "127.0.0.1"
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) {
		return &goSession{address: s.Upstream.Addr().String(), tls: upstreamTLS}, nil
	}))
	server.AllowInsecureAuth = true
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	sendMessages(b, ln.Addr().String())
	_ = server.Close()
	<-served
}

// goSession is a go-smtp server's session and its upstream client.
type goSession struct {
	address string
	tls     *tls.Config
	client  *gosmtp.Client
}

func (s *goSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *goSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != stage.User || password != stage.Password {
			return gosmtp.ErrAuthFailed
		}
		client, err := gosmtp.DialTLS(s.address, s.tls)
		if err != nil {
			return err
		}
		s.client = client
		return client.Auth(xoauth2{})
	}), nil
}

// xoauth2 is the mechanism for go-sasl.
type xoauth2 struct{}

func (xoauth2) Start() (string, []byte, error) { return "XOAUTH2", nil, nil }

func (xoauth2) Next([]byte) ([]byte, error) {
	return fmt.Appendf(nil, "user=%s\x01auth=Bearer %s\x01\x01", stage.User, base64.StdEncoding.EncodeToString(make([]byte, 100))), nil
}

func (s *goSession) Mail(from string, options *gosmtp.MailOptions) error {
	return s.client.Mail(from, options)
}

func (s *goSession) Rcpt(to string, options *gosmtp.RcptOptions) error {
	return s.client.Rcpt(to, options)
}

func (s *goSession) Data(message io.Reader) error {
	w, err := s.client.Data()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, message); err != nil {
		return err
	}
	return w.Close()
}

func (s *goSession) Reset() {}

func (s *goSession) Logout() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"oauthproxy/accounts"
	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
)

// stageClient connects a client to a stage.
func stageClient(t testing.TB, s *stage.Stage) *client {
	t.Helper()
	conn := s.Dial(t)
	if err := conn.SetDeadline(time.Now().Add(stage.Patience)); err != nil {
		t.Fatal(err)
	}
	return &client{Conn: conn, in: bufio.NewReader(conn)}
}

const popLogin = "USER " + stage.User + "\r\nPASS " + stage.Password + "\r\n"

// Connections that don't log in, as many as one client may have, shut nobody
// out: the oldest makes way for the next, and hears why. They cost little.
func TestIdleConnectionsShutNobodyOut(t *testing.T) {
	const most, each = 200, 48 << 10
	s := stage.New(t, pop3.Protocol{}, stage.Options{"log": "error"})
	s.PlayUpstream(func(conn *tls.Conn) { speeches[1].play(conn, 3) })
	before := memory()
	idle := make([]*client, most)
	for i := range idle {
		idle[i] = stageClient(t, s)
		idle[i].hear(t, "+OK ")
		idle[i].say(t, "half a command")
	}
	if grown := memory() - before; grown > most*each {
		t.Errorf("%d bytes for each connection", grown/most)
	}
	one := stageClient(t, s)
	one.hear(t, "+OK ")
	one.say(t, popLogin)
	one.hear(t, "+OK ")
	one.hear(t, "+OK Logged in")
	idle[0].hear(t, "-ERR [SYS/TEMP] too many connections")
	if rest, _ := io.ReadAll(idle[0].in); len(rest) > 0 {
		t.Errorf("the oldest hears %q", rest)
	}
	idle[1].say(t, "\r\n")
	idle[1].hear(t, "-ERR unknown command")
}

// memory returns what is in use, of the heap and of stacks.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// Where a listener has networks, others hear nothing at all.
func TestListenerNetworks(t *testing.T) {
	for network, welcome := range map[string]bool{"127.0.0.0/8": true, "192.0.2.0/24": false} {
		b := newBubble(t, pop3.Protocol{}, tokens(oneToken))
		b.listener.Networks = []netip.Prefix{netip.MustParsePrefix(network)}
		here, there := tcpPair(t)
		b.Accept(there, &b.listener)
		c := &client{Conn: here, in: bufio.NewReader(here)}
		if welcome {
			c.hear(t, "+OK ")
		} else {
			c.hearEnd(t)
		}
	}
}

// Whoever is shut out and comes again and again gets a line every few minutes.
func TestShutOutIsToldRarely(t *testing.T) {
	b := newBubble(t, pop3.Protocol{}, tokens(oneToken))
	b.listener.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for range 100 {
		here, there := tcpPair(t)
		b.Accept(there, &b.listener)
		c := &client{Conn: here, in: bufio.NewReader(here)}
		c.hearEnd(t)
	}
	log := b.log.String()
	if strings.Count(log, "level=WARN") != 1 || !hasLine(log, []string{`msg="connection refused"`, "client=127.0.0.1", "none of the listener's networks"}) {
		t.Errorf("the log is:\n%s", log)
	}
}

// failingListener fails to accept for a while.
type failingListener struct {
	net.Listener
	failures int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

// A listener that can't accept for the moment is tried again.
func TestServeGoesOnAfterAnError(t *testing.T) {
	b := newBubble(t, pop3.Protocol{}, tokens(oneToken))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- b.Serve(&failingListener{ln, 3}, proxy.NewPort(&b.listener)) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	(&client{Conn: conn, in: bufio.NewReader(conn)}).hear(t, "+OK ")
	_ = ln.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// A panic ends its own session; what caused it doesn't reach the log, but
// where it was does.
func TestPanicEndsOneSession(t *testing.T) {
	b := newBubble(t, bare{}, nil)
	other := b.connect(t)
	other.hear(t, "ready")
	c := b.connect(t)
	c.hear(t, "ready")
	c.say(t, "panic\r\n")
	c.hearEnd(t)
	other.say(t, "alice Secret\r\n")
	other.hear(t, "no: bad credentials")
	other.say(t, "goodbye\r\n")
	b.stop()
	log := b.log.String()
	if !strings.Contains(log, "please report it") || !strings.Contains(log, "ReadCredentials") {
		t.Errorf("the log doesn't tell where:\n%s", log)
	}
	if strings.Contains(log, password) || strings.Contains(log, "on demand") {
		t.Errorf("the log tells what:\n%s", log)
	}
}

// When too many passwords wait to be checked, the next client hears so, and not
// that its password is wrong.
func TestTooManyLoginsAtOnce(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost) // a tenth of a second
	if err != nil {
		t.Fatal(err)
	}
	directory, err := accounts.New([]accounts.Account{{Mailbox: mailbox, Logins: []accounts.Login{{User: "alice", PasswordHash: string(hash)}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBubble(t, bare{}, nil)
	b.Server = proxy.NewServer(proxy.Options{Settings: proxy.Settings{Accounts: directory, UpstreamTLS: new(tls.Config)}, Log: b.logger()})
	const enough = 1000 // more than may wait
	var clients sync.WaitGroup
	defer clients.Wait()
	busy := make(chan struct{}, enough)
	for i := 0; len(busy) == 0; i++ {
		if i == enough {
			t.Fatal("nobody hears that there are too many")
		}
		c := b.connectFrom(t, netip.AddrFrom4([4]byte{192, 0, byte(i / 256), byte(i % 256)}))
		c.hear(t, "ready")
		c.say(t, "alice Secret\r\n")
		clients.Go(func() {
			if line, _ := c.in.ReadString('\n'); line == "no: busy\r\n" {
				busy <- struct{}{}
			}
		})
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	b.Shutdown(now)
}

// The proxy stops at once, when it has to, whatever its sessions are at.
func TestShutdownInEveryState(t *testing.T) {
	const toDATA = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
	tests := []struct {
		name     string
		protocol proxy.Protocol
		options  stage.Options
		says     string
		hears    string // so that the state is reached; its last line
		then     string // is said when that has been heard
		upstream func(conn *tls.Conn)
	}{
		{"before a handshake", pop3.Protocol{}, stage.Options{"listener": "implicit"}, "", "", "", nil},
		{"waiting for a handshake or not", pop3.Protocol{}, stage.Options{"listener": "auto"}, "", "", "", nil},
		{"after STLS", pop3.Protocol{}, stage.Options{"listener": "starttls"}, "STLS\r\n", "+OK Begin", "", nil},
		{"in a command", pop3.Protocol{}, nil, "CAP", "+OK ", "", nil},
		{"in AUTH", pop3.Protocol{}, nil, "AUTH LOGIN\r\n", "+ ", "", nil},
		{"in a literal", imap.Protocol{}, nil, "a LOGIN {5}\r\nal", "+ ", "", nil},
		{"in a handshake with the upstream", pop3.Protocol{}, stage.Options{"upstream": "deaf"}, popLogin, "+OK Now", "", nil},
		{"before the upstream's greeting", pop3.Protocol{}, nil, popLogin, "+OK Now", "", func(conn *tls.Conn) { speeches[1].play(conn, 0) }},
		{"before the upstream's verdict", pop3.Protocol{}, nil, popLogin, "+OK Now", "", func(conn *tls.Conn) { speeches[1].play(conn, 2) }},
		{"in a relay", pop3.Protocol{}, nil, popLogin, "+OK Logged in", "", func(conn *tls.Conn) { speeches[1].play(conn, 3) }},
		{"in a relay that is stuck", pop3.Protocol{}, nil, popLogin, "+OK Logged in", "", func(conn *tls.Conn) {
			popAccept(conn)
			_, _ = io.Copy(conn, endless{})
		}},
		{"between two messages", smtp.Protocol{}, nil, stageAuth, "235 ", "", mailServer("")},
		{"before a recipient's verdict", smtp.Protocol{}, nil, stageAuth + toDATA, "", "", mailServer("RCPT")},
		{"before DATA's answer", smtp.Protocol{}, nil, stageAuth + toDATA, "", "", mailServer("DATA")},
		{"in a message", smtp.Protocol{}, nil, stageAuth + toDATA, "354 ", "half a mess", mailServer("")},
		{"before the message's verdict", smtp.Protocol{}, nil, stageAuth + toDATA, "354 ", "hello\r\n.\r\n", mailServer(".")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := stage.New(t, test.protocol, test.options)
			if test.upstream != nil {
				s.PlayUpstream(test.upstream)
			}
			c := stageClient(t, s)
			c.say(t, test.says)
			for line := ""; test.hears != "" && !strings.HasPrefix(line, test.hears); {
				var err error
				if line, err = c.in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			c.say(t, test.then)
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				s.Shutdown(true)
			}()
			select {
			case <-stopped:
			case <-time.After(stage.Patience):
				t.Fatal("the proxy doesn't stop")
			}
		})
	}
}

// popAccept is a POP3 upstream up to its acceptance of the token.
func popAccept(conn *tls.Conn) {
	in := bufio.NewReader(conn)
	for _, reply := range speeches[1].upstream {
		if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
			return
		}
		if reply == "+OK" {
			return
		}
		if _, err := in.ReadString('\n'); err != nil {
			return
		}
	}
}

var stageAuth = "AUTH PLAIN AGFsaWNlQGNvbnRvc28uZXhhbXBsZQBacTgtZmVuay1SdXoh\r\n" // stage.User, stage.Password

// mailServer returns an upstream that accepts everything, but falls silent at
// a line that begins with the word.
func mailServer(silentAt string) func(conn *tls.Conn) {
	return func(conn *tls.Conn) {
		in := bufio.NewReader(conn)
		replies := speeches[2].upstream
		for i := 0; ; i++ {
			reply := "250 ok"
			if i < len(replies) {
				reply = replies[i]
			}
			if _, err := fmt.Fprintf(conn, "%s\r\n", reply); err != nil {
				return
			}
			line, err := in.ReadString('\n')
			if line == "DATA\r\n" && silentAt != "DATA" {
				_, _ = io.WriteString(conn, "354 go\r\n")
				for err == nil && line != ".\r\n" {
					line, err = in.ReadString('\n')
				}
			}
			if err != nil || silentAt != "" && strings.HasPrefix(line, silentAt) {
				_, _ = io.Copy(io.Discard, in)
				return
			}
		}
	}
}

// The log at debug level holds the dialogues with both sides, and of what is
// secret ***: that nothing else of it is there is checked after each story.
func TestLogHoldsTheDialogue(t *testing.T) {
	s := stage.New(t, smtp.Protocol{}, nil)
	s.PlayUpstream(mailServer(""))
	heard := s.Converse(t, []byte("EHLO laptop\r\n"+stageAuth+"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nthe message\r\n.\r\nQUIT\r\n"))
	if !strings.HasSuffix(heard, "354 go\r\n250 ok\r\n221 2.0.0 Goodbye\r\n") {
		t.Fatalf("heard %q", heard)
	}
	s.Shutdown(false)
	log := s.Log.String()
	for _, want := range [][]string{
		{"msg=dialogue", `side=client direction=<`, `line="EHLO laptop"`},
		{"msg=dialogue", `side=client direction=<`, `line="AUTH ***"`},
		{"msg=dialogue", `side=client direction=>`, `line="235 2.7.0 Authentication successful"`},
		{"msg=dialogue", `side=upstream direction=>`, `line="AUTH XOAUTH2"`},
		{"msg=dialogue", `side=upstream direction=>`, `line=***`},
		{"msg=dialogue", `side=upstream direction=<`, `line="235 ok"`},
		{`msg="logged in"`, "login=" + stage.User, "account=" + stage.Mailbox},
		{"msg=dialogue", `side=client direction=<`, `line="MAIL FROM:<a@b.example>"`},
		{`msg="message relayed"`, `verdict="250 ok"`},
		{`msg="session closed"`, "duration_ms="},
	} {
		if !hasLine(log, append(want, "session=", "protocol=smtp", "client=127.0.0.1")) {
			t.Errorf("the log has no line with %q", want)
		}
	}
	if strings.Contains(log, "the message") {
		t.Error("the log holds the message")
	}
}

// hasLine tells whether a line of the log holds all the pieces.
func hasLine(log string, pieces []string) bool {
	for line := range strings.Lines(log) {
		lacks := func(piece string) bool { return !strings.Contains(line, piece) }
		if !slices.ContainsFunc(pieces, lacks) {
			return true
		}
	}
	return false
}

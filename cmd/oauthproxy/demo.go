package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"oauthproxy/config"
	"oauthproxy/internal/sandbox"
)

// demoUser is who sends and reads in the demo.
const demoUser = "alice@" + sandbox.Domain

// demoTimeout bounds the conversation of the demo.
const demoTimeout = time.Minute

// demo shows the whole of it on this machine alone: stand-ins for Entra ID and
// Exchange, the proxy before them, and a program that knows only a password.
func demo(ctx context.Context, args []string, u *ui) int {
	o := newOptions("demo", u)
	once := o.Bool("once", false, "end after the conversation: status 0 if all went well, else 1")
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	s, err := newStandIn()
	if err != nil {
		return u.fail(err)
	}
	defer s.close()
	story := &story{ui: u}
	p, err := startDemo(s, slog.New(story), *once)
	if err != nil {
		return u.fail(err)
	}
	ctx, stop := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() { p.serve(ctx, nil); close(served) }()
	defer func() { stop(); <-served }()

	story.introduce(s, p)
	if err := converse(ctx, s, p, story); err != nil {
		u.say("the demo failed: %v", err)
		return exitFailed
	}
	u.result("\nAll well: what was sent by SMTP was read by IMAP and by POP3, byte for byte.")
	if *once {
		return exitWell
	}
	story.invite(s, p)
	<-ctx.Done()
	return exitWell
}

// startDemo builds the proxy through a real configuration. Its usual ports are
// easier to type, but may be taken.
func startDemo(s *standIn, log *slog.Logger, once bool) (*service, error) {
	tries := []ports{usualPorts, anyPorts}
	if once {
		tries = tries[1:]
	}
	var err error
	for _, p := range tries {
		var c *config.Config
		if c, err = s.load(p); err != nil {
			return nil, err
		}
		var running *service
		if running, err = newService(c, log, new(slog.LevelVar)); err == nil {
			return running, nil
		}
	}
	return nil, err
}

// converse sends a message and reads it back twice.
func converse(ctx context.Context, s *standIn, p *service, story *story) error {
	message := demoMessage()
	deadline := time.Now().Add(demoTimeout)
	steps := []struct {
		title, protocol string
		run             func(net.Conn, string, []byte) error
	}{
		{"A program that only knows a password sends a message by SMTP", config.SMTP, demoSend},
		{"It reads the message back by IMAP", config.IMAP, demoReadIMAP},
		{"It reads the message back by POP3", config.POP3, demoReadPOP3},
	}
	for i, step := range steps {
		story.chapter(i+1, step.title)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address(step.protocol))
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(deadline)
		err = step.run(conn, s.password.Reveal(), message)
		_ = conn.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", step.protocol, err)
		}
		story.done(step.protocol, len(message))
	}
	return nil
}

// demoMessage holds what careless relays change: lines that begin with dots,
// trailing blanks, 8-bit text.
func demoMessage() []byte {
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: Hello from a program without OAuth2\r\n"+
		"Date: %s\r\nMessage-ID: <%d.demo@%s>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"+
		"Grüße! The next lines begin with dots and end with blanks:\r\n.\r\n..\r\n.three   \r\n\r\nGoodbye.\r\n",
		demoUser, demoUser, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), sandbox.Domain)
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"

	"oauthproxy/config"
)

// story is a log that people can read: it shows who says what, as the proxy
// traces it. What is secret is *** in it, as everywhere.
type story struct {
	ui *ui
	mu sync.Mutex
}

// speakers are the traced directions, in the words of somebody who watches.
var speakers = map[string]string{
	"client <":   "program    -> oauthproxy",
	"client >":   "program    <- oauthproxy",
	"upstream >": "oauthproxy -> Exchange  ",
	"upstream <": "oauthproxy <- Exchange  ",
}

// widest is where a line of the story is cut.
const widest = 76

// Enabled lets everything through: the story is made of traces.
func (s *story) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs ignores the attributes: only one session is told of at a time.
func (s *story) WithAttrs([]slog.Attr) slog.Handler { return s }

// WithGroup ignores the group.
func (s *story) WithGroup(string) slog.Handler { return s }

// Handle writes a traced line, and what else a person would want to know.
func (s *story) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "dialogue" {
		traced := attributes(r)
		s.line("   %s  %s", speakers[traced["side"]+" "+traced["direction"]], cut(traced["line"], widest))
		return nil
	}
	if r.Level >= slog.LevelInfo && strings.Contains(r.Message, "token") {
		s.line("   oauthproxy <- Entra ID    an access token for the mailbox")
	}
	if r.Level >= slog.LevelWarn {
		s.line("   ! %s", r.Message)
	}
	return nil
}

// attributes are those of a line of the log.
func attributes(r slog.Record) map[string]string {
	all := make(map[string]string)
	r.Attrs(func(a slog.Attr) bool {
		all[a.Key] = a.Value.String()
		return true
	})
	return all
}

func (s *story) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ui.result(format, args...)
}

func (s *story) introduce(in *standIn, p *service) {
	s.line("Everything runs on this machine; no Microsoft account is needed.")
	s.line("")
	s.line("   stand-in Entra ID   %s", in.Authority())
	s.line("   stand-in Exchange   IMAP %s, POP3 %s, SMTP %s", in.IMAP(), in.POP3(), in.SMTP())
	s.line("   oauthproxy          IMAP %s, POP3 %s, SMTP %s",
		p.address(config.IMAP), p.address(config.POP3), p.address(config.SMTP))
}

func (s *story) chapter(number int, title string) {
	s.line("\n%d. %s\n", number, title)
}

func (s *story) done(protocol string, size int) {
	if protocol == config.SMTP {
		s.line("   = Exchange has accepted the message, %d bytes", size)
		return
	}
	s.line("   = from the login on, bytes pass unchanged: the message of %d bytes came back the same", size)
}

// invite tells how to go on by hand.
func (s *story) invite(in *standIn, p *service) {
	var b strings.Builder
	b.WriteString("\nNow point your own mail program at it (no encryption, this machine alone):\n\n")
	for _, protocol := range []string{config.IMAP, config.POP3, config.SMTP} {
		host, port, _ := net.SplitHostPort(p.address(protocol))
		fmt.Fprintf(&b, "   %-5s  host %s  port %s\n", strings.ToUpper(protocol), host, port)
	}
	fmt.Fprintf(&b, "   user      %s\n   password  %s\n\nCtrl-C ends it.", demoUser, in.password.Reveal())
	s.line("%s", b.String())
}

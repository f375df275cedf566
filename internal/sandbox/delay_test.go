package sandbox

import (
	"bufio"
	"crypto/tls"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestDelays checks the pauses that the stand-in makes, in a bubble where time
// passes at once.
func TestDelays(t *testing.T) {
	const refused = "\nS~ 535 .*"
	tests := []struct {
		name     string
		opts     Options
		serve    func(*Sandbox, *lineConn)
		dialogue string
		want     time.Duration
	}{
		{"no delay", Options{}, (*Sandbox).serveSMTP, "S~ 220 .*\nC: EHLO bad_name\nS~ 501 .*", 0},
		{"idle client", Options{}, (*Sandbox).serveSMTP,
			"S~ 220 .*\nS: 451 4.7.0 Timeout waiting for client input\nEOF:", readTimeout},
		{"bad EHLO", Options{BadHelloDelay: 5 * time.Second}, (*Sandbox).serveSMTP,
			"S~ 220 .*\nC: EHLO bad_name\nS~ 501 .*", 5 * time.Second},
		{"password, SMTP", Options{PasswordDelay: 17 * time.Second}, (*Sandbox).serveSMTP,
			smtpHello + "C: AUTH LOGIN eA==\nS: 334 UGFzc3dvcmQ6\nC: eA==" + refused, 17 * time.Second},
		{"password, IMAP", Options{PasswordDelay: 17 * time.Second}, serveTLS((*Sandbox).serveIMAP),
			"TLS:" + imapHello + "C: A1 LOGIN a b\nS~ A1 NO .*", 17 * time.Second},
		{"password, POP3", Options{PasswordDelay: 17 * time.Second}, serveTLS((*Sandbox).servePOP3),
			"TLS:" + pop3Hello + "C: AUTH PLAIN eA==\nS~ -ERR .*", 17 * time.Second},
		{"slow@, one line", Options{SlowDelay: time.Minute}, (*Sandbox).serveSMTP,
			as("slow", smtpAccepted), time.Minute},
		{"slow@, five lines", Options{SlowDelay: time.Minute}, serveTLS((*Sandbox).servePOP3),
			"TLS:" + as("slow", pop3Accepted) + "\nC: LIST\nS: +OK 0 0\nS: .\nC: NOOP\nS: +OK\nC: STAT\nS: +OK 0 0", 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pipePeer(t, tt.opts, tt.serve)
				begin := time.Now()
				p.talk(tt.dialogue)
				if took := time.Since(begin); took != tt.want {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// serveTLS is serve behind implicit TLS.
func serveTLS(serve func(*Sandbox, *lineConn)) func(*Sandbox, *lineConn) {
	return func(s *Sandbox, c *lineConn) {
		c.startTLS(s.tls)
		serve(s, c)
	}
}

// pipePeer connects a peer with one protocol of a sandbox that has no
// listeners.
func pipePeer(t *testing.T, opts Options, serve func(*Sandbox, *lineConn)) *peer {
	t.Helper()
	root, certificate, err := newCertificates("test")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sandbox{opts: opts, log: slog.New(slog.DiscardHandler), caPEM: root,
		tls: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	if s.issuer, err = newIssuer(0); err != nil {
		t.Fatal(err)
	}
	s.addMailboxes()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	go func() {
		c := newLineConn(t.Context(), pipeAddress{server})
		serve(s, c)
		c.w.Flush()
		server.Close()
	}()
	return &peer{t: t, s: s, conn: client, r: bufio.NewReader(client)}
}

// pipeAddress gives a pipe the address of a client.
type pipeAddress struct{ net.Conn }

func (pipeAddress) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

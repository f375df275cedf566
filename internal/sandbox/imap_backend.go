package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// imapBackend is go-imap's server, which gets a connection once somebody has
// logged in.
type imapBackend struct {
	sandbox *Sandbox
	server  *imapserver.Server
	conns   chan net.Conn

	mu       sync.Mutex
	sessions map[*imapConn]struct{}
}

func (s *Sandbox) newIMAPBackend() *imapBackend {
	b := &imapBackend{sandbox: s, conns: make(chan net.Conn), sessions: map[*imapConn]struct{}{}}
	b.server = imapserver.New(&imapserver.Options{
		NewSession: func(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			conn := c.NetConn().(*imapConn)
			return &imapSession{mailbox: conn.login.mailbox, conn: conn}, &imapserver.GreetingData{PreAuth: true}, nil
		},
		Caps: imap.CapSet{
			imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {},
			imap.CapMove: {}, imap.CapLiteralPlus: {}, imap.CapChildren: {},
		},
		Logger: imapLogger{s.log},
	})
	// The server ends with Accept, its connections with those of the sandbox.
	s.running.Go(func() { b.server.Serve(b) })
	return b
}

// serve lets go-imap's server speak with a client that has logged in, and
// returns when the session has ended.
func (b *imapBackend) serve(c *lineConn, l login) {
	if err := c.w.Flush(); err != nil {
		return
	}
	conn := newIMAPConn(c, l)
	b.mu.Lock()
	b.sessions[conn] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.sessions, conn)
		b.mu.Unlock()
	}()

	select {
	case b.conns <- conn:
		stop := conn.endAt(l.token.expires())
		defer stop()
		<-conn.ended
	case <-b.sandbox.ctx.Done():
	}
}

// expireAll ends every session as if its token had run out.
func (b *imapBackend) expireAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.sessions {
		conn.expire()
	}
}

// Accept hands go-imap's server the next connection.
func (b *imapBackend) Accept() (net.Conn, error) {
	select {
	case conn := <-b.conns:
		return conn, nil
	case <-b.sandbox.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close has nothing to do: Accept ends with the sandbox.
func (b *imapBackend) Close() error { return nil }

// Addr exists for net.Listener's sake.
func (b *imapBackend) Addr() net.Addr { return &net.UnixAddr{Name: "imap", Net: "unix"} }

// imapLogger takes what go-imap's server logs: nearly all of it is about
// clients that left.
type imapLogger struct{ log *slog.Logger }

func (l imapLogger) Printf(format string, args ...any) {
	level := slog.LevelDebug
	if strings.HasPrefix(format, "panic") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "go-imap", "event", fmt.Sprintf(format, args...))
}

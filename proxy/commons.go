package proxy

import (
	"context"
	"io"
	"sync"

	"oauthproxy/internal/wire"
)

// commons holds what the sessions of a mailbox have in common, for each
// mailbox and protocol that has had one.
type commons struct {
	mu  sync.Mutex
	all map[commonKey]io.Closer
}

type commonKey struct{ account, protocol string }

// Common returns what the session has in common with all other sessions of its
// mailbox and protocol, on whatever listener: what the first of them has made.
// It is closed when the server has stopped and the last session has ended.
func (s *Session) Common(first func() io.Closer) io.Closer {
	c := &s.server.commons
	key := commonKey{s.Account, s.Protocol()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[commonKey]io.Closer)
	}
	if c.all[key] == nil {
		c.all[key] = first()
	}
	return c.all[key]
}

// close closes everything, side by side: each may have last words to say to
// somebody who doesn't listen.
func (c *commons) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var closing sync.WaitGroup
	for _, common := range c.all {
		closing.Go(func() { _ = common.Close() })
	}
	closing.Wait()
	clear(c.all)
}

// UntilStop returns a context that ends when the server begins to stop: what
// isn't open by then isn't needed.
func (s *Session) UntilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(s.server.opening, cancel)
	if s.server.stopping() {
		cancel() // AfterFunc takes its time
	}
	return ctx, func() { release(); cancel() }
}

// TraceUpstream makes the session's log tell what is said on an upstream
// connection, which may have been opened for another session.
func (s *Session) TraceUpstream(conn *wire.Conn) { conn.Trace = s.tracer("upstream") }

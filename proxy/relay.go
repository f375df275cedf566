package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"sync/atomic"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// relayIdle ends a session in which neither side has said anything for
	// so long. IMAP asks for 30 minutes at least (RFC 9051 section 5.4),
	// IDLE is renewed within 29 (RFC 2177), POP3 asks for 10 (RFC 1939
	// section 3).
	relayIdle = 65 * time.Minute
	// relayDrain is how long, without progress, one direction may go on
	// after the other has ended.
	relayDrain = 30 * time.Second
	// relayStall is how long one write may be stuck in a peer that does not
	// read.
	relayStall = 10 * time.Minute
	// relayQuiet is the pause after which a session may be cut when the
	// proxy stops, if the upstream has spoken last and to the end of a line:
	// a command that waits for its answer, or half a message, isn't cut
	// before relayDrain.
	relayQuiet = time.Second
	// maxUnheard is how much the upstream may still say, in bytes, to a
	// client that has gone.
	maxUnheard = 1 << 20
)

var (
	errIdle = fmt.Errorf("nothing was said for %v", relayIdle)
	// errQuiet ends a direction that had to end at its next pause.
	errQuiet = errors.New("quiet")
)

// relay copies bytes both ways until both sides have ended. It changes,
// inserts and keeps nothing.
type relay struct {
	client, upstream *wire.Conn
	lastMoved        atomic.Int64 // Unix nanoseconds
	halfDone         atomic.Bool  // one direction has ended
	gone             atomic.Bool  // the client has, and hears nothing any more
	asked            atomic.Bool  // somebody is in the middle of something: an answer is due, or a line's end
	up, down         *atomic.Int64
	tally            *tally

	// lastWords are the upstream's; explain makes of them why it was the first
	// to end the session. left and why are valid when both directions have
	// ended.
	lastWords LastWords
	explain   func(broken error) *Failure
	left      bool // the upstream was the first to end
	why       *Failure
}

// LastWords listens to what the upstream says in a relayed session, to tell in
// the end why it has ended it. A client that goes first may leave the upstream
// in the middle of anything: then nobody asks.
type LastWords interface {
	// Hear is told what passes. p is the caller's.
	Hear(p []byte)
	// Lines returns the whole lines that were heard last, the newest at the
	// end.
	Lines() []string
	// Why reads these lines. It returns nil where the end was in good order.
	// No word of a message may get into it, or decide about a mailbox.
	Why(lines []string) *Failure
}

// Relay hands the session over to a byte relay between the client and the
// upstream, beginning with what either side has been heard saying already. An
// end of one side is passed on as an end of that direction alone.
func (s *Session) Relay(ctx context.Context, upstream *wire.Conn, lastWords LastWords) error {
	defer upstream.Abort()
	stop := context.AfterFunc(ctx, upstream.Abort)
	defer stop()
	fromClient, err := s.Client.Buffered()
	if err != nil {
		return err
	}
	fromUpstream, err := upstream.Buffered()
	if err != nil {
		return err
	}
	r := &relay{client: s.Client, upstream: upstream, lastWords: lastWords, up: &s.up, down: &s.down, tally: s.tally}
	s.relayed.Store(true)
	r.explain = func(broken error) *Failure {
		if ctx.Err() != nil {
			return nil
		}
		return s.explain(lastWords.Why(s.redacted(lastWords.Lines())), broken)
	}
	r.moves()
	down := make(chan error, 1)
	go func() { down <- r.toClient(fromUpstream) }()
	upErr := r.toUpstream(fromClient)
	downErr := <-down
	switch {
	case r.why != nil:
		return r.why
	case r.left:
		return nil // what became of the client's words then is a consequence
	}
	return ended(upErr, downErr)
}

// redacted takes the access token out of what the upstream has said.
func (s *Session) redacted(lines []string) []string {
	for i, line := range lines {
		lines[i] = string(wire.Redact([]byte(line), s.token))
	}
	return lines
}

// explain completes and notes why the upstream has ended the session.
func (s *Session) explain(f *Failure, broken error) *Failure {
	if f == nil && broken != nil {
		f = Fail(UpstreamUnreachable, "the mail server's connection broke: %w", broken).explain()
		f.Lost = true
	}
	if f != nil {
		s.server.upstreams.sessionEnded(s, f)
	}
	return f
}

// ended joins the errors of both directions, but for what follows from our own
// closing.
func ended(up, down error) error {
	switch {
	case errors.Is(up, errIdle), errors.Is(down, errIdle):
		return errIdle
	case up != nil && errors.Is(down, net.ErrClosed):
		down = nil
	case down != nil && errors.Is(up, net.ErrClosed):
		up = nil
	}
	return errors.Join(named("client to upstream", up), named("upstream to client", down))
}

func named(direction string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("relay from %s: %w", direction, err)
}

// toUpstream moves what the client says.
func (r *relay) toUpstream(ahead []byte) error {
	err := r.move(r.client, r.upstream, ahead, r.up, &r.tally.up, r.saidByClient)
	unwritten := isUnwritten(err)
	if unwritten {
		// The upstream is gone, but what it has said before it went is
		// still on its way. The client is heard out meanwhile: closing on
		// unread input would be a reset, which drops what is under way.
		r.discard(r.client, math.MaxInt64)
	}
	r.end()
	switch {
	case errors.Is(err, errIdle):
		r.upstream.Abort()
	case !unwritten:
		// Also behind a client that has died: what it has said counts.
		r.gone.Store(unlessQuiet(err) != nil)
		closeWrite(r.upstream.NetConn())
	}
	r.wake(r.upstream)
	return unlessQuiet(err)
}

// toClient moves what the upstream says.
func (r *relay) toClient(ahead []byte) error {
	err := r.move(r.upstream, r.client, ahead, r.down, &r.tally.down, r.saidByUpstream)
	first := r.end()
	if !errors.Is(err, errIdle) && !errors.Is(err, errQuiet) {
		// Before the client hears the end: it may come back at once.
		if r.left = first && !isUnwritten(err); r.left {
			r.why = r.explain(err)
		}
	}
	r.wake(r.client)
	if !isUnwritten(err) {
		// Nothing can be said to the client inside a relayed stream, even
		// when the upstream's end was no proper one: it just ends.
		closeWrite(r.client.NetConn())
		return unlessQuiet(err)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		// The client has gone, perhaps in the same breath as its last
		// command: that is still passed on.
		r.discard(r.upstream, maxUnheard)
	}
	r.client.Abort()
	r.upstream.Abort()
	return err
}

// end notes that a direction has ended, and tells whether it is the first.
func (r *relay) end() (first bool) { return !r.halfDone.Swap(true) }

// wake makes the other direction, whose read of c may have been given an hour,
// look how things stand: when the proxy stops at once, else after a while.
func (r *relay) wake(c *wire.Conn) {
	deadline := time.Now()
	if !r.stopping() {
		deadline = deadline.Add(r.patience())
	}
	_ = c.NetConn().SetReadDeadline(deadline)
}

func unlessQuiet(err error) error {
	if errors.Is(err, errQuiet) {
		return nil
	}
	return err
}

func (r *relay) saidByClient([]byte) { r.asked.Store(true) }

func (r *relay) saidByUpstream(p []byte) {
	r.asked.Store(p[len(p)-1] != '\n')
	r.lastWords.Hear(p)
}

// patience is how long the session may be idle as things stand.
func (r *relay) patience() time.Duration {
	switch {
	case r.gone.Load(), r.stopping() && !r.asked.Load():
		return relayQuiet
	case r.stopping(), r.halfDone.Load():
		return relayDrain
	}
	return relayIdle
}

// stopping tells whether the proxy wants the session to end at its next pause.
func (r *relay) stopping() bool { return r.client.Interrupted() }

// closeWrite ends our side of a connection and leaves the peer's open.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

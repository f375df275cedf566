package smtp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// maxChunkDigits bounds the size of a chunk as it is written: 10 GB are more
// than any server takes, and no reason to give up.
const maxChunkDigits = 10

// chunk is the argument of BDAT (RFC 3030 section 2).
type chunk struct {
	size int64
	last bool
}

// parseChunk reads "SIZE" or "SIZE LAST".
func parseChunk(argument string) (c chunk, ok bool) {
	fields := strings.Fields(argument)
	switch {
	case len(fields) == 2 && strings.EqualFold(fields[1], "LAST"):
		c.last = true
	case len(fields) != 1:
		return chunk{}, false
	}
	digits := fields[0]
	if len(digits) > maxChunkDigits || strings.Trim(digits, "0123456789") != "" {
		return chunk{}, false
	}
	c.size, _ = strconv.ParseInt(digits, 10, 64)
	return c, true
}

// String returns the command.
func (c chunk) String() string {
	if c.last {
		return fmt.Sprintf("BDAT %d LAST", c.size)
	}
	return fmt.Sprintf("BDAT %d", c.size)
}

// bdat passes a chunk of the message on, and the upstream's reply back. The
// chunk follows the command whatever we answer, so it is always read.
func (d *dialogue) bdat(argument string) error {
	c, ok := parseChunk(argument)
	if !ok {
		// Where the next command begins isn't known.
		d.client.Printf("501 5.5.4 The form is BDAT size or BDAT size LAST (session %s)", d.session.ID)
		return io.EOF
	}
	d.client.Shield(true)
	defer d.client.Shield(false)
	if d.tx.mail != "" && d.tx.refusal == nil && d.tx.failure == nil && d.tx.accepted > 0 && d.offersChunks() {
		return d.passChunk(c)
	}
	s := &chunkStream{client: d.client, left: c.size}
	if err := s.run(nil); err != nil {
		return err
	}
	switch {
	case d.tx.mail == "":
		return d.nonsense("503 5.5.1 MAIL comes first")
	case d.answered(1):
		return nil
	case d.tx.accepted == 0:
		return d.nonsense("554 5.5.1 No valid recipients")
	}
	return d.nonsense("502 5.5.1 CHUNKING is not offered")
}

// offersChunks tells whether the client has been told that it may send chunks,
// or may be as far as the connection is concerned.
func (d *dialogue) offersChunks() bool {
	return d.takesAsItIs() && (offers(d.offered, "CHUNKING") || d.tx.up != nil && d.tx.up.chunking)
}

// passChunk passes a chunk that is due.
func (d *dialogue) passChunk(c chunk) error {
	if d.tx.chunks == 0 {
		d.tx.begun = time.Now()
		if err := d.paceMailbox(); err != nil {
			return d.refuseChunk(c, err)
		}
		if !d.tx.up.chunking {
			return d.refuseChunk(c, proxy.Fail(proxy.UpstreamProtocol, "this connection doesn't offer CHUNKING, another did"))
		}
	}
	d.tx.chunks++
	d.tx.size += c.size
	s := &chunkStream{client: d.client, left: c.size, waits: d}
	r, err := s.pass(c, d.tx.up)
	log := d.messageLog(d.tx.size, d.tx.begun)
	switch {
	case errors.Is(err, errClient):
		d.tx.abort() // in the middle of a chunk: nothing is delivered
		log.Warn("message not sent", "verdict", "none", "cause", err)
		d.count(proxy.Unfinished)
		return err
	case err != nil:
		if err = d.messageFailed(log, err, s.left == 0 && c.last); c.last {
			d.tx = transaction{} // the message has had its answer
		}
		return err
	}
	d.relayReply(r)
	switch {
	case c.last:
		log.Info("message relayed", verdictOf(r)...)
		d.countVerdict(r, d.tx.size, d.tx.begun)
		d.end(r, false)
	case !r.positive():
		// Whatever the upstream makes of the chunks that follow, without
		// this one they aren't the message (RFC 3030 section 2).
		log.Info("message refused", verdictOf(r)...)
		d.countVerdict(r, d.tx.size, d.tx.begun)
		d.tx.refuse(r)
	}
	return nil
}

// refuseChunk answers a chunk that may not go on, behind its last byte.
func (d *dialogue) refuseChunk(c chunk, cause error) error {
	if !errors.Is(cause, errClientLeft) {
		s := &chunkStream{client: d.client, left: c.size}
		if err := s.run(nil); err != nil {
			return err
		}
	}
	return d.held(cause)
}

// refuse makes r the answer to all that follows in the transaction, and gives
// its connection back.
func (t *transaction) refuse(r reply) {
	mail := t.mail
	if r.code == 421 {
		t.abort()
	} else {
		t.reset()
	}
	t.mail, t.refusal = mail, &r
}

// chunkStream is a chunk on its way.
type chunkStream struct {
	client *wire.Conn
	left   int64
	waits  *dialogue // as a stream's
}

// pass sends the chunk upstream and returns the reply. If the upstream goes
// away meanwhile, the client is heard out.
func (s *chunkStream) pass(c chunk, up *upstream) (reply, error) {
	if up.conn.HasLine() {
		if err := s.run(nil); err != nil {
			return reply{}, err
		}
		return reply{}, errUnasked
	}
	up.conn.Printf("%s", c)
	lost := up.conn.Flush()
	err := s.run(func(block []byte) {
		if lost == nil {
			_, lost = up.conn.Write(block)
		}
	})
	switch {
	case err != nil:
		return reply{}, err
	case lost == nil:
		return readVerdict(up.conn)
	}
	// It may have said why it takes no more.
	if r, err := readReply(up.conn); err == nil && r.code >= 400 {
		return r, nil
	}
	return reply{}, lost
}

// run reads the chunk, block by block; take may be nil.
func (s *chunkStream) run(take func(block []byte)) error {
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	for s.left > 0 {
		n, err := receive(s.client, buffer[:min(s.left, streamBuffer)], s.waits)
		if err != nil {
			return err
		}
		s.left -= int64(n)
		if take != nil {
			take(buffer[:n])
		}
	}
	return nil
}

package smtp

import (
	"bytes"
	"errors"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// errUnasked means that the upstream has said something in the middle of a
// transaction, to no command: that it closes.
var errUnasked = errors.New("the upstream has said something unasked")

// sendCollected sends a message whose 354 was ours. What fits into a buffer
// goes as one BDAT, which saves the round trip of DATA; what doesn't, or holds
// line ends of which BDAT and DATA may make something different, goes by DATA
// with the bytes as they came.
func (d *dialogue) sendCollected(s *stream) (reply, error) {
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	died, err := d.collect(s, buffer[:])
	if err != nil {
		return reply{}, err
	}
	verdict, err := d.deliver(s, died)
	if errors.Is(err, errClient) || errors.Is(err, errAmbiguous) || errors.Is(err, errTooLarge) {
		return reply{}, err
	}
	if err := s.drain(); err != nil {
		return reply{}, err
	}
	return verdict, err
}

// collect reads the message until it ends or the buffer is full. Meanwhile the
// upstream is watched; a client that takes its time lends it to others.
func (d *dialogue) collect(s *stream, buffer []byte) (died, err error) {
	s.waits = nil
	defer func() { s.waits = d }()
	d.tx.up.watch()
	d.silent(d.tx.canRepeat())
	err = s.collect(buffer)
	if d.heard(); d.tx.up != nil {
		died = d.tx.up.rouse()
	}
	return died, err
}

// collect reads the message until it ends or the buffer is full.
func (s *stream) collect(buffer []byte) error {
	for s.held = buffer[:0]; len(s.held) < len(buffer) && !s.heard; {
		block, err := s.read(buffer[len(s.held):])
		if err != nil {
			return err
		}
		s.held = append(s.held, block...) // where it is already, unless it has been edited
	}
	return nil
}

// deliver brings a message upstream that has been collected, or its beginning.
// The transaction is still replayed if the upstream has died, as nothing of
// the message has been sent.
func (d *dialogue) deliver(s *stream, died error) (reply, error) {
	if died != nil {
		if err := d.replay(died); err != nil {
			return reply{}, err
		}
	}
	d.tx.heard = s.heard
	if err := d.resume(turnTimeout); err != nil {
		return reply{}, err
	}
	if !s.heard || !hasCleanLines(s.held) || !d.tx.up.chunking {
		return d.deliverByDATA(s)
	}
	text := unstuff(s.held)
	err := d.insist(func(up *upstream) error {
		if !up.chunking {
			return proxy.Fail(proxy.UpstreamProtocol, "CHUNKING is not offered any more")
		}
		s.sent = true
		return s.chunk(up.conn, text)
	})
	if err != nil {
		return reply{}, err
	}
	return readVerdict(d.tx.up.conn)
}

// chunk sends the message as the one chunk that it is (RFC 3030 section 2).
// Only when the last byte has been sent is it complete: a connection that takes
// no more has not delivered it.
func (s *stream) chunk(up *wire.Conn, text []byte) error {
	up.Printf("BDAT %d LAST", len(text))
	if _, err := up.Write(text); err != nil {
		return err
	}
	s.complete = true
	return nil
}

// deliverByDATA sends the message by DATA. If the upstream refuses that, its
// refusal is the verdict: the client, which has had a 354 from us, hears it
// behind its message.
func (d *dialogue) deliverByDATA(s *stream) (reply, error) {
	r, err := d.askDATA()
	if err != nil || r.code != 354 {
		return r, err
	}
	s.sent = true
	return s.relay(d.tx.up.conn)
}

// askDATA returns the upstream's 354 or its refusal.
func (d *dialogue) askDATA() (r reply, err error) {
	err = d.insist(func(up *upstream) error {
		replies, err := up.ask("DATA")
		if err == nil {
			r = replies[0]
		}
		return err
	})
	if err == nil && r.code < 400 && r.code != 354 {
		err = proxy.Fail(proxy.UpstreamProtocol, "reply to DATA: %s", proxy.Sanitize([]byte(r.lines[0])))
	}
	return r, err
}

// endOfData is the line that ends a message.
var endOfData = []byte(".\r\n")

// hasCleanLines tells whether every CR and every LF is part of a CRLF.
func hasCleanLines(message []byte) bool {
	ends := bytes.Count(message, []byte("\r\n"))
	return bytes.Count(message, []byte("\n")) == ends && bytes.Count(message, []byte("\r")) == ends
}

// unstuff returns the message itself: without the end of the data and without
// the first dot of each line that begins with one (RFC 5321 section 4.5.2).
func unstuff(message []byte) []byte {
	text := bytes.TrimSuffix(message, endOfData)
	text = bytes.TrimPrefix(text, []byte("."))
	return bytes.ReplaceAll(text, []byte("\r\n."), []byte("\r\n"))
}

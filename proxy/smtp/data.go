package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

const (
	streamBuffer = 64 << 10
	// blockTimeout is for one block of the message to arrive or to get
	// through: RFC 5321 section 4.5.3.2.5 asks for 3 minutes.
	blockTimeout = 5 * time.Minute
)

var streamBuffers = sync.Pool{New: func() any { return new([streamBuffer]byte) }}

var (
	// errClient means that the client has gone in the middle of a message, or
	// has fallen silent.
	errClient = errors.New("the client hasn't sent its message to the end")
	// errAmbiguous means that two servers may disagree on where the message
	// ends.
	errAmbiguous = errors.New("the message holds what some servers take for its end (a line of one dot with a bare LF)")
)

// errTooLarge means that the message is larger than its login may send.
var errTooLarge = errors.New("the message is larger than the login's max_message_size")

// stream is one message on its way from the client. It is relayed as it comes:
// nothing is un-stuffed, stuffed or held, but for what collect has taken.
type stream struct {
	client *wire.Conn
	scan   *scanner
	held   []byte // what has come and hasn't gone upstream yet
	heard  bool   // the client has said all of it
	limit  int64  // bytes; 0: none
	editor *editor
	waits  *dialogue // lets others have the connection if the client is silent; may be nil
	tail   []byte    // may belong to the end of the data: not edited yet

	size     int64 // of the message itself, without what DATA adds to it
	newLine  bool  // what comes next begins a line
	sent     bool  // the upstream has heard of it
	complete bool  // the end of the data has gone upstream
	early    bool  // the upstream's reply came before that
}

func newStream(client *wire.Conn) *stream {
	return &stream{client: client, scan: newScanner(), newLine: true}
}

// relay passes the message on after the upstream's 354, and returns the
// upstream's verdict.
func (s *stream) relay(up *wire.Conn) (reply, error) {
	up.Watch()
	last, err := s.body(up)
	spoke, upErr := up.Unwatch()
	if err != nil && !errors.Is(err, errUpstream) {
		return reply{}, err
	}
	switch {
	case spoke:
		return s.earlyVerdict(up)
	case upErr != nil:
		return reply{}, upErr
	case err != nil:
		return reply{}, err
	}
	if _, err := up.Write(last); err != nil {
		return reply{}, err
	}
	s.complete = true
	return readVerdict(up)
}

var errUpstream = errors.New("the upstream takes no more")

// body passes the message on up to its last block, which it returns. If the
// upstream goes away meanwhile, the client is still heard out: it listens for
// a reply only at the end.
func (s *stream) body(up *wire.Conn) (last []byte, err error) {
	if s.heard {
		return s.held, nil
	}
	var lost error
	pass := func(block []byte) {
		if lost == nil {
			if _, err := up.Write(block); err != nil {
				lost = fmt.Errorf("%w: %w", errUpstream, err)
			}
		}
	}
	if len(s.held) > 0 {
		pass(s.held)
	}
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	for {
		block, err := s.read(buffer[:])
		switch {
		case err != nil:
			return nil, err
		case s.heard:
			return bytes.Clone(block), lost
		}
		pass(block)
	}
}

// drain hears the client out, when nobody wants its message any more.
func (s *stream) drain() error {
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	for !s.heard {
		if _, err := s.read(buffer[:]); err != nil {
			return err
		}
	}
	return nil
}

// read reads a block of the message. What stands behind its end is left.
func (s *stream) read(buffer []byte) (block []byte, err error) {
	n, err := receive(s.client, buffer, s.waits)
	if err != nil {
		return nil, err
	}
	end, err := s.scan.next(buffer[:n])
	if err != nil {
		return nil, err
	}
	if end >= 0 {
		s.heard = true
		s.client.Unread(buffer[end:n])
		n = end
	}
	s.count(buffer[:n])
	if s.isTooLarge() {
		return nil, errTooLarge
	}
	return s.edited(buffer[:n]), nil
}

// count adds a block to the size: without the dots that DATA puts before those
// at the beginning of a line, and without the line that ends it (RFC 5321 section
// 4.5.2).
func (s *stream) count(block []byte) {
	if len(block) == 0 {
		return
	}
	s.size += int64(len(block) - bytes.Count(block, []byte("\n.")))
	if s.newLine && block[0] == '.' {
		s.size--
	}
	if s.newLine = block[len(block)-1] == '\n'; s.heard {
		s.size -= int64(len(endOfData) - 1) // its dot hasn't been counted
	}
}

// isTooLarge tells whether the message is too large, whatever follows: as long
// as it hasn't ended, the last byte may be the CR of its last line.
func (s *stream) isTooLarge() bool {
	return s.limit > 0 && (s.size > s.limit+1 || s.heard && s.size > s.limit)
}

// receive reads once of a client's message.
func receive(client *wire.Conn, buffer []byte, waits *dialogue) (n int, err error) {
	timeout := client.ReadTimeout
	client.ReadTimeout = blockTimeout
	defer func() { client.ReadTimeout = timeout }()
	if waits != nil {
		waits.silent(false)
		defer waits.heard()
	}
	if n, err = client.Read(buffer); err != nil {
		return 0, fmt.Errorf("%w: %w", errClient, err)
	}
	return n, nil
}

// edited returns what becomes of a block.
func (s *stream) edited(block []byte) []byte {
	if s.editor == nil {
		return block
	}
	text := append(s.tail, block...)
	if s.heard {
		out := bytes.Clone(s.editor.next(bytes.TrimSuffix(text, endOfData)))
		return append(append(out, s.editor.end()...), endOfData...)
	}
	ready := max(0, len(text)-len(endOfData)+1)
	s.tail = bytes.Clone(text[ready:])
	return s.editor.next(text[:ready])
}

// earlyVerdict reads a reply that came before the end of the message. A no
// stands; a yes to half a message is no verdict.
func (s *stream) earlyVerdict(up *wire.Conn) (reply, error) {
	s.early = true
	verdict, err := readVerdict(up)
	if err == nil && verdict.positive() {
		err = proxy.Fail(proxy.UpstreamProtocol, "reply before the end of the message: %s", proxy.Sanitize([]byte(verdict.lines[0])))
	}
	return verdict, err
}

// readVerdict reads a reply that is a yes or a no.
func readVerdict(up *wire.Conn) (reply, error) {
	up.ReadTimeout = verdictTimeout
	defer func() { up.ReadTimeout = replyTimeout }()
	verdict, err := readReply(up)
	if err == nil && !verdict.positive() && verdict.code < 400 {
		err = proxy.Fail(proxy.UpstreamProtocol, "reply to the message: %s", proxy.Sanitize([]byte(verdict.lines[0])))
	}
	return verdict, err
}

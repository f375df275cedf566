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
	// errClient means that the client has gone in the middle of a message.
	errClient = errors.New("the client went away before the end of the message")
	// errAmbiguous means that two servers may disagree on where the message
	// ends.
	errAmbiguous = errors.New("the message holds what some servers take for its end (a line of one dot with a bare LF)")
)

// stream relays one message, from the 354 to the verdict, as it comes: nothing
// is un-stuffed, stuffed or held.
type stream struct {
	client, up *wire.Conn
	size       int64
	complete   bool // the end of the data has gone upstream
	early      bool // the upstream's reply came before that
}

// run returns the upstream's verdict.
func (s *stream) run() (reply, error) {
	timeout := s.client.ReadTimeout
	s.client.ReadTimeout = blockTimeout
	defer func() { s.client.ReadTimeout = timeout }()
	s.up.Watch()
	last, err := s.body()
	spoke, upErr := s.up.Unwatch()
	if err != nil && !errors.Is(err, errUpstream) {
		return reply{}, err
	}
	switch {
	case spoke:
		return s.earlyVerdict()
	case upErr != nil:
		return reply{}, upErr
	case err != nil:
		return reply{}, err
	}
	if _, err := s.up.Write(last); err != nil {
		return reply{}, err
	}
	s.complete = true
	s.up.ReadTimeout = verdictTimeout
	defer func() { s.up.ReadTimeout = replyTimeout }()
	return readVerdict(s.up)
}

var errUpstream = errors.New("the upstream takes no more")

// body passes the message on up to its last block, which it returns. If the
// upstream goes away meanwhile, the client is still heard out: it listens for
// a reply only at the end.
func (s *stream) body() (last []byte, err error) {
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	var lost error
	scan := newScanner()
	for {
		n, err := s.client.Read(buffer[:])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errClient, err)
		}
		end, err := scan.next(buffer[:n])
		if err != nil {
			return nil, err
		}
		if end >= 0 {
			s.size += int64(end)
			s.client.Unread(buffer[end:n])
			return bytes.Clone(buffer[:end]), lost
		}
		s.size += int64(n)
		if lost == nil {
			if _, err := s.up.Write(buffer[:n]); err != nil {
				lost = fmt.Errorf("%w: %w", errUpstream, err)
			}
		}
	}
}

// earlyVerdict reads a reply that came before the end of the message. A no
// stands; a yes to half a message is no verdict.
func (s *stream) earlyVerdict() (reply, error) {
	s.early = true
	verdict, err := readVerdict(s.up)
	if err == nil && verdict.positive() {
		err = proxy.Fail(proxy.UpstreamProtocol, "reply before the end of the message: %s", proxy.Sanitize([]byte(verdict.lines[0])))
	}
	return verdict, err
}

// readVerdict reads a reply that is a yes or a no.
func readVerdict(up *wire.Conn) (reply, error) {
	verdict, err := readReply(up)
	if err == nil && !verdict.positive() && verdict.code < 400 {
		err = proxy.Fail(proxy.UpstreamProtocol, "reply to the message: %s", proxy.Sanitize([]byte(verdict.lines[0])))
	}
	return verdict, err
}

// overlap is how much of an end of data may stand in the block before.
const overlap = 4

// scanner finds the end of a message in a stream of blocks of any size.
type scanner struct {
	// seam holds the last bytes of what has been seen.
	seam    [overlap]byte
	carried int
}

// newScanner returns a scanner for the beginning of a message: a line begins
// there too.
func newScanner() *scanner {
	s := &scanner{}
	s.carried = copy(s.seam[:], "\r\n")
	return s
}

// next looks through the next block. It returns the offset behind the end of
// the data, or -1.
func (s *scanner) next(block []byte) (end int, err error) {
	var joined [2 * overlap]byte // what spans the seam
	n := copy(joined[:], s.seam[:s.carried])
	n += copy(joined[n:], block[:min(len(block), overlap)])
	end, err = find(joined[:n])
	if end >= 0 {
		end -= s.carried
	} else if err == nil {
		end, err = find(block)
	}
	if len(block) >= overlap {
		s.carried = copy(s.seam[:], block[len(block)-overlap:])
	} else {
		s.carried = copy(s.seam[:], joined[max(0, n-overlap):n])
	}
	return end, err
}

// find looks for a line that is one dot. Such a line whose ends aren't both
// CRLF is where servers disagree, and where one message could be made to look
// like two ("SMTP smuggling", 2023): that is an error.
func find(text []byte) (end int, err error) {
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte("\n."))
		if i < 0 {
			return -1, nil
		}
		i += from
		from = i + 2
		rest := text[i+2:]
		switch {
		case bytes.HasPrefix(rest, []byte("\n")):
			return -1, errAmbiguous
		case !bytes.HasPrefix(rest, []byte("\r\n")):
		case i > 0 && text[i-1] == '\r':
			return i + 2 + 2, nil
		case i > 0:
			return -1, errAmbiguous
		}
	}
}

package smtp

import "bytes"

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
// like two ("SMTP smuggling", 2023): that is an error. So are two CRs behind the
// dot, as Postfix ignores any number of them before an LF.
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
		case bytes.HasPrefix(rest, []byte("\n")), bytes.HasPrefix(rest, []byte("\r\r")):
			return -1, errAmbiguous
		case !bytes.HasPrefix(rest, []byte("\r\n")):
		case i > 0 && text[i-1] == '\r':
			return i + 2 + 2, nil
		case i > 0:
			return -1, errAmbiguous
		}
	}
}

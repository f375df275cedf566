package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/internal/wire"
)

// scan looks for the end of a message that comes in pieces of the given sizes,
// over and over.
func scan(text, sizes []byte) (end int, err error) {
	s := newScanner()
	for seen, i := 0, 0; seen < len(text); i++ {
		size := len(text) - seen
		if len(sizes) > 0 {
			size = min(size, int(sizes[i%len(sizes)])+1)
		}
		end, err := s.next(text[seen : seen+size])
		if end >= 0 || err != nil {
			return seen + end, err
		}
		seen += size
	}
	return -1, nil
}

// reference is the same without seams, a line at a time.
func reference(text []byte) (end int, err error) {
	crlf := true // how the line before has ended
	for at := 0; ; {
		if bytes.HasPrefix(text[at:], []byte(".\r\r")) {
			return -1, errAmbiguous
		}
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			return -1, nil
		}
		line := text[at : at+n+1]
		at += n + 1
		switch {
		case string(line) == ".\r\n" && crlf:
			return at, nil
		case string(line) == ".\r\n", string(line) == ".\n":
			return -1, errAmbiguous
		}
		crlf = bytes.HasSuffix(line, []byte("\r\n"))
	}
}

func TestScanner(t *testing.T) {
	tests := []struct {
		name, text string
		end        int
		err        error
	}{
		{"end", "hello\r\n.\r\n", 10, nil},
		{"empty message", ".\r\n", 3, nil},
		{"what follows is left", "a\r\n.\r\nQUIT\r\n", 6, nil},
		{"stuffed dots", "..\r\n..\r\n.a\r\n", -1, nil},
		{"dot within a line", "a.\r\nb .\r\n", -1, nil},
		{"CR before the line end", "a\r\r\n.\r\n", 7, nil},
		{"no line end yet", "a\r\n.\r", -1, nil},
		{"nothing but dots", "...........", -1, nil},
		{"LF dot LF", "a\n.\nb", 0, errAmbiguous},
		{"LF dot CRLF", "a\n.\r\nb", 0, errAmbiguous},
		{"CRLF dot LF", "a\r\n.\nb", 0, errAmbiguous},
		{"dot LF at the beginning", ".\nb", 0, errAmbiguous},
		{"LF CRLF", "a\n\r\n.\r\n", 7, nil},
		{"bare CRs are no line ends", "a\r.\rb\r.\r\n.\r\n", 12, nil},
		{"dot CR CR LF", "a\r\n.\r\r\n.\r\n", 0, errAmbiguous},
		{"LF dot CR CR LF", "a\n.\r\r\n.\r\n", 0, errAmbiguous},
		{"dot and many CRs", "a\r\n.\r\r\r\r\r\r\n.\r\n", 0, errAmbiguous},
		{"dot CR and a letter", "a\r\n.\rb\r\n.\r\n", 11, nil},
		{"NUL before the dot", "a\r\n\x00.\r\n.\r\n", 10, nil},
		{"end before what is ambiguous", ".\r\n\n.\n", 3, nil},
		{"what is ambiguous before the end", "\n.\n\r\n.\r\n", 0, errAmbiguous},
	}
	for _, test := range tests {
		for _, sizes := range [][]byte{nil, {0}, {1}, {2}, {3, 0}, {4}, {5}} {
			t.Run(fmt.Sprint(test.name, sizes), func(t *testing.T) {
				end, err := scan([]byte(test.text), sizes)
				if !errors.Is(err, test.err) || err == nil && end != test.end {
					t.Errorf("scan(%q) = %d, %v; want %d, %v", test.text, end, err, test.end, test.err)
				}
			})
		}
	}
}

// In whatever pieces a message comes, its end is where it is.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("hello\r\n..\r\n.\r\nQUIT\r\n"), []byte{4})
	f.Add([]byte("a\r\r\n.\r\r\n\n\r\n.\r\n"), []byte{0, 2})
	f.Add([]byte("a\n.\r\n"), []byte{1})
	f.Add([]byte("\r\n.\r\n.\n.\n\r.\r\n.\r\n"), []byte{})
	f.Fuzz(func(t *testing.T, text, sizes []byte) {
		text = bytes.Clone(text)
		// Few letters: these are what it is about.
		for i, c := range text {
			text[i] = "\r\n.x\x00"[c%5]
		}
		end, err := scan(text, sizes)
		wantEnd, wantErr := reference(text)
		if !errors.Is(err, wantErr) || err == nil && end != wantEnd {
			t.Errorf("scan(%q) = %d, %v; want %d, %v", text, end, err, wantEnd, wantErr)
		}
	})
}

// The size of a message is that of the message itself, however it comes.
func TestSizeOfAMessage(t *testing.T) {
	for text, want := range map[string]int64{
		".\r\n":                           0,
		"\r\n.\r\n":                       2,
		"..\r\n.\r\n":                     3,
		"..a\r\n...\r\nb.\r\n..\r\n.\r\n": 4 + 4 + 4 + 3,
		"a.\n..b\r\n.\r\n":                3 + 4,
	} {
		for n := 1; n <= len(text); n++ {
			for _, limit := range []int64{0, want, want - 1} {
				s := newStream(wire.New(&stage.Peer{Says: []byte(text)}))
				s.limit = limit
				var err error
				for err == nil && !s.heard {
					_, err = s.read(make([]byte, n))
				}
				if tooLarge := limit > 0 && limit < want; (err == errTooLarge) != tooLarge || err == nil && s.size != want {
					t.Errorf("%q in blocks of %d, with the limit %d: %d bytes, %v", text, n, limit, s.size, err)
				}
			}
		}
	}
}

package proxy

import "bytes"

// Tail keeps the last bytes of a stream, for a look when it has ended. It costs
// a small copy for each read, and nothing for each byte.
type Tail struct {
	kept [256]byte
	n    int
}

// Hear takes in what has passed.
func (t *Tail) Hear(p []byte) {
	if surplus := len(p) - len(t.kept); surplus >= 0 {
		t.n = copy(t.kept[:], p[surplus:])
		return
	}
	if surplus := t.n + len(p) - len(t.kept); surplus > 0 {
		t.n = copy(t.kept[:], t.kept[surplus:t.n])
	}
	t.n += copy(t.kept[t.n:], p)
}

// Bytes returns what is kept, until Hear is called again.
func (t *Tail) Bytes() []byte { return t.kept[:t.n] }

// Lines returns the whole lines at the end of the stream, without their ends.
// There are none when it has ended within one.
func (t *Tail) Lines() []string {
	kept := t.kept[:t.n]
	if !bytes.HasSuffix(kept, []byte("\n")) {
		return nil
	}
	if t.n == len(t.kept) {
		_, kept, _ = bytes.Cut(kept, []byte("\n")) // may not be whole
	}
	var lines []string
	for line := range bytes.Lines(kept) {
		lines = append(lines, string(bytes.TrimRight(line, "\r\n")))
	}
	return lines
}

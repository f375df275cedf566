package proxy

import "bytes"

// tail keeps the last bytes of a stream, for a look when it has ended. It costs
// a small copy for each read, and nothing for each byte.
type tail struct {
	kept [256]byte
	n    int
}

// keep takes in what has passed.
func (t *tail) keep(p []byte) {
	if surplus := len(p) - len(t.kept); surplus >= 0 {
		t.n = copy(t.kept[:], p[surplus:])
		return
	}
	if surplus := t.n + len(p) - len(t.kept); surplus > 0 {
		t.n = copy(t.kept[:], t.kept[surplus:t.n])
	}
	t.n += copy(t.kept[t.n:], p)
}

// lines returns the whole lines at the end of the stream, without their ends.
// There are none when it has ended within one.
func (t *tail) lines() []string {
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

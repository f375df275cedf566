package stage

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Peer is a connection whose other end has said all it will say.
type Peer struct {
	net.Conn              // nil: for what isn't called
	Says     []byte       // what is left of it
	Hears    bytes.Buffer // what it has been told
}

// SetReadDeadline does nothing: nobody waits.
func (p *Peer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (p *Peer) SetWriteDeadline(time.Time) error { return nil }

// Read reads what the peer says, and then fails.
func (p *Peer) Read(to []byte) (int, error) {
	if len(p.Says) == 0 {
		return 0, net.ErrClosed
	}
	n := copy(to, p.Says)
	p.Says = p.Says[n:]
	return n, nil
}

// Write tells the peer.
func (p *Peer) Write(from []byte) (int, error) { return p.Hears.Write(from) }

// SaidInStories returns what one party, C or U, says in each story in
// testdata/dialogue: what a fuzz target begins with.
func SaidInStories(t testing.TB, who string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(folder + "*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	var all [][]byte
	for _, file := range files {
		story := read(t, strings.TrimSuffix(filepath.Base(file), ".txt"))
		if said := story.Said(who); len(said) > 0 {
			all = append(all, said)
		}
	}
	return all
}

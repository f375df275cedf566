package smtp

import (
	"bytes"
	"errors"
	"io"

	"oauthproxy/internal/wire"
)

// presence tells whether a client that waits is still there.
type presence struct {
	client *wire.Conn
	heard  bool            // it has sent its message, and waits for the verdict
	ended  <-chan struct{} // closes when left is to be asked; nil: no more
}

func (d *dialogue) attend() *presence {
	return &presence{client: d.client, heard: d.tx.heard, ended: d.client.Watch()}
}

// end ends the watch.
func (p *presence) end() {
	if p.ended != nil {
		p.ended = nil
		_, _ = p.client.Unwatch()
	}
}

// left tells whether the client has gone, and if not watches on, up to what it
// may say in advance. One that will say no more, but has said a whole message,
// may still listen.
func (p *presence) left() bool {
	p.ended = nil
	spoke, err := p.client.Unwatch()
	var ahead []byte
	if spoke {
		ahead, _ = p.client.Look(0, func([]byte) bool { return true })
	}
	switch {
	case errors.Is(err, io.EOF):
		return !p.heard && !holdsMessage(ahead)
	case err != nil:
		return !errors.Is(err, wire.ErrInterrupted)
	case len(ahead) < maxLine:
		p.ended = p.client.Watch()
	}
	return false
}

// holdsMessage tells whether the end of a message is among what a client has
// said.
func holdsMessage(ahead []byte) bool {
	return bytes.HasPrefix(ahead, endOfData) || bytes.Contains(ahead, []byte("\n.\r\n")) ||
		bytes.Contains(bytes.ToUpper(ahead), []byte(" LAST\r\n"))
}

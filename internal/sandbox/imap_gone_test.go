package sandbox

import (
	"bytes"
	"testing"
)

// TestIMAPClientGone: a client that leaves in the middle of a large message
// doesn't keep the sandbox from closing, which the cleanup of start waits for.
func TestIMAPClientGone(t *testing.T) {
	s := start(t, Options{})
	if err := s.Deliver(alice, bytes.Repeat([]byte("0123456789abcde\n"), 1<<20)); err != nil {
		t.Fatal(err)
	}
	p := talk(t, s, s.IMAP(), `
	S~ \* OK .*
	C: a1 AUTHENTICATE XOAUTH2 {alice}
	S: a1 OK AUTHENTICATE completed.
	C: a2 SELECT INBOX`)
	for line := ""; len(line) < 2 || line[:2] != "a2"; {
		line = p.line()
	}
	p.send("a3 FETCH 1 BODY.PEEK[]\r\n")
	p.line() // the message has begun
	p.conn.Close()
}

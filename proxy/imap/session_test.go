package imap

import (
	"bufio"
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
)

const login = "a LOGIN " + stage.User + " " + stage.Password + "\r\n"

// exchange accepts every token and then echoes.
func exchange(conn *tls.Conn) {
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "* OK ready\r\n")
	for _, reply := range []string{"+ ", "P1 OK", "P2 OK", "P3 OK"} {
		if _, err := in.ReadString('\n'); err != nil {
			return
		}
		_, _ = io.WriteString(conn, reply+"\r\n")
	}
	_, _ = io.Copy(conn, in)
	_ = conn.CloseWrite()
}

// Whatever a client says, and after whatever, its session ends when it has no
// more to say, nothing panics, and after the login every byte passes.
func FuzzSession(f *testing.F) {
	s := stage.New(f, Protocol{}, stage.Options{"log": "error", "listener": "starttls"})
	s.PlayUpstream(exchange)
	states := []string{
		"",
		"a AUTHENTICATE LOGIN\r\n",
		"a LOGIN {21}\r\n",
		"a LOGIN " + stage.User + " ",
		"a STARTTLS\r\n",
		login,
	}
	for state := range states {
		f.Add(byte(state), []byte("b NOOP\r\nc LOGIN {1+}\r\nx \"\\\"\"\r\nd ID (\"a\" {3}\r\nabc)\r\ne LOGOUT\r\n"))
		f.Add(byte(state), []byte("\x16\x03\x01\x02\x00\x01\x00"))
	}
	f.Fuzz(func(t *testing.T, state byte, said []byte) {
		before := states[int(state)%len(states)]
		heard := s.Converse(t, append([]byte(before), said...))
		if _, relayed, _ := strings.Cut(heard, "a OK Logged in\r\n"); before == login && relayed != string(said) {
			t.Errorf("said %q, and the echo is %q", said, relayed)
		}
		s.Log.Check(t)
	})
}

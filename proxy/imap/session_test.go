package imap

import (
	"bufio"
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy"
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
		"a AUTHENTICATE PLAIN\r\n",
		"a AUTHENTICATE LOGIN\r\n",
		"a AUTHENTICATE LOGIN YWxpY2U=\r\n",
		"a ID (\"name\" {5+}\r\n",
		"a LOGIN {21}\r\n",
		"a LOGIN " + stage.User + " ",
		"a STARTTLS\r\n",
		login,
	}
	for state := range states {
		f.Add(byte(state), []byte("b NOOP\r\nc LOGIN {1+}\r\nx \"\\\"\"\r\nd ID (\"a\" {3}\r\nabc)\r\ne LOGOUT\r\n"))
		f.Add(byte(state), []byte("\x16\x03\x01\x02\x00\x01\x00"))
	}
	for _, said := range stage.SaidInStories(f, "C") {
		f.Add(byte(0), said)
	}
	f.Fuzz(func(t *testing.T, state byte, said []byte) {
		before := states[int(state)%len(states)]
		heard := s.Converse(t, append([]byte(before), said...))
		// After wrong passwords a login has to wait, and whoever hangs up
		// meanwhile is gone: there may be none.
		if _, relayed, found := strings.Cut(heard, "a OK Logged in\r\n"); before == login && found && relayed != string(said) {
			t.Errorf("said %q, and the echo is %q", said, relayed)
		}
		s.Log.Check(t)
	})
}

// A line that is too long is refused, and the session goes on; so it does
// after the literals of a refused command.
func TestLongLines(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	long := strings.Repeat("x", maxLine+1)
	heard := s.Converse(t, []byte("a NOOP "+long+"\r\n"+
		"b AUTHENTICATE PLAIN\r\n"+long+"\r\n"+
		"c LOGIN {1+}\r\nx"+long+"\r\n"+
		"d SELECT {60000+}\r\n"+strings.Repeat("y\r\n", 20_000)+"\r\n"+
		"e LOGOUT\r\n"))
	want := []string{"* OK ", "* BAD Command line too long", "+ ", "b BAD ", "c BAD Command line too long", "d BAD Log in first", "* BYE ", "e OK "}
	lines := strings.Split(strings.TrimSuffix(heard, "\r\n"), "\r\n")
	if len(lines) != len(want) {
		t.Fatalf("the client hears %q", lines)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("response %d is %q, want %s", i, line, want[i])
		}
	}
}

// A client that says much and never logs in is let go.
func TestTooManyCommands(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	heard := s.Converse(t, []byte(strings.Repeat("a NOOP\r\n", proxy.MaxCommands+1)))
	lines := strings.Split(strings.TrimSuffix(heard, "\r\n"), "\r\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "* BYE ") {
		t.Errorf("at last the client hears %q", last)
	}
}

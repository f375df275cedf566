package pop3

import (
	"bufio"
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy"
)

const login = "USER " + stage.User + "\r\nPASS " + stage.Password + "\r\n"

// exchange accepts every token and then echoes.
func exchange(conn *tls.Conn) {
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "+OK ready\r\n")
	for _, reply := range []string{"+ ", "+OK"} {
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
		"USER " + stage.User + "\r\n",
		"AUTH PLAIN\r\n",
		"AUTH LOGIN\r\n",
		"STLS\r\n",
		login,
	}
	for state := range states {
		f.Add(byte(state), []byte("CAPA\r\nuser x\r\npass  y \r\nAUTH\r\nAUTH PLAIN =\r\nSTAT\r\nSTLS\r\nQUIT\r\n"))
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
		if _, relayed, found := strings.Cut(heard, "+OK Logged in\r\n"); before == login && found && relayed != string(said) {
			t.Errorf("said %q, and the echo is %q", said, relayed)
		}
		s.Log.Check(t)
	})
}

// A line that is too long is refused, and the session goes on.
func TestLongLines(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	long := strings.Repeat("x", maxLine+1)
	heard := s.Converse(t, []byte("USER "+long+"\r\nAUTH PLAIN\r\n"+long+"\r\nQUIT\r\n"))
	want := "+OK " + stage.HostName + " ready\r\n-ERR line too long\r\n+ \r\n-ERR the response is too long\r\n+OK Goodbye\r\n"
	if heard != want {
		t.Errorf("the client hears %q, want %q", heard, want)
	}
}

// A client that says much and never logs in is let go.
func TestTooManyCommands(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	heard := s.Converse(t, []byte(strings.Repeat("CAPA\r\n", proxy.MaxCommands+1)))
	lines := strings.Split(strings.TrimSuffix(heard, "\r\n"), "\r\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "-ERR too many commands") {
		t.Errorf("at last the client hears %q", last)
	}
}

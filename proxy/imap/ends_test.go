package imap

import (
	"bufio"
	"compress/flate"
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
)

// accept is Exchange as far as the end of the login.
func accept(conn *tls.Conn, capabilities string) *bufio.Reader {
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "* OK ready\r\n")
	for _, reply := range []string{"+ ", "P1 OK", "* CAPABILITY " + capabilities + "\r\nP2 OK", "P3 OK"} {
		if _, err := in.ReadString('\n'); err != nil {
			return in
		}
		_, _ = io.WriteString(conn, reply+"\r\n")
	}
	return in
}

// TestSessionEnds has Exchange end a session in each way: the client hears its
// words and the end, and not one byte of ours; the log tells the cause; and the
// account's state shows it until somebody logs in.
func TestSessionEnds(t *testing.T) {
	tests := []struct {
		name, says, log string
		fresh           bool // the next login has another token
	}{
		{"token expired", "* BYE Session invalidated - AccessTokenExpired\r\n", `level=INFO msg="session closed"`, true},
		{"token expired in a command", "b BAD Session invalidated - AccessTokenExpired\r\n", `level=INFO msg="session closed"`, true},
		{"token expired in a command, and too many refused",
			"b NO Session invalidated - AccessTokenExpired\r\n* BYE Connection closed. 14\r\n", `level=INFO msg="session closed"`, true},
		{"throttled", "* BYE Request is throttled. Suggested Backoff Time: 300000 milliseconds\r\n", `level=WARN msg="session ended early"`, false},
		{"revoked", "* BYE Session invalidated - Invalid\r\n", `level=WARN msg="session ended early"`, true},
		{"too many refused", "* BYE Connection closed. 14\r\n", `level=WARN msg="session ended early"`, false},
		{"a fault", "b BAD Server Unavailable. 15\r\n* BYE Connection closed.\r\n", `level=WARN msg="session ended early"`, false},
		{"dead", "", `level=WARN msg="session ended early"`, false},
		{"dead in a line", "* 1 EXI", `level=WARN msg="session ended early"`, false},
		{"dead in a message", "* 1 FETCH (BODY[] {4711}\r\nDear Bob,\r\n* BYE", `level=WARN msg="session ended early"`, false},
		{"dead in a message like a goodbye", "* 1 FETCH (BODY[] {4711}\r\n* BYE Dear Bob, Session invalidated - AccessTokenExpired\r\n",
			`level=WARN msg="session ended early"`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := stage.New(t, Protocol{}, nil)
			used := make(chan string, 1)
			s.PlayUpstream(func(conn *tls.Conn) {
				in := accept(conn, "IMAP4rev1")
				used <- s.Response()
				if line, _ := in.ReadString('\n'); line == "b NOOP\r\n" {
					_, _ = io.WriteString(conn, test.says)
				}
			})
			conn := s.Dial(t)
			_, _ = io.WriteString(conn, login+"b NOOP\r\n")
			heard, err := io.ReadAll(conn)
			if _, relayed, _ := strings.Cut(string(heard), "Logged in\r\n"); relayed != test.says || err != nil {
				t.Errorf("the client hears %q, %v", relayed, err)
			}
			// What follows is settled by the time the client hears the end.
			if fresh := s.Response() != <-used; fresh != test.fresh {
				t.Errorf("the next login has another token: %v", fresh)
			}
			refusals := s.Server.Refusals(stage.Mailbox)
			if len(refusals) != 1 || refusals[0].Protocol != "imap" || refusals[0].Text == "" || !refusals[0].Until.IsZero() {
				t.Errorf("the account's state is %+v", refusals)
			}
			_ = conn.Close()
			s.Shutdown(false)
			if log := s.Log.String(); !strings.Contains(log, test.log) || strings.Contains(log, "Dear Bob") {
				t.Errorf("the log lacks %q, or has too much:\n%s", test.log, log)
			}
		})
	}
}

// TestMessageIsNoGoodbye has a client go away while it reads a message that
// looks like Exchange's goodbyes: nothing comes of it.
func TestMessageIsNoGoodbye(t *testing.T) {
	for _, line := range []string{
		"* BYE Request is throttled. Suggested Backoff Time: 300000 milliseconds\r\n",
		"* BYE Session invalidated - AccessTokenExpired\r\n",
	} {
		for _, announced := range []string{"{9999999}", "{0}"} { // a length that is wrong makes no difference
			t.Run(announced+" "+line, func(t *testing.T) {
				s := stage.New(t, Protocol{}, nil)
				used := make(chan string, 1)
				s.PlayUpstream(func(conn *tls.Conn) {
					in := accept(conn, "IMAP4rev1")
					used <- s.Response()
					_, _ = in.ReadString('\n')
					_, err := io.WriteString(conn, "* 1 FETCH (BODY[] "+announced+"\r\n")
					for err == nil {
						_, err = io.WriteString(conn, line)
					}
				})
				conn := s.Dial(t)
				_, _ = io.WriteString(conn, login+"b FETCH 1 BODY[]\r\n")
				if _, err := io.ReadFull(conn, make([]byte, 10_000)); err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
				s.Shutdown(false)
				if refusals := s.Server.Refusals(stage.Mailbox); len(refusals) > 0 {
					t.Errorf("the account's state is %+v", refusals)
				}
				if s.Response() != <-used {
					t.Error("the next login has another token")
				}
				if log := s.Log.String(); strings.Contains(log, "Exchange said") {
					t.Errorf("the log takes a message for Exchange's words:\n%s", log)
				}
			})
		}
	}
}

// TestLogoutIsNoTrouble: a session that ends as it should leaves the account's
// state clean.
func TestLogoutIsNoTrouble(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	s.PlayUpstream(func(conn *tls.Conn) {
		in := accept(conn, "IMAP4rev1")
		_, _ = in.ReadString('\n')
		_, _ = io.WriteString(conn, "* BYE Microsoft Exchange Server IMAP4 server signing off.\r\nb OK LOGOUT completed.\r\n")
	})
	conn := s.Dial(t)
	_, _ = io.WriteString(conn, login+"b LOGOUT\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
	s.Shutdown(false)
	if log := s.Log.String(); strings.Contains(log, "ended early") {
		t.Errorf("the log complains:\n%s", log)
	}
	if refusals := s.Server.Refusals(stage.Mailbox); len(refusals) > 0 {
		t.Errorf("the account's state is %+v", refusals)
	}
}

// TestCompress: what is offered behind the login passes, and so does the
// stream that follows (RFC 4978).
func TestCompress(t *testing.T) {
	large := strings.Repeat("* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n", 100_000)
	s := stage.New(t, Protocol{}, stage.Options{"log": "error"})
	s.PlayUpstream(func(conn *tls.Conn) {
		in := accept(conn, "IMAP4rev1 COMPRESS=DEFLATE")
		if line, _ := in.ReadString('\n'); line != "b COMPRESS DEFLATE\r\n" {
			return
		}
		_, _ = io.WriteString(conn, "b OK DEFLATE active\r\n")
		inflated := bufio.NewReader(flate.NewReader(in))
		out, _ := flate.NewWriter(conn, flate.DefaultCompression)
		for {
			line, err := inflated.ReadString('\n')
			if err != nil {
				return
			}
			tag, _, _ := strings.Cut(line, " ")
			_, _ = io.WriteString(out, large+tag+" OK done\r\n")
			_ = out.Flush()
		}
	})
	conn := s.Dial(t)
	in := bufio.NewReader(conn)
	hear := func(from *bufio.Reader, want string) {
		t.Helper()
		if line, err := from.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Fatalf("heard %q, %v, want %s", line, err, want)
		}
	}
	_, _ = io.WriteString(conn, login)
	hear(in, "* OK ")
	hear(in, "COMPRESS=DEFLATE")
	_, _ = io.WriteString(conn, "b COMPRESS DEFLATE\r\n")
	hear(in, "b OK ")
	out, err := flate.NewWriter(conn, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	inflated := bufio.NewReader(flate.NewReader(in))
	for _, tag := range []string{"c", "d"} {
		_, _ = io.WriteString(out, tag+" FETCH 1:* FLAGS\r\n")
		_ = out.Flush()
		got := make([]byte, len(large))
		if _, err := io.ReadFull(inflated, got); err != nil || string(got) != large {
			t.Fatalf("the answer is another: %v", err)
		}
		hear(inflated, tag+" OK done")
	}
}

// TestThrottled: a pause that Exchange asks for is bounded.
func TestThrottled(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	s.PlayUpstream(func(conn *tls.Conn) {
		in := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, "* OK ready\r\n")
		for _, reply := range []string{"+ ", "P1 NO Request is throttled. Suggested Backoff Time: 999999999 milliseconds"} {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			_, _ = io.WriteString(conn, reply+"\r\n")
		}
	})
	if heard := s.Converse(t, []byte(login)); !strings.Contains(heard, "a NO [UNAVAILABLE] the mail server asks for a pause, try again in 300 seconds") {
		t.Errorf("the client hears %q", heard)
	}
	refusals := s.Server.Refusals(stage.Mailbox)
	if len(refusals) != 1 || !refusals[0].Until.After(refusals[0].At) {
		t.Errorf("the account's state is %+v", refusals)
	}
}

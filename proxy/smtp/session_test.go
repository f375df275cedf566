package smtp

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy"
)

// auth logs in.
var auth = "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+stage.User+"\x00"+stage.Password)) + "\r\n"

// exchange is an upstream that accepts everything. It keeps the commands and
// the whole messages that it has heard: as they were said, those by BDAT in
// delivered.
type exchange struct {
	chunking bool   // it offers CHUNKING
	verdict  func() // happens before its verdict, if set
	words    string // of the verdict, if not the usual
	refuses  string // what the reply "550 no" is given to

	mu                            sync.Mutex
	commands, messages, delivered []string
	turns                         int // times that it had to wait for the other side
}

// heard returns what has been heard since it was asked last.
func (e *exchange) heard() (commands, messages []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	commands, messages = e.commands, e.messages
	e.commands, e.messages = nil, nil
	return commands, messages
}

func (e *exchange) serve(conn *tls.Conn) {
	in := bufio.NewReader(conn)
	extensions := "250-PIPELINING\r\n250-SIZE 157286400\r\n"
	if e.chunking {
		extensions += "250-CHUNKING\r\n250-BINARYMIME\r\n"
	}
	var chunks string
	replies := map[string]string{
		"EHLO": "250-exchange.example\r\n" + extensions + "250 AUTH XOAUTH2",
		"AUTH": "334 ",
		"DATA": "354 go",
		"QUIT": "221 bye",
	}
	for reply := "220 ready"; ; {
		if in.Buffered() == 0 { // and before anybody can know that it waits
			e.mu.Lock()
			e.turns++
			e.mu.Unlock()
		}
		if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		known := false
		switch before := reply; {
		case before == "334 ":
			reply = "235 ok"
			continue
		case before == "354 go":
			message, whole := readMessage(in, line)
			if !whole {
				return
			}
			e.note(&e.messages, message)
			reply = e.accepted()
			continue
		}
		e.note(&e.commands, line)
		if reply, known = replies[verb]; !known {
			reply = "250 ok"
		}
		if e.refuses != "" && strings.HasPrefix(line, e.refuses) {
			reply = "550-5.7.1 no\r\n550 5.7.1 not here"
		}
		switch verb {
		case "MAIL", "RSET":
			chunks = ""
		case "BDAT":
			chunk, last, whole := readChunk(in, line)
			if !whole {
				return
			}
			if chunks += chunk; last {
				e.note(&e.delivered, chunks)
				chunks, reply = "", e.accepted()
			}
		}
	}
}

func (e *exchange) accepted() string {
	if e.verdict != nil {
		e.verdict()
	}
	return cmp.Or(e.words, "250 accepted")
}

func (e *exchange) note(what *[]string, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*what = append(*what, text)
}

// readChunk reads what follows a BDAT.
func readChunk(in *bufio.Reader, line string) (chunk string, last, whole bool) {
	fields := strings.Fields(line)
	size, err := strconv.Atoi(fields[1])
	if err != nil {
		panic(line)
	}
	text := make([]byte, size)
	_, err = io.ReadFull(in, text)
	return string(text), len(fields) == 3, err == nil
}

// readMessage reads a message a line at a time.
func readMessage(in *bufio.Reader, line string) (message string, whole bool) {
	var b strings.Builder
	for {
		b.WriteString(line)
		if line == ".\r\n" {
			return b.String(), true
		}
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			b.WriteString(line)
			return b.String(), false
		}
	}
}

// Whatever a client says, and after whatever, its session ends when it has no
// more to say, nothing panics, and the upstream hears commands of ours alone.
func FuzzSession(f *testing.F) {
	s := stage.New(f, Protocol{}, stage.Options{"log": "error", "listener": "starttls"})
	var upstream exchange
	s.PlayUpstream(upstream.serve)
	mail := "MAIL FROM:<a@b.example>\r\n"
	rcpt := "RCPT TO:<c@d.example>\r\n"
	states := []string{
		"",
		"AUTH LOGIN\r\n",
		"AUTH PLAIN\r\n",
		"STARTTLS\r\n",
		auth,
		auth + mail,
		auth + mail + rcpt,
		auth + mail + rcpt + "DATA\r\n",
		auth + mail + rcpt + "DATA\r\n.\r\n",
	}
	for state := range states {
		f.Add(byte(state), []byte(mail+rcpt+"rcpt to: x\r\nRCPT\r\nDATA\r\n\r\n..\r\n.\r\nRSET\r\n"+mail+rcpt+"DATA\r\n.\r\nQUIT\r\n"))
		f.Add(byte(state), []byte("a\n.\r\nEHLO x\r\nBDAT 5\r\n"))
		f.Add(byte(state), []byte("\x16\x03\x01\x02\x00\x01\x00"))
	}
	for _, said := range stage.SaidInStories(f, "C") {
		f.Add(byte(0), said)
	}
	f.Fuzz(func(t *testing.T, state byte, said []byte) {
		text := states[int(state)%len(states)] + string(said)
		heard := s.Converse(t, []byte(text))
		for line := range strings.SplitSeq(strings.TrimSuffix(heard, "\r\n"), "\r\n") {
			if _, ok := replyCode([]byte(line)); !ok {
				t.Errorf("the client hears %q", line)
			}
		}
		commands, messages := upstream.heard()
		for _, command := range commands {
			checkCommand(t, command)
		}
		for _, message := range messages {
			if !strings.Contains(text, message) && !fromDevice(text) {
				t.Errorf("the message %q isn't the client's", message)
			}
		}
		s.Log.Check(t)
	})
}

// fromDevice tells whether one of the logins in a text is a device's, whose
// messages are edited.
func fromDevice(text string) bool {
	for _, user := range []string{stage.Device, stage.RuledDevice} {
		login := []byte("\x00" + user + "\x00" + stage.DevicePassword)
		if strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(user))) || strings.Contains(text, base64.StdEncoding.EncodeToString(login)) {
			return true
		}
	}
	return false
}

// checkCommand checks a command that the upstream has heard.
func checkCommand(t *testing.T, command string) {
	line, ok := strings.CutSuffix(command, "\r\n")
	switch line {
	case "EHLO " + stage.HostName, "AUTH XOAUTH2", "RSET", "DATA", "QUIT":
		return
	}
	if !ok || hasControl(line) || !strings.HasPrefix(line, "MAIL FROM:<") && !strings.HasPrefix(line, "RCPT TO:<") {
		t.Errorf("the upstream hears %q", command)
	}
}

// A message of many blocks arrives as it was sent, and so does what follows it.
func TestLargeMessage(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	var upstream exchange
	s.PlayUpstream(upstream.serve)
	var message strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&message, "%d\n.%d\r\n..\r\n", i, i) // bare LF, stuffed dots
	}
	message.WriteString(strings.Repeat("x", 1<<20) + "\r\n.\r\n") // a very long line
	heard := s.Converse(t, []byte(auth+"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"+message.String()+"NOOP\r\nQUIT\r\n"))
	if !strings.HasSuffix(heard, "354 go\r\n250 accepted\r\n250 2.0.0 OK\r\n221 2.0.0 Goodbye\r\n") {
		t.Errorf("the client hears %q", heard)
	}
	if _, messages := upstream.heard(); len(messages) != 1 || messages[0] != message.String() {
		t.Errorf("%d messages have arrived, or not as they were sent", len(messages))
	}
}

// Many recipients, all pipelined, are asked for in batches, and each hears its
// own answer.
func TestManyRecipients(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	var upstream exchange
	s.PlayUpstream(upstream.serve)
	var said strings.Builder
	said.WriteString(auth + "MAIL FROM:<a@b.example>\r\n")
	const recipients = 5007
	for i := range recipients {
		fmt.Fprintf(&said, "RCPT TO:<r%d@d.example>\r\n", i)
	}
	said.WriteString("DATA\r\n.\r\nQUIT\r\n")
	heard := s.Converse(t, []byte(said.String()))
	if got := strings.Count(heard, "250 ok\r\n"); got != recipients {
		t.Errorf("%d recipients were accepted", got)
	}
	commands, _ := upstream.heard()
	got := 0
	for _, command := range commands {
		if strings.HasPrefix(command, "RCPT") {
			if want := fmt.Sprintf("RCPT TO:<r%d@d.example>\r\n", got); command != want {
				t.Fatalf("the upstream hears %q, want %q", command, want)
			}
			got++
		}
	}
	if got != recipients {
		t.Errorf("%d recipients went upstream", got)
	}
}

// A command line that is too long is refused, and the session goes on.
func TestLongLines(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	long := strings.Repeat("x", maxLine+1)
	heard := s.Converse(t, []byte("NOOP "+long+"\r\nAUTH PLAIN "+long+"\r\nAUTH PLAIN\r\n"+long+"\r\nNOOP\r\nQUIT\r\n"))
	want := []string{"220", "500 5.5.2", "500 5.5.2", "334 ", "500 5.5.6", "250", "221"}
	lines := strings.Split(strings.TrimSuffix(heard, "\r\n"), "\r\n")
	if len(lines) != len(want) {
		t.Fatalf("the client hears %q", lines)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("reply %d is %q, want %s", i, line, want[i])
		}
	}
}

// A client that says much and never logs in is let go.
func TestTooManyCommands(t *testing.T) {
	s := stage.New(t, Protocol{}, nil)
	heard := s.Converse(t, []byte(strings.Repeat("NOOP\r\n", proxy.MaxCommands+1)))
	lines := strings.Split(strings.TrimSuffix(heard, "\r\n"), "\r\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "421 4.7.0 ") {
		t.Errorf("at last the client hears %q", last)
	}
}

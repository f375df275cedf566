package smtp

import (
	"bytes"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/internal/wire"
)

// However the end of the data is cut, an edited message ends there, with all
// of its text before and nothing of it twice.
func TestEditedMessageInPieces(t *testing.T) {
	const message = "a: b\n\n..x\r\n.\r.\r\n.\r\n"
	const want = "a: b\r\n\r\n..x\r\n.\r.\r\n.\r\n"
	for first := range message {
		for second := first; second < len(message); second++ {
			here, there := net.Pipe()
			go func() {
				for _, piece := range []string{message[:first], message[first:second], message[second:] + "NOOP\r\n"} {
					_, _ = io.WriteString(there, piece)
				}
			}()
			s := newStream(wire.New(here))
			s.editor = newEditor(edit{lineEnds: true})
			var got bytes.Buffer
			for !s.heard {
				block, err := s.read(make([]byte, 64))
				if err != nil {
					t.Fatal(err)
				}
				got.Write(block)
			}
			if got.String() != want {
				t.Errorf("in pieces of %d and %d: got %q, want %q", first, second-first, &got, want)
			}
			if line, err := s.client.ReadLine(10); string(line) != "NOOP" || err != nil {
				t.Errorf("behind it comes %q, %v", line, err)
			}
			_, _ = here.Close(), there.Close()
		}
	}
}

// A device's message of any size is edited on its way, with and without BDAT.
func TestLargeEditedMessage(t *testing.T) {
	login := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+stage.Device+"\x00"+stage.DevicePassword)) + "\r\n"
	body := strings.Repeat("a line of a scan\n", 100_000)
	for _, chunking := range []bool{true, false} {
		s := stage.New(t, Protocol{}, nil)
		upstream := exchange{chunking: chunking}
		s.PlayUpstream(upstream.serve)
		heard := s.Converse(t, []byte(login+"MAIL FROM:<a>\r\nRCPT TO:<c>\r\nDATA\r\nDate: x\nMessage-ID: y\n\n"+body+"\r\n.\r\nNOOP\r\nQUIT\r\n"))
		if !strings.HasSuffix(heard, "250 accepted\r\n250 2.0.0 OK\r\n221 2.0.0 Goodbye\r\n") {
			t.Errorf("the client hears %q", heard)
		}
		want := "Date: x\r\nMessage-ID: y\r\n\r\n" + strings.ReplaceAll(body, "\n", "\r\n") + "\r\n.\r\n"
		if _, messages := upstream.heard(); len(messages) != 1 || messages[0] != want {
			t.Errorf("CHUNKING %v: %d messages have arrived, or not as they should", chunking, len(messages))
		}
	}
}

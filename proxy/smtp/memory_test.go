package smtp

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oauthproxy/internal/script/stage"
)

// deviceAuth logs a device in, whose messages are edited.
var deviceAuth = "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+stage.Device+"\x00"+stage.DevicePassword)) + "\r\n"

// digest is an upstream that keeps no more of a message than its hash and its
// length, and looks at the memory in use meanwhile.
type digest struct {
	mu    sync.Mutex
	sum   hash.Hash
	bytes int
	heap  uint64 // at most
}

func (d *digest) serve(conn *tls.Conn) {
	in := bufio.NewReaderSize(conn, 64<<10)
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
	say("220 ready")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "EHLO":
			say("250-exchange.example\r\n250-PIPELINING\r\n250-SIZE 157286400\r\n250-CHUNKING\r\n250 AUTH XOAUTH2")
		case "AUTH":
			say("334 ")
			_, _ = in.ReadString('\n')
			say("235 ok")
		case "DATA":
			say("354 go")
			if !d.take(in) {
				return
			}
			say("250 accepted")
		default:
			say("250 ok")
		}
	}
}

// take reads a message up to the line of one dot.
func (d *digest) take(in *bufio.Reader) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sum, d.bytes, d.heap = sha256.New(), 0, 0
	for next, begins := 0, true; ; {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return false
		}
		if begins && string(line) == ".\r\n" {
			d.heap = max(d.heap, heapInUse())
			return true
		}
		d.sum.Write(line)
		if d.bytes += len(line); d.bytes > next {
			d.heap = max(d.heap, heapInUse())
			next += 4 << 20
		}
		begins = err == nil
	}
}

// heapInUse is what the heap takes, garbage included that hasn't been taken
// away yet.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// isRace tells whether the tests were built with the race detector.
func isRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// The largest message that Exchange takes, and a header of a megabyte, in one
// line or in many, go through in little memory, edited and as they are.
func TestLargeMessagesInLittleMemory(t *testing.T) {
	line := []byte(strings.Repeat("QUJD", 19) + "\r\n")
	fields := []byte("Date: x\r\nMessage-ID: <1@x>\r\nFrom: <a@b.example>\r\n")
	const mega = 1 << 20
	tests := []struct {
		name        string
		block       []byte
		blocks      int
		head, after []byte
	}{
		{"150 MB", bytes.Repeat(line, 1000), 150 * mega / (1000 * 78), append(bytes.Clone(fields), "\r\n"...), nil},
		{"a header of 1 MB", []byte("X-Field: of a header\r\n"), mega / 22, fields, []byte("\r\nbody\r\n")},
		{"a header of one line", []byte("xxxxxxxx"), mega / 8, append(bytes.Clone(fields), "X-Field: "...), []byte("\r\n\r\nbody\r\n")},
		{"a From of 1 MB", []byte(" folded\r\n"), mega / 9, append(bytes.Clone(fields[:28]), "From: x\r\n"...), []byte("\r\nbody\r\n")},
	}
	for _, login := range []string{auth, deviceAuth} {
		s := stage.New(t, Protocol{}, stage.Options{"log": "error"})
		upstream := new(digest)
		s.PlayUpstream(upstream.serve)
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s, edited %v", test.name, login == deviceAuth), func(t *testing.T) {
				if test.blocks*len(test.block) > 100*mega && isRace() {
					t.Skip("with the race detector it takes seven times as long, and shows no more")
				}
				runtime.GC()
				before := heapInUse()
				sum, size := sendLarge(t, s, login, test.head, test.block, test.blocks, test.after)
				upstream.mu.Lock()
				defer upstream.mu.Unlock()
				if upstream.bytes != size || !bytes.Equal(upstream.sum.Sum(nil), sum) {
					t.Errorf("%d bytes arrive of %d, or not as they were", upstream.bytes, size)
				}
				if grown := int64(upstream.heap) - int64(before); grown > 10*mega {
					t.Errorf("it takes %d bytes of memory", grown)
				}
			})
		}
	}
}

// sendLarge sends a message that is made while it is sent.
func sendLarge(t *testing.T, s *stage.Stage, login string, head, block []byte, blocks int, after []byte) (sum []byte, size int) {
	t.Helper()
	conn := s.Dial(t)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * stage.Patience))
	in := bufio.NewReader(conn)
	hash := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(conn, hash), 64<<10)
	for _, step := range []struct{ say, hear string }{
		{"", "220"}, {login, "235"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<c@d.example>\r\n", "250"}, {"DATA\r\n", "354"},
	} {
		if heard, ok := exchangeLine(conn, in, step.say, step.hear); !ok {
			t.Fatalf("heard %q, want %s", heard, step.hear)
		}
	}
	_, _ = out.Write(head)
	for range blocks {
		_, _ = out.Write(block)
	}
	_, _ = out.Write(after)
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if heard, ok := exchangeLine(conn, in, ".\r\n", "250"); !ok {
		t.Fatalf("heard %q", heard)
	}
	return hash.Sum(nil), len(head) + blocks*len(block) + len(after)
}

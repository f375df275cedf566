package proxy_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy/imap"
)

// literal is a stream of so many bytes that is the same nowhere.
type literal struct {
	left  int64
	block []byte
	count uint64
}

func newLiteral(size int64) *literal { return &literal{left: size, block: noise(64 << 10)} }

// Read returns a block, with its number in it, as far as p has room.
func (l *literal) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	binary.BigEndian.PutUint64(l.block, l.count)
	l.count++
	n := copy(p[:min(int64(len(p)), l.left)], l.block)
	l.left -= int64(n)
	return n, nil
}

// sum reads exactly size bytes and returns their checksum.
func sum(from io.Reader, size int64) (uint32, error) {
	hash := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, err := io.CopyBuffer(struct{ io.Writer }{hash}, io.LimitReader(struct{ io.Reader }{from}, size), make([]byte, 64<<10))
	return hash.Sum32(), err
}

// send writes a literal and returns its checksum.
func send(to io.Writer, size int64) (uint32, error) {
	hash := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	buffer := make([]byte, 64<<10)
	_, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(to, hash)}, newLiteral(size), buffer)
	return hash.Sum32(), err
}

// literalSize is above what 32 bits count, or, unless OAUTHPROXY_LONG is set,
// above what any buffer holds.
func literalSize() int64 {
	if os.Getenv("OAUTHPROXY_LONG") != "" {
		return 4<<30 + 4711
	}
	return 64<<20 + 4711
}

// A literal of more than 4 GB passes either way, in IMAP, with an upstream over
// TLS; what follows it too.
func TestLargeLiterals(t *testing.T) {
	size := literalSize()
	type result struct {
		sum uint32
		err error
	}
	up, down := make(chan result, 1), make(chan result, 1)
	s := stage.New(t, imap.Protocol{}, stage.Options{"log": "error"})
	s.PlayUpstream(func(conn *tls.Conn) {
		in := bufio.NewReaderSize(conn, 64<<10)
		for i, reply := range speeches[0].upstream {
			if i > 0 {
				_, _ = in.ReadString('\n')
			}
			_, _ = io.WriteString(conn, reply+"\r\n")
		}
		_, _ = in.ReadString('\n') // APPEND
		got, err := sum(in, size)
		up <- result{got, err}
		_, _ = in.ReadString('\n')
		_, _ = fmt.Fprintf(conn, "b OK APPEND completed.\r\n* 1 FETCH (BODY[] {%d}\r\n", size)
		got, err = send(conn, size)
		down <- result{got, err}
		_, _ = io.WriteString(conn, ")\r\nc OK FETCH completed.\r\n")
	})
	conn := s.Dial(t)
	in := bufio.NewReaderSize(conn, 64<<10)
	hear := func(want string) {
		t.Helper()
		if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("heard %q, %v; want %q", line, err, want)
		}
	}
	hear("* OK ")
	_, _ = fmt.Fprintf(conn, "a LOGIN %s %s\r\n", stage.User, stage.Password)
	hear("a OK ")
	_, _ = fmt.Fprintf(conn, "b APPEND Drafts {%d+}\r\n", size)
	want, err := send(conn, size)
	_, _ = io.WriteString(conn, "\r\n")
	if got := <-up; err != nil || got.err != nil || got.sum != want {
		t.Fatalf("up: %v, %v, and the bytes are the same: %v", err, got.err, got.sum == want)
	}
	hear("b OK ")
	hear(fmt.Sprintf("* 1 FETCH (BODY[] {%d}", size))
	got, err := sum(in, size)
	if want := <-down; err != nil || want.err != nil || got != want.sum {
		t.Fatalf("down: %v, %v, and the bytes are the same: %v", err, want.err, got == want.sum)
	}
	hear(")")
	hear("c OK ")
}

// A session that is idle for eight hours, renewed every 29 minutes as RFC 2177
// wants it, is still there.
func TestRelayIdleForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := overPipes(t)
		for spent := time.Duration(0); spent < 8*time.Hour; spent += 29 * time.Minute {
			say(t, r.client, "a7 IDLE\r\n")
			hear(t, r.upstream, "a7 IDLE\r\n")
			say(t, r.upstream, "+ IDLE accepted, awaiting DONE command.\r\n")
			hear(t, r.client, "+ IDLE accepted, awaiting DONE command.\r\n")
			time.Sleep(29 * time.Minute)
			say(t, r.client, "DONE\r\n")
			hear(t, r.upstream, "DONE\r\n")
			say(t, r.upstream, "a7 OK IDLE completed.\r\n")
			hear(t, r.client, "a7 OK IDLE completed.\r\n")
		}
	})
}

// counted counts what the relay does to a connection.
type counted struct {
	net.Conn
	calls atomic.Int64
}

func (c *counted) Read(p []byte) (int, error)  { c.calls.Add(1); return c.Conn.Read(p) }
func (c *counted) Write(p []byte) (int, error) { c.calls.Add(1); return c.Conn.Write(p) }
func (c *counted) SetReadDeadline(t time.Time) error {
	c.calls.Add(1)
	return c.Conn.SetReadDeadline(t)
}
func (c *counted) SetWriteDeadline(t time.Time) error {
	c.calls.Add(1)
	return c.Conn.SetWriteDeadline(t)
}

// While a client doesn't read, and while nobody says anything, the relay sleeps.
func TestRelaySleeps(t *testing.T) {
	tests := []struct {
		name string
		says io.Reader // what the upstream says, and the client doesn't read
		wait time.Duration
	}{
		{"a client that doesn't read", endless{}, 9 * time.Minute},
		{"nobody says anything", strings.NewReader(""), 64 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, clientEnd := net.Pipe()
				upstream, upstreamEnd := net.Pipe()
				counts := []*counted{{Conn: clientEnd}, {Conn: upstreamEnd}}
				_ = startRelay(t, client, counts[0], upstream, counts[1], false)
				stopped := make(chan struct{})
				go func() {
					defer close(stopped)
					_, _ = io.Copy(upstream, test.says)
				}()
				synctest.Wait()
				before := counts[0].calls.Load() + counts[1].calls.Load()
				time.Sleep(test.wait)
				synctest.Wait()
				if calls := counts[0].calls.Load() + counts[1].calls.Load() - before; calls > 0 {
					t.Errorf("%d calls while nothing can be done", calls)
				}
				_ = client.Close()
				_ = upstream.Close()
				<-stopped
			})
		})
	}
}

// A client that talks on after its upstream has gone can't keep the session.
func TestRelayTalkingToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, clientEnd := net.Pipe()
		upstream, upstreamEnd := net.Pipe()
		_ = startRelay(t, client, clientEnd, upstream, upstreamEnd, false)
		_ = upstream.Close()
		start := time.Now()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		for {
			if _, err := io.WriteString(client, "a7 NOOP\r\n"); err != nil {
				break
			}
			time.Sleep(10 * time.Second)
		}
		if took := time.Since(start); took > 11*time.Minute {
			t.Errorf("the session ended after %v", took)
		}
	})
}

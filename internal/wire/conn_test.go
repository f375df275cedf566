package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 10)
	tests := []struct {
		name, sent string
		want       []string // of a line that is too long: "!"
	}{
		{"CRLF", "a\r\nb\r\n", []string{"a", "b"}},
		{"bare LF", "a\nb\n", []string{"a", "b"}},
		{"empty lines", "\r\n\n", []string{"", ""}},
		{"CR within", "a\rb\r\n", []string{"a\rb"}},
		{"two CRs at the end", "a\r\r\n", []string{"a\r"}},
		{"as long as may be", long + "\r\n" + long + "\n", []string{long, long}},
		{"one too long", long + "x\r\n" + "a\r\n", []string{"!", "a"}},
		{"two too long", long + "xx\n" + "a\r\n", []string{"!", "a"}},
		{"far too long", strings.Repeat("x", 100_000) + "\r\n" + "a\r\n", []string{"!", "a"}},
		{"too long by its CRs", long + "\r\r\n" + "a\r\n", []string{"!", "a"}},
		{"unfinished", "a\r\nb", []string{"a"}},
	}
	for _, test := range tests {
		for _, sizes := range [][]byte{nil, {0}, {4, 0, 9}} {
			t.Run(fmt.Sprint(test.name, sizes), func(t *testing.T) {
				c := New(&chunked{text: []byte(test.sent), sizes: sizes})
				for _, want := range test.want {
					line, err := c.ReadLine(10)
					if want == "!" {
						if !errors.Is(err, ErrTooLong) {
							t.Fatalf("ReadLine = %q, %v; want ErrTooLong", line, err)
						}
					} else if err != nil || string(line) != want {
						t.Fatalf("ReadLine = %q, %v; want %q", line, err, want)
					}
				}
				if line, err := c.ReadLine(10); !errors.Is(err, net.ErrClosed) {
					t.Errorf("at the end ReadLine = %q, %v", line, err)
				}
			})
		}
	}
}

// A line without end is not skipped for ever, and not kept either.
func TestReadLineFlood(t *testing.T) {
	c := New(&chunked{text: bytes.Repeat([]byte{'x'}, 8<<20)})
	if _, err := c.ReadLine(100); !errors.Is(err, ErrFlood) {
		t.Errorf("err = %v, want ErrFlood", err)
	}
	if len(c.buf) > maxBuffer {
		t.Errorf("the buffer has grown to %d bytes", len(c.buf))
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("EHLO laptop\r\nAUTH PLAIN\n\r\r\n"), []byte{3, 0})
	f.Add([]byte("far too long a line for this test, and another\n\n"), []byte{255})
	f.Add([]byte("0123456789012345678\r\n01234567890123456789\r\n012345678901234567890\r\n"), []byte{19})
	f.Fuzz(func(t *testing.T, text, sizes []byte) {
		const max = 20
		c := New(&chunked{text: bytes.Clone(text), sizes: sizes})
		for rest := text; ; {
			want, after, found := bytes.Cut(rest, []byte{'\n'})
			rest = after
			want = bytes.TrimSuffix(want, []byte{'\r'})
			got, err := c.ReadLine(max)
			switch {
			case !found:
				if err == nil {
					t.Fatalf("ReadLine = %q at the end", got)
				}
				return
			case len(want) > maxSkipped && errors.Is(err, ErrFlood):
				return
			case len(want) > max:
				if !errors.Is(err, ErrTooLong) {
					t.Fatalf("ReadLine = %q, %v; want ErrTooLong", got, err)
				}
			case err != nil || !bytes.Equal(got, want):
				t.Fatalf("ReadLine = %q, %v; want %q", got, err, want)
			}
		}
	})
}

func TestReadFull(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), maxBuffer/5)
	c := New(&chunked{text: bytes.Clone(text), sizes: []byte{200, 3}})
	for _, n := range []int{0, 1, 5000, maxBuffer, 7} {
		got, err := c.ReadFull(n)
		if err != nil || !bytes.Equal(got, text[:n]) {
			t.Fatalf("ReadFull(%d) = %d bytes, %v", n, len(got), err)
		}
		text = text[n:]
	}
	if _, err := c.ReadFull(maxBuffer + 1); !errors.Is(err, ErrFlood) {
		t.Errorf("too many: err = %v, want ErrFlood", err)
	}
	if _, err := c.ReadFull(-1); !errors.Is(err, ErrFlood) {
		t.Errorf("negative: err = %v, want ErrFlood", err)
	}
	if len(c.buf) > maxBuffer {
		t.Errorf("the buffer has grown to %d bytes", len(c.buf))
	}
}

// Read hands out what was read ahead, then what comes.
func TestReadAndUnread(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "DATA\r\nhello\r\n.\r\nQUIT\r\nNOOP\r\n")
	wantLine(t, c, "DATA")
	p := make([]byte, 64)
	n, err := c.Read(p)
	if err != nil || !strings.HasPrefix(string(p[:n]), "hello") {
		t.Fatalf("Read = %q, %v", p[:n], err)
	}
	c.Unread(p[len("hello\r\n.\r\n"):n])
	wantLine(t, c, "QUIT")
	wantLine(t, c, "NOOP")
	c.Unread(nil)
	c.Unread([]byte("RSET\r\n"))
	send(t, peer, "HELP\r\n")
	wantLine(t, c, "RSET")
	n, err = c.Read(p)
	if err != nil || string(p[:n]) != "HELP\r\n" {
		t.Errorf("Read = %q, %v", p[:n], err)
	}
}

// What is put back goes before what was read ahead behind it.
func TestUnreadBeforeReadAhead(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "DATA\r\n0123456789\r\nQUIT\r\n")
	wantLine(t, c, "DATA")
	p := make([]byte, 4)
	if n, err := c.Read(p); err != nil || n != 4 {
		t.Fatalf("Read = %d, %v", n, err)
	}
	c.Unread(p[1:])
	wantLine(t, c, "123456789")
	wantLine(t, c, "QUIT")
}

func TestNextIs(t *testing.T) {
	tests := []struct {
		ahead string
		want  bool
	}{
		{"RCPT TO:<a>\r\n", true},
		{"rcpt TO:<a>\r\n", true},
		{"RCPT TO:<a>", false},
		{"RCPT\r\n", false},
		{"DATA\r\nRCPT TO:<a>\r\n", false},
		{"", false},
	}
	for _, test := range tests {
		c := New(&chunked{text: []byte("NOOP\r\n" + test.ahead)})
		wantLine(t, c, "NOOP")
		if got := c.NextIs("RCPT "); got != test.want {
			t.Errorf("%q: NextIs = %v", test.ahead, got)
		}
	}
}

// The hand-over to a relay takes all that was read ahead, flushes, and leaves
// no password behind.
func TestBuffered(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "PASS secret\r\nSTAT\r\nLI")
	wantLine(t, c, "PASS secret")
	buffer := c.first
	c.Printf("+OK Logged in")
	ahead, err := c.Buffered()
	if err != nil || string(ahead) != "STAT\r\nLI" {
		t.Fatalf("Buffered = %q, %v", ahead, err)
	}
	wantHeard(t, peer, "+OK Logged in\r\n")
	if bytes.Contains(buffer[:], []byte("secret")) {
		t.Error("the password is still in the pooled buffer")
	}
	if c.buf != nil || c.out != nil || c.first != nil {
		t.Error("buffers are kept")
	}
	if ahead, err := c.Buffered(); err != nil || len(ahead) != 0 {
		t.Errorf("the second time: %q, %v", ahead, err)
	}
}

// ReadTimeout is for the line, not for each of its bytes.
func TestReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		c := New(here)
		c.ReadTimeout = 10 * time.Second
		var slow sync.WaitGroup
		defer slow.Wait()
		defer there.Close()
		slow.Go(func() {
			for {
				time.Sleep(time.Second)
				if _, err := there.Write([]byte{'x'}); err != nil {
					return
				}
			}
		})
		start := time.Now()
		_, err := c.ReadLine(1000)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// The limit goes before the timeouts.
func TestSetLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		defer here.Close()
		c := New(here)
		c.ReadTimeout, c.WriteTimeout = time.Minute, time.Minute
		start := time.Now()
		c.SetLimit(start.Add(5 * time.Second))
		if _, err := c.ReadLine(10); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ReadLine: %v", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("ReadLine took %v", took)
		}
		c.Farewell(time.Second)
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("Write took %v more", took-5*time.Second)
		}
		c.SetLimit(time.Time{})
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
		if took := time.Since(start); took != 66*time.Second {
			t.Errorf("Write took %v more", took-6*time.Second)
		}
	})
}

func TestInterrupt(t *testing.T) {
	t.Run("while reading", func(t *testing.T) {
		c, peer := connect(t)
		c.Printf("+OK ready")
		done := make(chan error)
		go func() {
			_, err := c.ReadLine(10)
			done <- err
		}()
		wantHeard(t, peer, "+OK ready\r\n") // so it is about to wait, or waits
		c.Interrupt()
		if err := <-done; !errors.Is(err, ErrInterrupted) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("before reading", func(t *testing.T) {
		c, peer := connect(t)
		send(t, peer, "a\r\nb\r\n")
		wantLine(t, c, "a")
		c.Interrupt()
		wantLine(t, c, "b") // has been read ahead
		if _, err := c.ReadLine(10); !errors.Is(err, ErrInterrupted) {
			t.Errorf("err = %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrInterrupted) {
			t.Errorf("err = %v", err)
		}
		c.Printf("* BYE")
		if err := c.Flush(); err != nil {
			t.Errorf("telling the peer why: %v", err)
		}
		wantHeard(t, peer, "* BYE\r\n")
		if !c.Interrupted() {
			t.Error("Interrupted = false")
		}
	})
	t.Run("before a handshake", func(t *testing.T) {
		c, _ := connect(t)
		c.Interrupt()
		if err := c.AcceptTLS(serverTLS(t), patience); !errors.Is(err, ErrInterrupted) {
			t.Errorf("err = %v", err)
		}
	})
}

// A shielded stream is read to its end; what comes after it isn't.
func TestShield(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			c, tcp := connect(t)
			var peer net.Conn = tcp
			if secure {
				peer = startTLS(t, c, tcp)
			}
			c.Shield(true)
			c.Printf("354 go")
			read := make(chan string)
			go func() {
				p := make([]byte, 64)
				for range 2 {
					n, err := c.Read(p)
					read <- fmt.Sprint(string(p[:n]), " ", err)
				}
			}()
			wantHeard(t, peer, "354 go\r\n")
			c.Interrupt()
			for _, text := range []string{"one", "two"} {
				send(t, peer, text)
				if got := <-read; got != text+" <nil>" {
					t.Errorf("Read = %s", got)
				}
			}
			c.Shield(false)
			if _, err := c.ReadLine(10); !errors.Is(err, ErrInterrupted) {
				t.Errorf("ReadLine: %v", err)
			}
		})
	}
}

// A shield doesn't keep a silent client for ever.
func TestShieldTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		defer here.Close()
		c := New(here)
		c.ReadTimeout = time.Minute
		c.Shield(true)
		c.Interrupt()
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

func TestEnd(t *testing.T) {
	c, peer := connect(t)
	send(t, peer, "half a li")
	_ = peer.CloseWrite()
	if _, err := c.ReadLine(100); !errors.Is(err, io.EOF) {
		t.Errorf("err = %v, want EOF", err)
	}
	c.Printf("bye")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wantHeard(t, peer, "bye\r\n")
	if _, err := c.ReadLine(100); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

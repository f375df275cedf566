package evidence

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A message of a mebibyte through a proxy of go-smtp's server and client.
func BenchmarkMessageThroughGoSMTP(b *testing.B) {
	benchmarkMessage(b, newRelay(b, newUpstream(b, false)))
}

// The same through a relay of bytes, which is the least that it can cost.
func BenchmarkMessageThroughByteRelay(b *testing.B) {
	benchmarkMessage(b, newByteRelay(b, newUpstream(b, false)))
}

func benchmarkMessage(b *testing.B, address string) {
	message := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1<<20/78) + ".\r\n"
	p := dial(b, address)
	p.hear()
	p.ask("EHLO client")
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		_ = p.SetDeadline(time.Now().Add(patience))
		p.ask("MAIL FROM:<a@b.example>")
		p.ask("RCPT TO:<c@d.example>")
		p.ask("DATA")
		p.say(message)
		if reply := p.hear(); reply[0] != '2' {
			b.Fatal(reply)
		}
	}
}

func newByteRelay(t testing.TB, u *upstream) string {
	ln := listen(t)
	var running sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); running.Wait() })
	running.Go(func() {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		up, err := net.Dial("tcp", u.address)
		if err != nil {
			return
		}
		running.Go(func() { _, _ = io.Copy(client, up) })
		// Hidden, so that the copy isn't left to the kernel: over TLS, as
		// with Exchange, it can't be.
		_, _ = io.Copy(struct{ io.Writer }{up}, struct{ io.Reader }{client})
		_ = up.Close()
	})
	return ln.Addr().String()
}

package proxy_test

import (
	"net"
	"syscall"
	"testing"

	"oauthproxy/proxy/pop3"
)

// A peer that has vanished without a word is noticed, on either side: TCP asks
// after 75 seconds of silence, and five times more.
func TestKeepAlive(t *testing.T) {
	b := newBubble(t, pop3.Protocol{}, tokens(oneToken))
	_, there := tcpPair(t)
	if err := there.SetKeepAlive(false); err != nil {
		t.Fatal(err)
	}
	b.Accept(there, &b.listener)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	upstream, err := b.Dial(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	for side, conn := range map[string]net.Conn{"client": there, "upstream": upstream} {
		want := map[string][3]int{
			"SO_KEEPALIVE":  {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			"TCP_KEEPIDLE":  {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 75},
			"TCP_KEEPINTVL": {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15},
			"TCP_KEEPCNT":   {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 5},
		}
		for name, option := range want {
			if got := socketOption(t, conn.(*net.TCPConn), option[0], option[1]); got != option[2] {
				t.Errorf("%s, %s is %d, want %d", side, name, got, option[2])
			}
		}
	}
}

func socketOption(t *testing.T, conn *net.TCPConn, level, option int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { value, failed = syscall.GetsockoptInt(int(fd), level, option) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return value
}

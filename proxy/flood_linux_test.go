package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy/pop3"
)

// floodDescriptors are what the test and the proxy need beside the flood.
const floodDescriptors = 3000

// floodSize is how many idle connections there can be here.
func floodSize(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	size := min(10_000, int(min(limit.Cur, 1<<30))-floodDescriptors)
	if size < 2000 {
		t.Skipf("%d descriptors are too few", limit.Cur)
	}
	return size
}

// dialFrom connects to a stage from one of the addresses 127.0.0.0/8.
func dialFrom(ctx context.Context, s *stage.Stage, from net.IP) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: stage.Patience}
	return dialer.DialContext(ctx, "tcp", s.Listener.Addr().String())
}

// logInFrom is a POP3 session up to its login.
func logInFrom(s *stage.Stage, from net.IP) error {
	conn, err := dialFrom(context.Background(), s, from)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(stage.Patience))
	if _, err := io.WriteString(conn, popLogin); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	for range 2 {
		if _, err := in.ReadString('\n'); err != nil {
			return err
		}
	}
	if line, err := in.ReadString('\n'); err != nil || line != "+OK Logged in\r\n" {
		return errors.Join(errors.New(line), err)
	}
	return nil
}

// Ten thousand connections that come and say nothing, from one address or from
// as many as there are, stop no login: neither while they come nor after. One
// from the flood's own address may have to come back while that lasts: until it
// has shown its credentials nothing tells it from the others.
func TestTenThousandIdleConnections(t *testing.T) {
	for name, from := range map[string]func(i int) net.IP{
		"from one address":     func(int) net.IP { return net.IPv4(127, 9, 9, 9) },
		"from many addresses":  func(i int) net.IP { return net.IPv4(127, 9, byte(i>>8), byte(i)) },
		"from the same as one": func(int) net.IP { return net.IPv4(127, 1, 1, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := stage.New(t, pop3.Protocol{}, stage.Options{"log": "error"})
			s.PlayUpstream(popAccept)
			size := floodSize(t)
			idle := make([]net.Conn, 0, size)
			defer func() {
				for _, conn := range idle {
					_ = conn.Close()
				}
			}()
			var flood sync.WaitGroup
			flood.Go(func() {
				for i := range size {
					conn, err := dialFrom(t.Context(), s, from(i))
					if err != nil {
						t.Errorf("connection %d: %v", i, err)
						return
					}
					idle = append(idle, conn)
				}
			})
			flooded := make(chan struct{})
			go func() { flood.Wait(); close(flooded) }()
			logins := 0
			for over := false; !over; logins++ {
				select {
				case <-flooded:
					over = true // one more, behind all of them
				default:
				}
				one := net.IPv4(127, 1, 1, 1)
				err := logInFrom(s, one)
				for tries := 1; err != nil && tries < 3 && !over && from(0).Equal(one); tries++ {
					err = logInFrom(s, one)
				}
				if err != nil {
					t.Errorf("login %d: %v", logins, err)
				}
			}
			t.Logf("%d logins beside %d idle connections", logins, len(idle))
		})
	}
}

// Where idle connections take all descriptors, they make way for those who log
// in.
func TestNoDescriptorsLeft(t *testing.T) {
	s := stage.New(t, pop3.Protocol{}, stage.Options{"log": "error"})
	s.PlayUpstream(popAccept)
	// The clients are there before descriptors become scarce: they are the
	// same process.
	var idle []*client
	for range 100 {
		c := stageClient(t, s)
		c.hear(t, "+OK ")
		idle = append(idle, c)
	}
	one := stageClient(t, s)
	one.hear(t, "+OK ")
	restore := useUpDescriptors(t)
	defer restore()
	one.say(t, popLogin)
	one.hear(t, "+OK ")
	one.hear(t, "+OK Logged in")
	idle[0].hear(t, "-ERR [SYS/TEMP] too many connections")
}

// useUpDescriptors leaves the process none.
func useUpDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	scarce := before
	scarce.Cur = uint64(len(open) + 20)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &scarce); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for {
		file, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, file)
	}
	return func() {
		for _, file := range files {
			_ = file.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
}

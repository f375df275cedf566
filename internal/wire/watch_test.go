package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// watchCase runs test over TCP and over TLS.
func watchCase(t *testing.T, name string, test func(t *testing.T, c *Conn, peer net.Conn)) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
			c, tcp := connect(t)
			if !secure {
				test(t, c, tcp)
				return
			}
			test(t, c, startTLS(t, c, tcp))
		})
	}
}

func TestWatch(t *testing.T) {
	watchCase(t, "silence", func(t *testing.T, c *Conn, peer net.Conn) {
		for range 3 {
			c.Watch()
			if _, err := c.Write([]byte("a stream")); err != nil {
				t.Fatal(err)
			}
			if spoke, err := c.Unwatch(); spoke || err != nil {
				t.Fatalf("Unwatch = %v, %v", spoke, err)
			}
			wantHeard(t, peer, "a stream")
		}
		send(t, peer, "250 ok\r\n")
		wantLine(t, c, "250 ok")
	})
	watchCase(t, "speech", func(t *testing.T, c *Conn, peer net.Conn) {
		c.Watch()
		send(t, peer, "421 closing\r\n")
		<-c.watch.done
		spoke, err := c.Unwatch()
		if !spoke || err != nil {
			t.Fatalf("Unwatch = %v, %v", spoke, err)
		}
		wantLine(t, c, "421 closing")
	})
	watchCase(t, "speech before", func(t *testing.T, c *Conn, peer net.Conn) {
		send(t, peer, "250 ok\r\n250 once more\r\n")
		wantLine(t, c, "250 ok")
		c.Watch()
		spoke, err := c.Unwatch()
		if !spoke || err != nil {
			t.Fatalf("Unwatch = %v, %v", spoke, err)
		}
		wantLine(t, c, "250 once more")
	})
	watchCase(t, "end", func(t *testing.T, c *Conn, peer net.Conn) {
		c.Watch()
		if err := peer.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		<-c.watch.done
		spoke, err := c.Unwatch()
		if spoke || !errors.Is(err, io.EOF) {
			t.Fatalf("Unwatch = %v, %v", spoke, err)
		}
	})
	watchCase(t, "abort", func(t *testing.T, c *Conn, peer net.Conn) {
		c.Watch()
		c.Abort()
		if spoke, err := c.Unwatch(); spoke || err == nil {
			t.Fatalf("Unwatch = %v, %v", spoke, err)
		}
	})
}

// A watch that can't begin has ended.
func TestWatchAfterClose(t *testing.T) {
	c, _ := connect(t)
	c.Abort()
	c.Watch()
	if spoke, err := c.Unwatch(); spoke || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Unwatch = %v, %v", spoke, err)
	}
}

package proxy_test

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
)

// night is a server before an Entra ID and an Exchange that fail when told to.
type night struct {
	*bubble
	entraDown, refused atomic.Bool
}

func newNight(t *testing.T) *night {
	n := new(night)
	n.bubble = newBubble(t, imap.Protocol{}, tokens(func(context.Context) (wire.Secret, error) {
		if n.entraDown.Load() {
			return wire.Secret{}, &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: errors.New("login.microsoftonline.com can't be reached")}
		}
		return wire.NewSecret("token"), nil
	}))
	n.dials(func(conn net.Conn) {
		words := speech{Protocol: imap.Protocol{}, upstream: []string{"* OK ready", "+ ", "P1 OK", "P2 OK", "P3 OK"}}
		if n.refused.Load() {
			words.upstream = []string{"* OK ready", "+ ", "P1 OK", "P2 OK\r\nP3 BAD User is authenticated but not connected."}
		}
		words.serve(conn, len(words.upstream))
	})
	return n
}

// devices let forty of them log in, one after the other within a minute. None
// does in the same moment as a summary.
func (n *night) devices(t *testing.T, minutes int) {
	t.Helper()
	for range minutes {
		for range 40 {
			c := n.connect(t)
			c.hear(t, "* OK ")
			c.say(t, "a LOGIN alice secret\r\n")
			c.hear(t, "a ")
			_ = c.Close()
			time.Sleep(time.Minute/40 - time.Millisecond)
		}
	}
}

// TestNight: Entra ID is down from 23:00 to 23:20, later Exchange refuses the
// mailbox for half an hour, and forty devices try every minute. The log tells
// that in lines that a person can read.
func TestNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t)
		time.Sleep(23 * time.Hour) // the bubble's clock begins at midnight, UTC
		n.entraDown.Store(true)
		n.devices(t, 20)
		n.entraDown.Store(false)
		n.devices(t, 1)
		n.refused.Store(true)
		n.devices(t, 30)
		n.refused.Store(false)
		n.devices(t, 1)
		n.stop()
		var story []string
		for line := range strings.Lines(n.log.String()) {
			// A pipe has no end of one direction alone: sessions end early here.
			if !strings.Contains(line, `msg="logged in"`) && !strings.Contains(line, `msg="session ended early"`) && !strings.Contains(line, `msg="session closed"`) {
				story = append(story, shortened(line))
			}
		}
		want := []string{
			`23:00:00 WARN refused login=alice reason="token unavailable" cause="login.microsoftonline.com can't be reached"`,
			`23:10:00 WARN "still refused" reason="token unavailable" times=400 cause="login.microsoftonline.com can't be reached"`,
			`23:19:59 INFO "works again" times=800`,
			`23:20:59 WARN refused login=alice reason="upstream refused" cause="Exchange said: P3 BAD User is authenticated but not connected."` + notConnected,
			`23:30:59 WARN "still refused" reason="upstream refused" times=400 cause="Exchange said: P3 BAD User is authenticated but not connected."` + notConnected,
			`23:40:59 WARN "still refused" reason="upstream refused" times=400 cause="Exchange said: P3 BAD User is authenticated but not connected."` + notConnected,
			`23:50:59 WARN "still refused" reason="upstream refused" times=400 cause="Exchange said: P3 BAD User is authenticated but not connected."` + notConnected,
			`23:51:03 INFO "works again" times=1204`, // a refusal is remembered for a moment,
		}
		if len(story) != len(want) {
			t.Errorf("%d lines, want %d", len(story), len(want))
		}
		for i, line := range want {
			if i >= len(story) || !strings.HasPrefix(story[i], line) {
				t.Errorf("line %d isn't %s", i, line)
			}
		}
		t.Log("the night:\n" + strings.Join(story, "\n"))
	})
}

const notConnected = ` means="Exchange takes the token and doesn't open the mailbox for IMAP" remedy="switch IMAP on for the mailbox`

var (
	clockTime = regexp.MustCompile(`^time=\S+T(\S+?)(?:\.\d+)?Z level=(\S+) msg=`)
	usual     = regexp.MustCompile(` (session|client|protocol|account|phase|since)=("[^"]*"|\S+)`)
)

// shortened is a line without what is the same in all.
func shortened(line string) string {
	return usual.ReplaceAllString(clockTime.ReplaceAllString(strings.TrimSpace(line), "$1 $2 "), "")
}

//go:build linux

package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// longestMix is how long the mixes of CR, LF, dots and letters are: the end of
// a message is no longer.
const longestMix = 5

// TestSmuggling sends messages that hold every mix of CR, LF, dots and letters,
// in the middle and at the end, straight to Postfix and through the proxy.
// What the proxy takes arrives as it does straight, and never as more messages
// than its client has had verdicts for, though there is a whole message of
// somebody else behind the mix ("SMTP smuggling", 2023). What the proxy finds
// ambiguous it refuses.
func TestSmuggling(t *testing.T) {
	servers := startedServers(t, &runningWithPasswords, true)
	w := newWatcher(t, servers.ports["watcher"])
	var directly map[string]outcome
	outcomes := make(map[string]map[string]outcome)
	var mu sync.Mutex
	t.Run("all ways", func(t *testing.T) {
		t.Run("directly", func(t *testing.T) {
			t.Parallel()
			straight := servers.newService("imaps", "pop3s", "watched")
			mailbox := straight.mailboxes()[0]
			directly = sendMixes(w, mailbox, func() *client {
				c := dial(t, straight.host("smtp").Address)
				c.begin("smtp", startTLS)
				c.logIn("smtp", mailbox, directPassword)
				return c
			})
		})
		for _, port := range []string{"watched", "unchunked"} {
			s := newSite(t, servers.newService("imaps", "pop3s", port))
			login, device := s.mailboxes()[1], s.mailboxes()[0]
			t.Run(port, func(t *testing.T) {
				t.Parallel()
				got := sendMixes(w, login, func() *client {
					c := s.connect(t, "smtp", none)
					c.logIn("smtp", login, shared.password)
					return c
				})
				mu.Lock()
				defer mu.Unlock()
				outcomes[port] = got
			})
			t.Run(port+", from a device", func(t *testing.T) {
				t.Parallel()
				got := sendMixes(w, device, func() *client {
					c := dialFrom(t, deviceAddress, s.address("smtp", none))
					c.expect("220 ")
					return c
				})
				mu.Lock()
				defer mu.Unlock()
				outcomes[port+", from a device"] = got
			})
		}
	})
	for way, got := range outcomes {
		t.Run("compared: "+way, func(t *testing.T) { compareMixes(t, directly, got) })
	}
}

// mixes returns all mixes. Of the longest, those alone that begin with a line
// end, and hold a dot and an LF: others hold no more than a shorter one does.
func mixes() (all []string) {
	last := []string{""}
	for range longestMix {
		var longer []string
		for _, mix := range last {
			for _, next := range "\r\n.x" {
				longer = append(longer, mix+string(next))
			}
		}
		all, last = append(all, longer...), longer
	}
	return slices.DeleteFunc(all, func(mix string) bool {
		interesting := strings.ContainsAny(mix[:1], "\r\n") && strings.Contains(mix, ".") && strings.Contains(mix, "\n")
		return len(mix) == longestMix && !interesting
	})
}

// outcome is what becomes of a text that a client sends behind DATA.
type outcome struct {
	verdicts []string // the replies to messages
	arrived  []string
}

func (o outcome) accepted() (n int) {
	for _, verdict := range o.verdicts {
		if strings.HasPrefix(verdict, "250 ") {
			n++
		}
	}
	return n
}

// sendMixes sends all mixes, on as few connections as will do, and returns the
// outcomes by mix.
func sendMixes(w *watcher, mailbox string, connect func() *client) map[string]outcome {
	const header = "Date: x\r\nMessage-ID: <1@x>\r\nFrom: <a@interop.example>\r\n\r\n"
	begin := "MAIL FROM:<" + mailbox + ">\r\nRCPT TO:<" + mailbox + ">\r\nDATA\r\n"
	outcomes := make(map[string]outcome)
	var c *client
	for _, mix := range mixes() {
		if c == nil {
			c = connect()
		}
		c.send(begin)
		for _, code := range []string{"250 ", "250 ", "354 "} {
			c.expect(code)
		}
		c.send(header + "line" + mix + begin + header + "smuggled" + mix + "\r\n.\r\n")
		verdicts, ended := c.verdicts(mailbox)
		outcomes[mix] = outcome{verdicts, w.take(mailbox)}
		if ended {
			c.conn.Close()
			c = nil
		}
	}
	if c != nil {
		c.conn.Close()
	}
	return outcomes
}

// ambiguous begins the proxy's refusal of a message whose end is ambiguous.
const ambiguous = "550 5.6.0 "

// verdicts returns the replies to messages, the first of which is due. A VRFY
// shows when there are no more.
func (c *client) verdicts(mailbox string) (all []string, ended bool) {
	c.t.Helper()
	for due := true; ; {
		line, err := c.in.ReadString('\n')
		switch {
		case err == io.EOF:
			return all, true
		case err != nil:
			c.t.Fatal(err)
		case due && strings.HasPrefix(line, ambiguous):
			return append(all, line), true
		case due:
			if all = append(all, line); len(all) == 1 {
				c.say("RSET\r\nVRFY %s", mailbox)
			}
		case strings.HasPrefix(line, "252 "):
			return all, false
		}
		due = strings.HasPrefix(line, "354 ")
	}
}

func compareMixes(t *testing.T, want, got map[string]outcome) {
	t.Helper()
	refused := 0
	for mix, direct := range want {
		proxied := got[mix]
		if len(proxied.arrived) > proxied.accepted() {
			t.Errorf("%q: %d messages arrive, after the verdicts %q", mix, len(proxied.arrived), proxied.verdicts)
		}
		switch {
		case len(proxied.verdicts) == 1 && strings.HasPrefix(proxied.verdicts[0], ambiguous):
			if refused++; len(proxied.arrived) > 0 {
				t.Errorf("%q is refused and arrives all the same", mix)
			}
		case proxied.accepted() != direct.accepted():
			t.Errorf("%q: the verdicts are %q, directly %q", mix, proxied.verdicts, direct.verdicts)
		case !slices.Equal(proxied.arrived, direct.arrived):
			t.Errorf("%q: what arrives is %q, directly %q", mix, proxied.arrived, direct.arrived)
		}
	}
	if refused == 0 || refused > len(want)/4 {
		t.Errorf("%d of %d are refused", refused, len(want))
	}
}

// watcher takes what Postfix has understood to be a message.
type watcher struct {
	mu      sync.Mutex
	arrived map[string][]string // by recipient
}

func newWatcher(t *testing.T, port int) *watcher {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{arrived: make(map[string][]string)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				w.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return w
}

// take returns what has arrived for a mailbox, and forgets it.
func (w *watcher) take(mailbox string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	arrived := w.arrived[mailbox]
	delete(w.arrived, mailbox)
	return arrived
}

func (w *watcher) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	var recipient string
	for reply := "220 ready"; ; {
		if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		reply = "250 ok"
		if to, ok := strings.CutPrefix(line, "RCPT TO:<"); ok {
			recipient, _, _ = strings.Cut(to, ">")
		}
		if line != "DATA\r\n" {
			continue
		}
		if _, err := io.WriteString(conn, "354 go\r\n"); err != nil {
			return
		}
		var text strings.Builder
		for line = ""; line != ".\r\n"; text.WriteString(strings.TrimPrefix(line, ".")) {
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
		w.mu.Lock()
		w.arrived[recipient] = append(w.arrived[recipient], normalise(withoutTrace(text.String())))
		w.mu.Unlock()
	}
}

// withoutTrace returns a message without the fields that Postfix adds.
func withoutTrace(message string) string {
	_, text, _ := strings.Cut(message, "Date: x")
	return text
}

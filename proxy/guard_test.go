package proxy_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/proxy/pop3"
)

var (
	here   = netip.MustParseAddr("192.0.2.1")
	beside = netip.MustParseAddr("192.0.2.2")
)

const (
	rightAnswer = "+OK Logged in"
	wrongAnswer = "-ERR [AUTH] "
	busyAnswer  = "-ERR [SYS/TEMP] "
)

// attempt logs in from an address and returns the first words of the answer,
// and how long it took.
func (b *bubble) attempt(t testing.TB, from netip.Addr, user, password string) (answer string, took time.Duration) {
	t.Helper()
	c := b.connectFrom(t, from)
	defer c.Close()
	if _, err := c.in.ReadString('\n'); err != nil {
		return err.Error(), 0 // had to make way
	}
	start := time.Now()
	response := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	if _, err := io.WriteString(c, "AUTH PLAIN "+response+"\r\n"); err != nil {
		return err.Error(), 0
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return err.Error(), time.Since(start)
	}
	for _, known := range []string{rightAnswer, wrongAnswer, busyAnswer} {
		if strings.HasPrefix(line, known) {
			line = known
		}
	}
	return line, time.Since(start)
}

// wantAnswer checks an attempt.
func (b *bubble) wantAnswer(t testing.TB, from netip.Addr, user, password, answer string, after time.Duration) {
	t.Helper()
	if got, took := b.attempt(t, from, user, password); got != answer || took != after {
		t.Errorf("%s at %v hears %q after %v, want %q after %v", user, from, got, took, answer, after)
	}
}

// newGuarded returns a POP3 server with the logins alice and user0 to user39,
// and an upstream that lets everybody in.
func newGuarded(t testing.TB) *bubble {
	t.Helper()
	logins := []accounts.Login{{User: "alice", PasswordHash: passwordHash()}}
	for i := range 40 {
		logins = append(logins, accounts.Login{User: fmt.Sprint("user", i), PasswordHash: passwordHash()})
	}
	b := newBubbleFor(t, pop3.Protocol{}, tokens(oneToken), logins)
	b.dials(func(conn net.Conn) { speeches[1].serve(conn, 3) })
	return b
}

// Wrong passwords for one login at one address have to wait longer and longer,
// and so has the right one there; at another address nobody waits. The right one
// ends it.
func TestGuessingALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		for _, seconds := range []time.Duration{0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 25, 25} {
			b.wantAnswer(t, here, "alice", "wrong", wrongAnswer, seconds*time.Second)
			b.wantAnswer(t, beside, "alice", password, rightAnswer, 0)
			b.wantAnswer(t, here, "user1", password, rightAnswer, 0)
		}
		b.wantAnswer(t, here, "ALICE", password, rightAnswer, 25*time.Second)
		b.wantAnswer(t, here, "alice", password, rightAnswer, 0)
		b.wantAnswer(t, here, "alice", "wrong", wrongAnswer, 0)
	})
}

// An IPv6 client that changes its address is still the same.
func TestGuessingFromAnIPv6Network(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		for i, seconds := range []time.Duration{0, 0, 0, 0, 0, 1, 2} {
			from := netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))
			b.wantAnswer(t, from, "alice", "wrong", wrongAnswer, seconds*time.Second)
		}
		b.wantAnswer(t, netip.MustParseAddr("2001:db8:0:1::1"), "alice", "wrong", wrongAnswer, 0)
	})
}

// Forty scanners behind one address, one of which has a wrong password and tries
// it every ten seconds: the others notice nothing.
func TestOneWrongPasswordAmongForty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		for range 20 {
			b.attempt(t, here, "user0", "wrong")
			for i := 1; i < 40; i++ {
				b.wantAnswer(t, here, fmt.Sprint("user", i), password, rightAnswer, 0)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// Where many logins fail at one address, those who are not known there wait,
// and get in later; those who are known don't wait, nor does another address.
func TestGuessingManyLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		b.wantAnswer(t, here, "user1", password, rightAnswer, 0)
		for i, seconds := range []time.Duration{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 25, 25, 25} {
			b.wantAnswer(t, here, fmt.Sprint("nobody", i), "wrong", wrongAnswer, seconds*time.Second)
			b.wantAnswer(t, here, "user1", password, rightAnswer, 0)
			b.wantAnswer(t, beside, "user2", password, rightAnswer, 0)
		}
		b.wantAnswer(t, here, "user2", password, rightAnswer, 25*time.Second)
		b.wantAnswer(t, here, "user3", password, rightAnswer, 0) // nobody has failed since
		b.wantAnswer(t, here, "nobody0", "wrong", wrongAnswer, 0)
		b.wantAnswer(t, here, "user4", password, rightAnswer, 25*time.Second)
	})
}

// A hundred connections that guess side by side get no further than one, while
// a device at another address works at full speed.
func TestBruteForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		end := time.Now().Add(10 * time.Minute)
		var guessing sync.WaitGroup
		var mu sync.Mutex
		looked := 0
		for range 100 {
			guessing.Go(func() {
				for time.Now().Before(end) {
					answer, _ := b.attempt(t, here, "alice", "wrong")
					mu.Lock()
					if answer == wrongAnswer {
						looked++
					}
					mu.Unlock()
				}
			})
		}
		for time.Now().Before(end) {
			b.wantAnswer(t, beside, "alice", password, rightAnswer, 0)
			time.Sleep(time.Second)
		}
		guessing.Wait()
		if most := 5 + 5 + 600/25 + 1; looked < 20 || looked > most {
			t.Errorf("%d guesses were looked at, want %d at the most", looked, most)
		}
	})
}

// delayed returns a client whose attempt waits for half a minute or so.
func (b *bubble) delayed(t *testing.T) *client {
	t.Helper()
	for range 11 {
		b.attempt(t, here, "alice", "wrong")
	}
	c := b.connectFrom(t, here)
	c.hear(t, "+OK ")
	c.say(t, speeches[1].login)
	synctest.Wait()
	return c
}

// Who waits is not held up by it: neither when the client goes, nor when the
// proxy stops, nor when others come that need the place.
func TestEndOfAWait(t *testing.T) {
	tests := []struct {
		name  string
		end   func(t *testing.T, b *bubble, c *client)
		hears string
	}{
		{"the client goes", func(_ *testing.T, _ *bubble, c *client) { _ = c.Close() }, ""},
		{"the proxy stops", func(_ *testing.T, b *bubble, _ *client) { go b.stop() }, "-ERR [SYS/TEMP] the proxy is restarting"},
		{"others come", func(t *testing.T, b *bubble, _ *client) {
			for range 200 {
				c := b.connectFrom(t, here)
				go func() { _, _ = io.Copy(io.Discard, c) }()
			}
		}, "-ERR [SYS/TEMP] too many connections"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newGuarded(t)
				c := b.delayed(t)
				start := time.Now()
				test.end(t, b, c)
				if test.hears != "" {
					c.hear(t, test.hears)
					c.hearEnd(t)
				}
				b.stop()
				if took := time.Since(start); took != 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A client that goes on talking while it waits is still answered in its turn,
// unless it says far too much.
func TestTalkingWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		c := b.delayed(t)
		start := time.Now()
		for range 10 {
			c.say(t, "NOOP\r\n")
			time.Sleep(time.Second)
		}
		c.hear(t, rightAnswer)
		if took := time.Since(start); took != 25*time.Second {
			t.Errorf("it took %v", took)
		}
		c = b.delayed(t)
		start = time.Now()
		go func() { _, _ = io.WriteString(c, strings.Repeat("NOOP\r\n", 10_000)) }()
		c.hear(t, busyAnswer+"too many failed logins from this address")
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// More than can have their turn in time hear that they should come again, and
// not that their password is wrong.
func TestNoTurnInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		for range 11 {
			b.attempt(t, here, "alice", "wrong")
		}
		var both sync.WaitGroup
		both.Go(func() { b.wantAnswer(t, here, "alice", "wrong", wrongAnswer, 25*time.Second) })
		synctest.Wait()
		both.Go(func() { b.wantAnswer(t, here, "alice", password, busyAnswer, 30*time.Second) })
		both.Wait()
		time.Sleep(time.Second)
		b.wantAnswer(t, here, "alice", password, rightAnswer, 19*time.Second)
	})
}

// Refusals that are the same have one line, and then one a minute.
func TestRefusalsAreSummarised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newGuarded(t)
		count := func(want ...string) int {
			n := 0
			for line := range strings.Lines(b.log.String()) {
				if hasLine(line, want) {
					n++
				}
			}
			return n
		}
		for range 40 { // one each 10 s or so: 6 min and more
			b.attempt(t, here, "alice", "wrong")
			b.attempt(t, beside, "alice", "wrong")
			b.attempt(t, here, "user1", "wrong")
			time.Sleep(10 * time.Second)
		}
		b.stop()
		if n := count("msg=refused"); n != 3 {
			t.Errorf("%d lines for the first refusals", n)
		}
		again, times := 0, 0
		for line := range strings.Lines(b.log.String()) {
			if hasLine(line, []string{`msg="refused again"`, "client=192.0.2.1", "login=alice"}) {
				var n int
				_, _ = fmt.Sscanf(line[strings.Index(line, "times="):], "times=%d", &n)
				again, times = again+1, times+n
			}
		}
		if again < 6 || times != 39 {
			t.Errorf("%d lines tell of %d more", again, times)
		}
		if n := count(`msg="refused again"`, `reason="bad credentials"`, `cause="`, "protocol=pop3", "session="); n < 3*again-2 {
			t.Errorf("%d lines are complete", n)
		}
	})
}

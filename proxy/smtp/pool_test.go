package smtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// mailbox opens connections between pipes, and is the other end of them.
type mailbox struct {
	expires time.Time // of the token
	refusal error     // of the next connections
	delay   time.Duration
	theirs  []net.Conn // our connections' other ends

	mu    sync.Mutex
	heard []string // on all connections; END is the end of one
}

func (m *mailbox) hear(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, text)
}

func (m *mailbox) open(ctx context.Context) (*upstream, error) {
	time.Sleep(m.delay)
	if m.refusal != nil {
		return nil, m.refusal
	}
	ours, theirs := net.Pipe()
	go func() {
		in := bufio.NewScanner(theirs)
		for in.Scan() {
			m.hear(in.Text())
			if in.Text() == "QUIT" {
				break
			}
		}
		m.hear("END")
		_ = theirs.Close()
	}()
	m.theirs = append(m.theirs, theirs)
	return newUpstream(wire.New(ours), nil, m.expires), nil
}

// take waits for a turn, and opens a connection where that is what is granted.
func take(t *testing.T, p *pool, m *mailbox) *upstream {
	t.Helper()
	turn, err := p.arrive(false)
	if err != nil {
		t.Fatal(err)
	}
	up := <-turn.granted
	if up == nil {
		if up, err = p.open(t.Context(), m.open); err != nil {
			t.Fatal(err)
		}
	}
	up.used++
	return up
}

// wantHeard checks what the mailbox has heard on all connections.
func wantHeard(t *testing.T, m *mailbox, want ...string) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.heard, want) {
		t.Errorf("after %v the upstream has heard %q, want %q", time.Now(), m.heard, want)
	}
}

// inPool runs a test of a pool in a bubble, where time passes at once.
func inPool(t *testing.T, test func(t *testing.T, p *pool, m *mailbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPool()
		test(t, p, &mailbox{})
		_ = p.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.inUse() != 0 || len(p.kept) != 0 || p.waiting.Len() != 0 {
			t.Errorf("at the end: %d slots in use, %d kept, %d wait", p.inUse(), len(p.kept), p.waiting.Len())
		}
	})
}

// What nobody uses is closed after a while, with QUIT.
func TestPoolIdle(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool, m *mailbox) {
		p.keep(take(t, p, m))
		time.Sleep(maxIdle - 1)
		wantHeard(t, m)
		p.keep(take(t, p, m))
		time.Sleep(maxIdle - 1)
		wantHeard(t, m)
		time.Sleep(time.Nanosecond)
		wantHeard(t, m, "QUIT", "END")
		if len(m.theirs) != 1 {
			t.Errorf("%d connections", len(m.theirs))
		}
	})
}

// The connection that was used last is used next: one too many gets idle.
func TestPoolUsesTheLatest(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool, m *mailbox) {
		a, b := take(t, p, m), take(t, p, m)
		p.keep(a)
		p.keep(b)
		for range 10 {
			time.Sleep(maxIdle / 8)
			up := take(t, p, m)
			if up != b {
				t.Fatal("the one that was idle is used")
			}
			p.keep(up)
		}
		wantHeard(t, m, "QUIT", "END")
	})
}

// A connection serves so many messages, so long, and no longer than its token.
func TestPoolWearsOut(t *testing.T) {
	t.Run("messages", func(t *testing.T) {
		inPool(t, func(t *testing.T, p *pool, m *mailbox) {
			for range maxMessages + 1 {
				p.keep(take(t, p, m))
			}
			if len(m.theirs) != 2 {
				t.Errorf("%d connections for %d messages", len(m.theirs), maxMessages+1)
			}
		})
	})
	tests := []struct {
		name    string
		expires time.Duration // of the token
		after   time.Duration
	}{
		{"age", 0, maxAge},
		{"age before the token", 2 * maxAge, maxAge},
		{"token", 10 * time.Minute, 9 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inPool(t, func(t *testing.T, p *pool, m *mailbox) {
				start := time.Now()
				if test.expires != 0 {
					m.expires = start.Add(test.expires)
				}
				for time.Since(start) < test.after {
					wantHeard(t, m)
					p.keep(take(t, p, m))
					time.Sleep(time.Minute)
				}
				wantHeard(t, m, "QUIT", "END")
			})
		})
	}
	t.Run("token shorter than its margin", func(t *testing.T) {
		inPool(t, func(t *testing.T, p *pool, m *mailbox) {
			m.expires = time.Now().Add(tokenMargin / 2)
			p.keep(take(t, p, m)) // serves once all the same
			wantHeard(t, m, "QUIT", "END")
		})
	})
}

// A kept connection that has said something or ended isn't used any more.
func TestPoolHealth(t *testing.T) {
	for name, happens := range map[string]func(net.Conn){
		"ended": func(c net.Conn) { _ = c.Close() },
		"spoke": func(c net.Conn) { _, _ = io.WriteString(c, "421 bye\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			inPool(t, func(t *testing.T, p *pool, m *mailbox) {
				p.keep(take(t, p, m))
				if !p.isKnown() {
					t.Error("the mailbox isn't known")
				}
				p.keep(take(t, p, m))
				happens(m.theirs[0])
				synctest.Wait()
				second := take(t, p, m)
				if len(m.theirs) != 2 {
					t.Error("it is used again")
				}
				p.keep(second)
				happens(m.theirs[1])
				synctest.Wait()
				if p.isKnown() {
					t.Error("the mailbox is still known")
				}
				wantHeard(t, m, "END", "END")
			})
		})
	}
}

// No more connections are open than Exchange allows, and those who wait are
// served in the order in which they came; who leaves is passed over.
func TestPoolQueue(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool, m *mailbox) {
		var leased []*upstream
		for range maxConnections {
			leased = append(leased, take(t, p, m))
		}
		var turns []*turn
		for range 5 {
			turn, err := p.arrive(false)
			if err != nil {
				t.Fatal(err)
			}
			turns = append(turns, turn)
		}
		p.leave(turns[1])
		p.keep(leased[0]) // for 0
		p.drop(leased[1]) // the slot for 2
		p.keep(leased[2]) // for 3
		if up := <-turns[0].granted; up != leased[0] {
			t.Error("0 has got something else")
		} else {
			defer p.drop(up)
		}
		if up := <-turns[2].granted; up != nil {
			t.Error("2 has got something else")
		}
		p.leave(turns[3]) // too late: passes it on to 4
		if up := <-turns[4].granted; up != leased[2] {
			t.Error("4 has got something else")
		} else {
			defer p.drop(up)
		}
		p.settle(nil, nil) // 2 can't open one
	})
}

func TestPoolQueueIsBounded(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool, m *mailbox) {
		for range maxConnections {
			defer p.drop(take(t, p, m))
		}
		var turns []*turn
		for range maxWaiting {
			turn, err := p.arrive(false)
			if err != nil {
				t.Fatal(err)
			}
			turns = append(turns, turn)
		}
		if _, err := p.arrive(false); !errors.Is(err, errQueueFull) {
			t.Errorf("one more: %v", err)
		}
		for _, turn := range turns {
			p.leave(turn)
		}
	})
}

// Exchange has refused one more connection: fewer are used for a while.
func TestPoolCrowded(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool, m *mailbox) {
		up := take(t, p, m)
		second, err := p.arrive(false)
		if err != nil || <-second.granted != nil {
			t.Fatal("no slot")
		}
		m.refusal = fmt.Errorf("432: %w", errCrowded)
		if _, err := p.open(t.Context(), m.open); !errors.Is(err, errCrowded) {
			t.Fatal(err)
		}
		m.refusal = nil
		start := time.Now()
		waits, err := p.arrive(false)
		if err != nil {
			t.Fatal(err)
		}
		if granted := <-waits.granted; granted != nil || time.Since(start) != crowdedFor {
			t.Errorf("%v granted after %v", granted, time.Since(start))
		}
		p.settle(nil, nil)
		p.drop(up)
	})
}

// However many log in at once, one connection shows whether Exchange accepts
// the mailbox; all hear the same.
func TestPoolIntroduce(t *testing.T) {
	for _, refusal := range []error{nil, proxy.Fail(proxy.UpstreamRefused, "no")} {
		t.Run(fmt.Sprint(refusal), func(t *testing.T) {
			inPool(t, func(t *testing.T, p *pool, m *mailbox) {
				m.refusal, m.delay = refusal, time.Second
				errs := make(chan error, 40)
				for range cap(errs) {
					go func() { errs <- p.introduce(t.Context(), m.open) }()
				}
				for range cap(errs) {
					if err := <-errs; err != refusal {
						t.Errorf("introduce: %v", err)
					}
				}
				if refusal == nil && len(m.theirs) != 1 {
					t.Errorf("%d connections", len(m.theirs))
				}
			})
		})
	}
}

// A login that panics leaves nothing behind, and nobody waiting.
func TestPoolIntroducePanics(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool, m *mailbox) {
		errs := make(chan error)
		go func() {
			defer func() { _ = recover() }()
			_ = p.introduce(t.Context(), func(context.Context) (*upstream, error) {
				time.Sleep(time.Second)
				panic("no")
			})
		}()
		synctest.Wait()
		go func() { errs <- p.introduce(t.Context(), m.open) }()
		if f, ok := errors.AsType[*proxy.Failure](<-errs); !ok || f.Kind != proxy.Internal {
			t.Errorf("introduce: %v", f)
		}
	})
}

const happenings = "alocxkdrqtsb"

package smtp

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzPool holds a pool to what it promises, whatever happens in whatever
// order: never more connections than Exchange allows, nobody waits while
// anything is free, and nothing is lost.
func FuzzPool(f *testing.F) {
	for _, letters := range []string{"aaaaakkkddd", "aokdaokrtttt", "aaaaaaooollkktctooaa", "aooaaxkoktkcakkk", "aokqaokqt", "aaaaaooossttbbkkk", "aosaoaostaabtbkk"} {
		seed := []byte(letters)
		for i, letter := range seed {
			seed[i] = byte(strings.IndexByte(happenings, letter))
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, events []byte) {
		if len(events) > 200 {
			return
		}
		inPool(t, func(t *testing.T, p *pool, m *mailbox) {
			h := &history{t: t, p: p, m: m}
			for _, event := range events {
				h.play(event)
				h.check()
			}
			h.end()
		})
	})
}

// history is what has happened to a pool.
type history struct {
	t       *testing.T
	p       *pool
	m       *mailbox
	waiting []*turn
	slots   int // granted
	leased  []*upstream
	lent    []*loan
}

// play makes something happen: a arrives, l leaves, o opens a connection, c is
// refused one because there are too many, x one for another reason, k keeps a
// connection, d drops it, r replaces it, q dies while it is kept, t lets time
// pass; the client that has the first connection is silent from s on, and b is
// back.
func (h *history) play(event byte) {
	p := h.p
	switch what := happenings[int(event)%len(happenings)]; {
	case what == 'a':
		if turn, err := p.arrive(event >= 128); err == nil {
			h.waiting = append(h.waiting, turn)
		}
	case what == 't':
		time.Sleep(time.Duration(event) * 10 * time.Second)
	case what == 'q':
		p.mu.Lock()
		kept := slices.Clone(p.kept)
		p.mu.Unlock()
		if len(kept) > 0 {
			kept[0].conn.Abort()
		}
	case what == 'l' && len(h.waiting) > 0:
		p.leave(h.waiting[0])
		h.waiting = h.waiting[1:]
	case strings.ContainsRune("ocx", rune(what)) && h.slots > 0:
		h.slots--
		h.m.refusal = map[byte]error{'o': nil, 'c': errCrowded, 'x': io.EOF}[what]
		if up, err := p.open(h.t.Context(), h.m.open); err == nil {
			h.leased = append(h.leased, up)
		}
	case strings.ContainsRune("kdr", rune(what)) && len(h.leased) > 0:
		h.give(what)
	case what == 's' && len(h.leased) > 0:
		h.leased[0].used++
		h.lent = append(h.lent, p.offer(h.leased[0], event >= 128))
		h.leased = h.leased[1:]
	case what == 'b' && len(h.lent) > 0:
		h.back()
	}
}

// back ends the first loan.
func (h *history) back() {
	l := h.lent[0]
	h.lent = h.lent[1:]
	if h.p.reclaim(l) {
		h.leased = append(h.leased, l.up)
	}
}

// give gives the first leased connection back.
func (h *history) give(how byte) {
	up := h.leased[0]
	h.leased = h.leased[1:]
	up.used++
	switch how {
	case 'k':
		h.p.keep(up)
	case 'd':
		h.p.drop(up)
	case 'r':
		h.m.refusal = nil
		if fresh, err := h.p.replace(h.t.Context(), up, h.m.open); err == nil {
			h.leased = append(h.leased, fresh)
		}
	}
}

// check takes what has been granted, and compares the books.
func (h *history) check() {
	synctest.Wait()
	var still []*turn
	for _, turn := range h.waiting {
		select {
		case up := <-turn.granted:
			if up == nil {
				h.slots++
			} else {
				h.leased = append(h.leased, up)
			}
		default:
			still = append(still, turn)
		}
	}
	h.waiting = still
	p := h.p
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := func(l *loan) bool { return l.taken }
	lent := len(slices.DeleteFunc(slices.Clone(h.lent), taken))
	switch {
	case p.inUse() > maxConnections:
		h.t.Fatalf("%d slots in use", p.inUse())
	case p.accepted != len(h.leased)+len(p.kept)+lent || p.dialing != h.slots:
		h.t.Fatalf("%d accepted, of which %d leased, %d lent and %d kept; %d dialing, of which %d known", p.accepted, len(h.leased), lent, len(p.kept), p.dialing, h.slots)
	case p.waiting.Len() != len(h.waiting):
		h.t.Fatalf("%d wait, %d know it", p.waiting.Len(), len(h.waiting))
	case p.waiting.Len() > 0 && (len(p.kept) > 0 || len(p.silent) > 0 || p.inUse() < p.slots):
		h.t.Fatalf("%d wait for nothing", p.waiting.Len())
	}
}

// end gives everything back: everybody who waits gets a turn.
func (h *history) end() {
	for range 1000 {
		h.check()
		switch {
		case h.slots > 0:
			h.slots--
			h.p.settle(nil, nil)
		case len(h.leased) > 0:
			h.give('k')
		case len(h.lent) > 0:
			h.back()
		case len(h.waiting) > 0:
			h.t.Fatalf("%d wait for ever", len(h.waiting))
		default:
			return
		}
	}
}

package proxy

import (
	"container/list"
	"sync"
)

// ledger keeps a note for each key; of more than most keys it forgets those
// that have not been written for longest.
type ledger[K comparable, V any] struct {
	most int

	mu    sync.Mutex
	notes map[K]*list.Element
	order list.List // of *note[K, V], the one written last in front
}

type note[K comparable, V any] struct {
	key   K
	value V
}

func newLedger[K comparable, V any](most int) *ledger[K, V] {
	return &ledger[K, V]{most: most, notes: make(map[K]*list.Element)}
}

// write lets change have the key's note, which is empty if there was none.
func (l *ledger[K, V]) write(key K, change func(*V)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	place, ok := l.notes[key]
	if !ok {
		if l.order.Len() >= l.most {
			oldest := l.order.Remove(l.order.Back()).(*note[K, V])
			delete(l.notes, oldest.key)
		}
		place = l.order.PushFront(&note[K, V]{key: key})
		l.notes[key] = place
	}
	l.order.MoveToFront(place)
	change(&place.Value.(*note[K, V]).value)
}

// all returns the notes, the one written last first.
func (l *ledger[K, V]) all() []V {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]V, 0, l.order.Len())
	for place := l.order.Front(); place != nil; place = place.Next() {
		all = append(all, place.Value.(*note[K, V]).value)
	}
	return all
}

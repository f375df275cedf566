package proxy

import (
	"container/list"
	"sync"
)

// notebook keeps a note for each key; of more than most keys it forgets those
// that have not been written for longest.
type notebook[K comparable, V any] struct {
	most int

	mu    sync.Mutex
	notes map[K]*list.Element
	order list.List // of *note[K, V], the one written last in front
}

type note[K comparable, V any] struct {
	key   K
	value V
}

func newNotebook[K comparable, V any](most int) *notebook[K, V] {
	return &notebook[K, V]{most: most, notes: make(map[K]*list.Element)}
}

// write lets change have the key's note, which is empty if there was none.
func (n *notebook[K, V]) write(key K, change func(*V)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	place, ok := n.notes[key]
	if !ok {
		if n.order.Len() >= n.most {
			oldest := n.order.Remove(n.order.Back()).(*note[K, V])
			delete(n.notes, oldest.key)
		}
		place = n.order.PushFront(&note[K, V]{key: key})
		n.notes[key] = place
	}
	n.order.MoveToFront(place)
	change(&place.Value.(*note[K, V]).value)
}

// read returns the key's note, if there is one.
func (n *notebook[K, V]) read(key K) (value V, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	place, ok := n.notes[key]
	if ok {
		value = place.Value.(*note[K, V]).value
	}
	return value, ok
}

// all returns the notes, the one written last first.
func (n *notebook[K, V]) all() []V {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]V, 0, n.order.Len())
	for place := n.order.Front(); place != nil; place = place.Next() {
		all = append(all, place.Value.(*note[K, V]).value)
	}
	return all
}

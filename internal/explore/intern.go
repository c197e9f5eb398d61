package explore

import "sync"

// interned gives equal values one small number, the same for all workers. Number
// 0 is the zero value.
type interned[K comparable] struct {
	mu  sync.Mutex
	ids map[K]uint32
	all []K
}

func newInterned[K comparable]() *interned[K] {
	var zero K
	return &interned[K]{ids: map[K]uint32{zero: 0}, all: []K{zero}}
}

// mirror is one worker's copy, read without a lock.
type mirror[K comparable] struct {
	of  *interned[K]
	ids map[K]uint32
	all []K
}

func (m *mirror[K]) id(k K) uint32 {
	if id, ok := m.ids[k]; ok {
		return id
	}
	m.of.mu.Lock()
	id, ok := m.of.ids[k]
	if !ok {
		id = uint32(len(m.of.all))
		m.of.ids[k] = id
		m.of.all = append(m.of.all, k)
	}
	m.of.mu.Unlock()
	m.ids[k] = id
	return id
}

func (m *mirror[K]) get(id uint32) *K {
	if int(id) >= len(m.all) {
		m.of.mu.Lock()
		m.all = m.of.all[:len(m.of.all):len(m.of.all)]
		m.of.mu.Unlock()
	}
	return &m.all[id]
}

package remediate

import "sync"

// templates remembers the canonical forms of the pod templates seen last: the
// same few are compared at every look.
var templates = memo[canonicalKey, []byte]{limit: 1000}

type canonicalKey struct {
	raw            string
	ignoreRestarts bool
}

// memo keeps the results of a pure function; with limit of them it starts over.
// Whoever gets a result must not change it.
type memo[K comparable, V any] struct {
	limit int
	mu    sync.Mutex
	known map[K]V
}

func (m *memo[K, V]) get(key K, compute func() (V, error)) (V, error) {
	m.mu.Lock()
	v, ok := m.known[key]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := compute()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= m.limit || m.known == nil {
		m.known = make(map[K]V)
	}
	m.known[key] = v
	return v, nil
}

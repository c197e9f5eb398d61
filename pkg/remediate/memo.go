package remediate

import "sync"

// templates caches the canonical forms of recent pod templates: the same few are
// compared at every check.
var templates = memo[canonicalKey, []byte]{limit: 1000}

type canonicalKey struct {
	raw            string
	ignoreRestarts bool
}

// memo caches the results of a pure function; at limit entries it starts over.
// Callers must not modify a result.
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

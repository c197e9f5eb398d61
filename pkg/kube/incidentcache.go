package kube

import (
	"context"
	"slices"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// cacheAge is how old the answer of a replica that does not lead may be: it asks the API
// server no more often than that, however many read.
const cacheAge = 2 * time.Second

// Cache is the incidents as the API server has them, for readers of a replica that does not lead. It
// forgets them when they are too old to be an answer: there may be thousands, and nobody may ask again.
type Cache struct {
	list func(context.Context) ([]incident.Incident, error)

	mu     sync.Mutex
	at     time.Time
	all    []incident.Incident
	forget *time.Timer
}

// NewCache returns an empty cache of what list returns.
func NewCache(list func(context.Context) ([]incident.Incident, error)) *Cache {
	return &Cache{list: list}
}

// Read returns the incidents, newest first.
func (c *Cache) Read(ctx context.Context, now time.Time) ([]incident.Incident, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all != nil && now.Sub(c.at) < cacheAge {
		return c.all, nil
	}
	c.all = nil // not twice in memory while they are read
	all, err := c.list(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(x, y incident.Incident) int { return y.OpenedAt.Compare(x.OpenedAt) })
	if all == nil {
		all = []incident.Incident{}
	}
	c.all, c.at = all, now
	if c.forget != nil {
		c.forget.Stop()
	}
	c.forget = time.AfterFunc(cacheAge, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = nil
	})
	return c.all, nil
}

// Known lists the stored incidents, but for those that a newer watchdog stored.
func (s *Store) Known(ctx context.Context) ([]incident.Incident, error) {
	var all []incident.Incident
	err := s.EachIncident(ctx, func(x incident.Stored) error {
		if !x.Newer {
			all = append(all, x.Incident)
		}
		return nil
	})
	return all, err
}

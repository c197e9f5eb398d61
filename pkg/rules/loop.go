package rules

import (
	"context"
	"time"
)

// coalesce is the shortest time between two evaluations because of new samples.
const coalesce = 50 * time.Millisecond

func (m *Manager) loop(ctx context.Context, s *source, notify func([]string)) {
	next := m.o.Now() // of the next round
	tick, due, gather := time.NewTimer(0), stopped(), stopped()
	defer tick.Stop()
	defer due.Stop()
	defer gather.Stop()
	var last time.Time // of the last evaluation because of new samples
	tell := func(n news) {
		if len(n) > 0 && ctx.Err() == nil {
			notify(n.list())
		}
		arm(due, m.nextDue(s), m.o.Now())
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
			tell(m.round(ctx, s))
		case <-tick.C:
			tell(m.round(ctx, s))
			next = m.align(s, next)
			tick.Reset(next.Sub(m.o.Now()))
		case <-s.wake:
			gather.Reset(max(0, time.Until(last.Add(coalesce))))
		case <-gather.C:
			last = time.Now()
			tell(m.partial(ctx, s, s.arrivals.take()))
		case <-due.C:
			tell(m.partial(ctx, s, m.takeDue(s)))
		}
	}
}

// stopped returns a timer that does not run.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// arm sets t to go off at the given time; never, if it is zero.
func arm(t *time.Timer, at, now time.Time) {
	t.Stop()
	if !at.IsZero() {
		t.Reset(max(0, at.Sub(now)))
	}
}

// align returns the time of the round after the one due at planned, and counts
// the rounds that were missed.
func (m *Manager) align(s *source, planned time.Time) time.Time {
	now := m.o.Now()
	next := now.Truncate(m.o.Interval).Add(m.o.Interval)
	if missed := int64(next.Sub(planned)/m.o.Interval) - 1; missed > 0 {
		m.metrics.missed.WithLabelValues(s.name).Add(float64(missed))
	}
	return next
}

// Appended says that a target has new samples in the store of source Local, and which
// metrics have another value than before. It does not wait for evaluations. A target of
// which a threshold asks what changed, or has an alert that is pending or fires, is judged
// within 50ms; any other one in the next round, as it would be judged as before.
func (m *Manager) Appended(target string, changed []string) {
	if s := m.source(Local); s != nil && s.arrivals.add(target, changed) {
		poke(s.wake)
	}
}

// nextDue returns the earliest time at which a pending alert's `for` is complete.
func (m *Manager) nextDue(s *source) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	var first time.Time
	for _, at := range s.due {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

func (m *Manager) takeDue(s *source) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, targets := m.o.Now(), news{}
	for c, at := range s.due {
		if !at.After(now) {
			targets[c.target] = struct{}{}
			delete(s.due, c)
		}
	}
	return targets.list()
}

// partial evaluates the rules of some targets.
func (m *Manager) partial(ctx context.Context, s *source, targets []string) news {
	if len(targets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.o.Interval)
	defer cancel()
	// A failure of the source is for the rounds to judge.
	found, _ := m.evaluate(ctx, memoize(s.ask), m.of(s.name), targets, m.o.Now())
	return found
}

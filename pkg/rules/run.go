package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// coalesce is the shortest time between two evaluations because of new samples.
const coalesce = 50 * time.Millisecond

// Run evaluates until ctx ends: all rules at once and then at each multiple of
// the interval; rules of source Local also as soon as a target got new samples
// (Appended) and at the moment at which a pending alert's `for` is complete.
// After each evaluation that has news, notify is called with the targets whose
// alerts changed or fire. It must not block, and may be called concurrently by
// the two sources.
func (j *Judge) Run(ctx context.Context, notify func(targets []string)) {
	var wg sync.WaitGroup
	for _, s := range j.sources {
		wg.Go(func() { j.loop(ctx, s, notify) })
	}
	wg.Wait()
}

func (j *Judge) loop(ctx context.Context, s *source, notify func([]string)) {
	next := j.now() // of the next round
	tick, due, gather := time.NewTimer(0), stopped(), stopped()
	defer tick.Stop()
	defer due.Stop()
	defer gather.Stop()
	var last time.Time // of the last evaluation because of new samples
	tell := func(n news) {
		if len(n) > 0 && ctx.Err() == nil {
			notify(n.list())
		}
		arm(due, j.nextDue(s), j.now())
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
			tell(j.round(ctx, s))
		case <-tick.C:
			tell(j.round(ctx, s))
			next = j.align(s, next)
			tick.Reset(next.Sub(j.now()))
		case <-s.wake:
			gather.Reset(max(0, time.Until(last.Add(coalesce))))
		case <-gather.C:
			last = time.Now()
			tell(j.partial(ctx, s, j.takePoked(s)))
		case <-due.C:
			tell(j.partial(ctx, s, j.takeDue(s)))
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
func (j *Judge) align(s *source, planned time.Time) time.Time {
	now := j.now()
	next := now.Truncate(j.interval).Add(j.interval)
	if missed := int64(next.Sub(planned)/j.interval) - 1; missed > 0 {
		j.metrics.missed.WithLabelValues(s.name).Add(float64(missed))
	}
	return next
}

// Appended says that the targets have new samples in the store of source Local.
// It never blocks; the targets are judged within 50ms.
func (j *Judge) Appended(targets []string) {
	s := j.source(Local)
	if s == nil || len(targets) == 0 {
		return
	}
	j.mu.Lock()
	for _, t := range targets {
		if _, judged := j.byTarget[t]; judged {
			s.poked[t] = struct{}{}
		}
	}
	ready := len(s.poked) > 0
	j.mu.Unlock()
	if ready {
		poke(s.wake)
	}
}

func (j *Judge) takePoked(s *source) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	targets := news(s.poked).list()
	clear(s.poked)
	return targets
}

// nextDue returns the earliest time at which a pending alert's `for` is complete.
func (j *Judge) nextDue(s *source) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	var first time.Time
	for _, at := range s.due {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

func (j *Judge) takeDue(s *source) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	now, targets := j.now(), news{}
	for c, at := range s.due {
		if !at.After(now) {
			targets[c.target] = struct{}{}
			delete(s.due, c)
		}
	}
	return targets.list()
}

// partial evaluates the rules of some targets.
func (j *Judge) partial(ctx context.Context, s *source, targets []string) news {
	if len(targets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, j.interval)
	defer cancel()
	// A failure of the source is for the rounds to judge.
	found, _ := j.evaluate(ctx, memoize(s.ask), j.of(s.name), targets, j.now())
	return found
}

// EvalNow judges one target afresh at this instant, for a look right before
// acting on it. The alerts have the verdict, value and reason of this look and
// the state of the last round: looking does not bring an alert closer to firing
// or clearing. A question that fails is verdict ERROR in its alert; the error
// is for a target no rule judges and for a context that ended.
func (j *Judge) EvalNow(ctx context.Context, target string) ([]Alert, error) {
	j.mu.Lock()
	cells := slices.Clone(j.byTarget[target])
	states := make([]State, len(cells))
	for i, c := range cells {
		states[i] = c.state
	}
	j.mu.Unlock()
	if len(cells) == 0 {
		return nil, fmt.Errorf("judge target %q: no rule names it", target)
	}
	at := j.now()
	alerts := make([]Alert, len(cells))
	var g errgroup.Group
	g.SetLimit(2 * concurrency)
	for i, c := range cells {
		g.Go(func() error {
			// The error is in the observation.
			seen, _ := c.rule.ask(ctx, j.source(c.rule.Source).ask, map[string]int{target: 0}, true, at)
			s := look(&c.rule.Rule, states[i], seen[0], at)
			alerts[i] = c.rule.alert(target, s, c.rule.labels(target, s))
			return nil
		})
	}
	_ = g.Wait() // the functions return no errors
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("judge target %q", target), err)
	}
	return alerts, nil
}

package rules

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// groupConcurrency is how many groups are evaluated at once.
const groupConcurrency = 4

// Run evaluates each group at once, and then at its interval, until ctx ends.
// After each evaluation with news, notify is called with the targets; it must not
// block and may be called concurrently. A group whose evaluation takes longer
// than its interval misses turns, which are counted.
func (g *Groups) Run(ctx context.Context, notify func(targets []string)) {
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, groupConcurrency)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-g.changed:
		}
		now := g.o.Now()
		for _, s := range g.due(now) {
			running.Go(func() {
				select {
				case places <- struct{}{}:
				case <-ctx.Done():
					return
				}
				defer func() { <-places }()
				told := g.eval(ctx, s, g.moment(s))
				if len(told) > 0 && ctx.Err() == nil {
					notify(told)
				}
				g.mu.Lock()
				s.running = false
				g.mu.Unlock()
				poke(g.changed)
			})
		}
		timer.Reset(g.wait(g.o.Now()))
	}
}

// Hurry evaluates the groups that have an alert of one of the names at once: what
// another system told of is looked at without waiting for the next turn.
func (g *Groups) Hurry(alerts []string) {
	if len(alerts) == 0 {
		return
	}
	g.mu.Lock()
	for _, s := range g.groups {
		if slices.ContainsFunc(s.rules, func(r *ruleState) bool { return r.Alert != "" && slices.Contains(alerts, r.Alert) }) {
			s.hurried = true
		}
	}
	g.mu.Unlock()
	poke(g.changed)
}

// turn is the moment of the group's present turn: the same for every replica, so
// that their answers are the same.
func (g *Groups) turn(s *groupState, now time.Time) time.Time {
	slot := s.slot(s.Interval)
	return now.Add(-slot).Truncate(s.Interval).Add(slot)
}

// due marks the groups whose turn it is as running and returns them.
func (g *Groups) due(now time.Time) []*groupState {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*groupState
	for _, s := range g.groups {
		// A turn that lies further ahead than one interval: the clock was set back.
		if s.running || !s.hurried && now.Before(s.next) && s.next.Sub(now) <= s.Interval {
			continue
		}
		turn := g.turn(s, now)
		if !s.at.IsZero() {
			if missed := int(turn.Sub(s.at)/s.Interval) - 1; missed > 0 {
				g.metrics.missed.WithLabelValues(s.key()).Add(float64(missed))
			}
		}
		s.running, s.next = true, turn.Add(s.Interval)
		all = append(all, s)
	}
	return all
}

// moment is the one at which a group is evaluated now: its turn, or this instant
// if it is in a hurry.
func (g *Groups) moment(s *groupState) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.o.Now()
	if s.hurried {
		s.hurried = false
		return now
	}
	return g.turn(s, now)
}

// wait is the time to the next turn of a group that is not running.
func (g *Groups) wait(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := time.Hour
	for _, s := range g.groups {
		if !s.running {
			left := max(0, s.next.Sub(now))
			if s.hurried {
				left = 0
			}
			first = min(first, left)
		}
	}
	return first
}

// Turns evaluates the groups whose turn it is, in the order of the files, and
// returns the targets with news; Wait is the time until the next turn. They are
// the parts of Run, for a caller who brings the clock.
func (g *Groups) Turns(ctx context.Context) []string {
	found := news{}
	for _, s := range g.due(g.o.Now()) {
		for _, t := range g.eval(ctx, s, g.moment(s)) {
			found[t] = struct{}{}
		}
		g.mu.Lock()
		s.running = false
		g.mu.Unlock()
	}
	return found.list()
}

// Wait is the time until the next turn of a group; at most an hour.
func (g *Groups) Wait() time.Duration { return g.wait(g.o.Now()) }

// Round evaluates every group once, at the given moment, in the order of the
// files, and returns the targets with news: for a caller who brings the clock.
func (g *Groups) Round(ctx context.Context, at time.Time) []string {
	g.mu.Lock()
	groups := g.groups
	g.mu.Unlock()
	found := news{}
	for _, s := range groups {
		for _, t := range g.eval(ctx, s, at) {
			found[t] = struct{}{}
		}
	}
	return found.list()
}

// groupMetrics describe the groups, with Prometheus' own names behind watchdog's
// prefix.
type groupMetrics struct {
	iterations, missed, failures *prometheus.CounterVec
	duration, last, interval     *prometheus.GaugeVec
	rules                        *prometheus.GaugeVec
}

func newGroupMetrics(reg prometheus.Registerer) *groupMetrics {
	f, by := promauto.With(reg), []string{"rule_group"}
	return &groupMetrics{
		iterations: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "rule_group_iterations_total", Help: "Evaluations of a group of a rule file."}, by),
		missed:     f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "rule_group_iterations_missed_total", Help: "Turns of a group that were missed because its evaluation took too long."}, by),
		failures:   f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "rule_group_rule_failures_total", Help: "Rules of a group that could not be evaluated."}, by),
		duration:   f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "rule_group_last_duration_seconds", Help: "How long the last evaluation of a group took."}, by),
		last:       f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "rule_group_last_evaluation_timestamp_seconds", Help: "The moment of a group's last evaluation."}, by),
		interval:   f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "rule_group_interval_seconds", Help: "The interval of a group."}, by),
		rules:      f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "rule_group_rules", Help: "Rules in a group."}, by),
	}
}

func (m *groupMetrics) evaluated(s *groupState, at time.Time, failures int) {
	k := s.key()
	m.iterations.WithLabelValues(k).Inc()
	m.failures.WithLabelValues(k).Add(float64(failures))
	m.missed.WithLabelValues(k).Add(0)
	m.duration.WithLabelValues(k).Set(s.took.Seconds())
	m.last.WithLabelValues(k).Set(float64(at.UnixMilli()) / 1000)
	m.interval.WithLabelValues(k).Set(s.Interval.Seconds())
	m.rules.WithLabelValues(k).Set(float64(len(s.rules)))
}

func (m *groupMetrics) forget(k string) {
	for _, v := range []*prometheus.GaugeVec{m.duration, m.last, m.interval, m.rules} {
		v.DeleteLabelValues(k)
	}
	for _, v := range []*prometheus.CounterVec{m.iterations, m.missed, m.failures} {
		v.DeleteLabelValues(k)
	}
}

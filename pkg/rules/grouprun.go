package rules

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// groupConcurrency is how many groups of one source are evaluated at once.
const groupConcurrency = 4

// runGroups evaluates each group at once, and then at its interval, until ctx ends. A
// group whose evaluation takes longer than its interval misses turns, which are counted.
func (m *Manager) runGroups(ctx context.Context, notify func(targets []string)) {
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.changed:
		}
		now := m.o.Now()
		for _, s := range m.due(now) {
			places := m.source(s.Source).places
			running.Go(func() {
				select {
				case places <- struct{}{}:
				case <-ctx.Done():
					return
				}
				defer func() { <-places }()
				told := m.eval(ctx, s, m.moment(s))
				if len(told) > 0 && ctx.Err() == nil {
					notify(told)
				}
				m.mu.Lock()
				s.running = false
				m.mu.Unlock()
				poke(m.changed)
			})
		}
		timer.Reset(m.wait(m.o.Now()))
	}
}

// Hurry evaluates the groups that have an alert of one of the names at once: what
// another system told of is looked at without waiting for the next turn.
func (m *Manager) Hurry(alerts []string) {
	if len(alerts) == 0 {
		return
	}
	m.mu.Lock()
	for _, s := range m.groups {
		if slices.ContainsFunc(s.rules, func(r *ruleState) bool {
			return r.Alert != "" &&
				slices.Contains(alerts, r.Alert)
		}) {
			s.hurried = true
		}
	}
	m.mu.Unlock()
	poke(m.changed)
}

// turn is the moment of the group's present turn: the same for every replica, so
// that their answers are the same.
func (m *Manager) turn(s *groupState, now time.Time) time.Time {
	slot := s.slot(s.Interval)
	return now.Add(-slot).Truncate(s.Interval).Add(slot)
}

// due marks the groups whose turn it is as running and returns them.
func (m *Manager) due(now time.Time) []*groupState {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*groupState
	for _, s := range m.groups {
		// A turn that lies further ahead than one interval: the clock was set back.
		if s.running || !s.hurried && now.Before(s.next) && s.next.Sub(now) <= s.Interval {
			continue
		}
		turn := m.turn(s, now)
		if !s.at.IsZero() {
			if missed := int(turn.Sub(s.at)/s.Interval) - 1; missed > 0 {
				m.groupMetrics.missed.WithLabelValues(s.key()).Add(float64(missed))
			}
		}
		s.running, s.next = true, turn.Add(s.Interval)
		all = append(all, s)
	}
	return all
}

// moment is the one at which a group is evaluated now: its turn, or this instant
// if it is in a hurry.
func (m *Manager) moment(s *groupState) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.o.Now()
	if s.hurried {
		s.hurried = false
		return now
	}
	return m.turn(s, now)
}

// wait is the time to the next turn of a group that is not running.
func (m *Manager) wait(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := time.Hour
	for _, s := range m.groups {
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

// EvalDue evaluates the groups whose turn it is, in the order of the files, and
// returns the targets with news; UntilDue is the time until the next turn. They are
// the parts of Run, for a caller who brings the clock.
func (m *Manager) EvalDue(ctx context.Context) []string {
	found := news{}
	for _, s := range m.due(m.o.Now()) {
		for _, t := range m.eval(ctx, s, m.moment(s)) {
			found[t] = struct{}{}
		}
		m.mu.Lock()
		s.running = false
		m.mu.Unlock()
	}
	return found.list()
}

// UntilDue is the time until the next turn of a group; at most an hour.
func (m *Manager) UntilDue() time.Duration { return m.wait(m.o.Now()) }

// EvalGroups evaluates every group of the files once, at the given moment and in their
// order, and returns the targets with news: for a caller who brings the clock.
func (m *Manager) EvalGroups(ctx context.Context, at time.Time) []string {
	m.mu.Lock()
	groups := m.groups
	m.mu.Unlock()
	found := news{}
	for _, s := range groups {
		for _, t := range m.eval(ctx, s, at) {
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
		iterations: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "rule_group_iterations_total",
			Help: "Evaluations of a group of a rule file."}, by),
		missed: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "rule_group_iterations_missed_total",
			Help: "Evaluations of a group that were missed because the previous one took too long."}, by),
		failures: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "rule_group_rule_failures_total",
			Help: "Failed evaluations of rules of a group."}, by),
		duration: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "rule_group_last_duration_seconds",
			Help: "Duration of the last evaluation of a group."}, by),
		last: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace,
			Name: "rule_group_last_evaluation_timestamp_seconds", Help: "Time of the last evaluation of a group."}, by),
		interval: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "rule_group_interval_seconds",
			Help: "Evaluation interval of a group."}, by),
		rules: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "rule_group_rules",
			Help: "Rules in a group."}, by),
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

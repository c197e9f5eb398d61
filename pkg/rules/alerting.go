package rules

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
)

// Instance is one alert of an alerting rule: one label set that the rule's
// expression gave, and what became of it.
type Instance struct {
	// Labels are the series' without its name, the rule's, and alertname. They
	// identify the instance.
	Labels      labels.Labels
	Annotations labels.Labels
	// Series are the labels that the expression gave.
	Series labels.Labels
	// Target is what the labels mean, and Watched whether that is a target of the
	// configuration; see TargetFunc. What was once watched stays so: the pod that the
	// labels name may be gone by now.
	Target  string
	Watched bool
	State   AlertState
	Value   float64
	// ActiveAt is the first evaluation that gave the series, FiredAt when the alert
	// began to fire, KeepFiringSince the first evaluation without the series while
	// keep_firing_for holds it up.
	ActiveAt        time.Time
	FiredAt         time.Time
	KeepFiringSince time.Time
	// Verdict is what the last evaluation alone said, and Reason why it is unknown.
	Verdict Verdict
	Reason  string
}

// sight is what could be seen of an alert whose series the expression gave no
// more.
type sight struct {
	verdict Verdict // OK, or why nothing is known
	reason  string
	value   float64 // of the series, if it is there and only its condition is gone
	known   bool    // value is set
}

// errSameLabels is Prometheus' own words, so that they can be looked up.
var errSameLabels = errors.New("vector contains metrics with the same labelset after applying alert labels")

// advance moves the alerts of a rule on by one evaluation, as Prometheus does,
// and returns those that go on and those that ended. It is pure: active is not
// changed. now holds what the expression gives at this moment; gone tells what is
// seen of an alert that is not among it.
//
// It differs from Prometheus in one thing: an alert that fires and whose data is
// gone goes on firing with an unknown verdict, as silence is no recovery.
func advance(r *Rule, limit int, active, now map[uint64]Instance, gone func(Instance) sight,
	at time.Time) (next map[uint64]Instance, ended []Instance, err error) {
	next = make(map[uint64]Instance, len(now))
	for id, a := range now {
		a.State, a.ActiveAt = Pending, at
		if old, ok := active[id]; ok {
			a.State, a.ActiveAt, a.FiredAt = old.State, old.ActiveAt, old.FiredAt
			if old.Watched && !a.Watched {
				a.Target, a.Watched = old.Target, true
			}
		}
		switch {
		case at.Sub(a.ActiveAt) < r.For:
			a.State, a.FiredAt = Pending, time.Time{} // also when `for` became longer
		case a.State == Pending:
			a.State, a.FiredAt = Firing, at
		}
		next[id] = a
	}
	// In one order: of several that end at once on a target, one is shown.
	for _, id := range slices.Sorted(maps.Keys(active)) {
		old := active[id]
		if _, ok := now[id]; ok {
			continue
		}
		s := gone(old)
		old.Verdict, old.Reason = s.verdict, s.reason
		if s.known {
			old.Value = s.value
		}
		if old.State == Firing && r.KeepFiringFor > 0 && !s.verdict.Unknown() && old.KeepFiringSince.IsZero() {
			old.KeepFiringSince = at
		}
		if old.State == Firing && (s.verdict.Unknown() || at.Sub(old.KeepFiringSince) < r.KeepFiringFor) {
			next[id] = old
			continue
		}
		old.State = Inactive
		ended = append(ended, old)
	}
	if limit > 0 && len(next) > limit {
		return nil, nil, fmt.Errorf("exceeded limit of %d with %d alerts", limit, len(next))
	}
	return next, ended, nil
}

// worst picks the instance that stands for all of a rule on one target: one that
// fires, in breach, furthest from the bound.
func worst(all []Instance, c *promql.Comparison) Instance {
	return slices.MinFunc(all, func(a, b Instance) int {
		far := cmp.Compare(b.Value, a.Value)
		if c != nil && c.Below {
			far = -far
		}
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)), far, labels.Compare(a.Labels, b.Labels),
		)
	})
}

func rank(a Instance) int {
	n := 0
	if a.State != Firing {
		n += 4
	}
	switch {
	case a.Verdict == Breach:
	case a.Verdict.Unknown():
		n++
	default:
		n += 2
	}
	return n
}

// byTargetOf files the instances by target.
func byTargetOf(active map[uint64]Instance) map[string][]Instance {
	m := map[string][]Instance{}
	for _, id := range slices.Sorted(maps.Keys(active)) {
		a := active[id]
		m[a.Target] = append(m[a.Target], a)
	}
	return m
}

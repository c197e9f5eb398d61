package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// GroupReport is a group and how its last evaluation went.
type GroupReport struct {
	Group
	At    time.Time // of the last evaluation; zero: none yet
	Took  time.Duration
	Rules []RuleReport
}

// RuleReport is a rule of a group, how its last evaluation went, and its alerts
// that are pending or fire.
type RuleReport struct {
	Rule
	At    time.Time
	Took  time.Duration
	Err   error
	Alive []Instance
}

// Report returns every group, that of the thresholds first, with its alerts in the order
// of their labels.
func (m *Manager) Report() []GroupReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []GroupReport
	if len(m.thresholds) > 0 {
		all = append(all, m.reportThresholds())
	}
	for _, s := range m.groups {
		r := GroupReport{Group: s.Group, At: s.at, Took: s.took}
		for _, x := range s.rules {
			alive := slices.SortedFunc(maps.Values(x.active),
				func(a, b Instance) int { return labels.Compare(a.Labels, b.Labels) })
			r.Rules = append(r.Rules, RuleReport{Rule: x.Rule, At: x.at, Took: x.took, Err: x.err, Alive: alive})
		}
		all = append(all, r)
	}
	return all
}

// reportThresholds is the built-in group. Thresholds aside show none of their alerts.
func (m *Manager) reportThresholds() GroupReport {
	g := GroupReport{Group: Group{Name: thresholdGroup, File: m.file, Interval: m.o.Interval}}
	for _, c := range m.thresholds {
		r := c.report()
		if r.At.After(g.At) {
			g.At = r.At
		}
		g.Rules = append(g.Rules, r)
	}
	return g
}

// report is the threshold as a rule of Prometheus, with its window filled in.
func (c *compiled) report() RuleReport {
	expr := fmt.Sprintf("%s %s %g", strings.TrimSpace(c.value), c.sign(), c.Bound)
	r := RuleReport{Rule: Rule{Alert: c.Name, Expr: expr, For: c.For, KeepFiringFor: c.ClearFor,
		Labels: labels.FromStrings("severity", c.Severity)}}
	if c.Aside {
		return r
	}
	for _, x := range c.cells {
		x.settle()
		s := x.state()
		if s.EvaluatedAt.After(r.At) {
			r.At = s.EvaluatedAt
		}
		if s.Verdict == Error {
			r.Err = errors.New(s.Unknown)
		}
		if !s.State.active() {
			continue
		}
		a := x.alert()
		r.Alive = append(r.Alive, Instance{
			Labels: labels.FromMap(a.Labels), Annotations: labels.FromStrings("reason", a.Reason,
				"verdict", string(a.Verdict)),
			Target: a.Target, Watched: true, State: a.State, Value: a.Value, ActiveAt: a.ActiveAt, FiredAt: a.FiredAt,
			Verdict: a.Verdict, Reason: a.Reason,
		})
	}
	return r
}

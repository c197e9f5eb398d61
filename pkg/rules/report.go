package rules

import (
	"maps"
	"slices"
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
	GroupRule
	At    time.Time
	Took  time.Duration
	Err   error
	Alive []Instance
}

// Report returns every group, with its alerts in the order of their labels.
func (g *Groups) Report() []GroupReport {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []GroupReport
	for _, s := range g.groups {
		r := GroupReport{Group: s.Group, At: s.at, Took: s.took}
		for _, x := range s.rules {
			alive := slices.SortedFunc(maps.Values(x.active), func(a, b Instance) int { return labels.Compare(a.Labels, b.Labels) })
			r.Rules = append(r.Rules, RuleReport{GroupRule: x.GroupRule, At: x.at, Took: x.took, Err: x.err, Alive: alive})
		}
		all = append(all, r)
	}
	return all
}

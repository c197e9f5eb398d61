package rules

import (
	"math"
	"time"

	"watchdog.io/watchdog/pkg/promql"
)

// stalenessOf is the greatest age of a sample unless somebody says otherwise. What a
// server still shows is fresh to it: how often it scrapes is not known here, and may well be
// less often than watchdog asks (X10).
func stalenessOf(source string) time.Duration {
	if source == Prometheus {
		return promql.Lookback
	}
	return defaultStaleness
}

// spacing is how far apart the samples of a series are, by what was seen of it.
type spacing struct {
	newest     time.Time
	silent     time.Time     // when there was last none, as there should be none
	last, prev time.Duration // between the newest samples
}

// saw notes of a server's series what was observed at a moment.
func (c *cell) saw(o Observation, at time.Time) {
	if c.rule.Source != Prometheus {
		return
	}
	if c.samples == nil {
		c.samples = &spacing{}
	}
	c.samples.saw(o, at)
}

// saw takes what was observed at a moment.
func (s *spacing) saw(o Observation, at time.Time) {
	newest := o.Newest
	if o.Silent {
		s.silent = at
	}
	if newest.IsZero() || !newest.After(s.newest) {
		return
	}
	if !s.newest.IsZero() {
		s.prev, s.last = s.last, newest.Sub(s.newest)
	}
	s.newest = newest
}

// missable is how many distances between samples may pass without one: a scrape fails now
// and then, and the next one is not lost for it.
const missable = 2.5

// late reports whether the data of a server's series is only late: a scrape failed, or the
// series comes less often than the server shows it. The exporter may still come back, so
// watchdog is not blind for it.
func (c *cell) late(now time.Time) bool {
	if c.rule.Source != Prometheus {
		return false
	}
	var samples spacing
	if c.samples != nil {
		samples = *c.samples
	}
	newest := samples.newest
	if newest.IsZero() {
		newest = c.state().LastDataAt
	}
	if samples.silent.After(newest) {
		newest = samples.silent
	}
	if newest.IsZero() {
		return false
	}
	between := max(samples.last, samples.prev)
	return now.Sub(newest) <= max(c.rule.Staleness, time.Duration(missable*float64(between)))
}

// newest is the time of the newest sample by which a target is judged: of several
// selectors, the one whose samples are oldest.
func (a *answers) newest(i int) time.Time {
	oldest := math.NaN()
	for k := range a.fresh {
		at := a.at(k, i)
		if math.IsNaN(oldest) || at < oldest {
			oldest = at
		}
	}
	if math.IsNaN(oldest) {
		return time.Time{}
	}
	return time.UnixMilli(int64(oldest * 1000))
}

// at is the time of the newest sample of a selector for a target; NaN: there is none.
func (a *answers) at(k, i int) float64 {
	if !math.IsNaN(a.fresh[k][i]) {
		return a.fresh[k][i]
	}
	return a.global[k]
}

// withUnseen adds to what a rule about the unseen observes, by target, how many other
// rules had data and have none now. What the source as a whole does not give is told as
// blindness, and an alert that fires has been told.
func (m *Manager) withUnseen(rule *compiled, index map[string]int, seen []Observation) []Observation {
	out := make([]Observation, len(seen))
	copy(out, seen)
	if b := m.source(rule.Source).breaker; b.open {
		for i := range out {
			out[i] = Observation{Unknown: NoData, Reason: "monitoring is blind: " + b.reason}
		}
		return out
	}
	for target, i := range index {
		n, seen := 0, false
		for _, c := range m.byTarget[target] {
			s := c.state()
			switch {
			case c.rule.Aside:
			case s.Quiet || s.Verdict != "" && !s.Verdict.Unknown():
				seen = true
			case s.State != Firing && !s.LastDataAt.IsZero() && s.Verdict != "" &&
				!m.source(c.rule.Source).breaker.open:
				n++
			}
		}
		switch o := &out[i]; {
		case n == 0 && !(seen && o.Unknown == NoData):
		case o.Unknown == "":
			o.Value += float64(n)
		case o.Unknown == NoData:
			*o = Observation{Value: float64(n), Labels: o.Labels}
		}
	}
	return out
}

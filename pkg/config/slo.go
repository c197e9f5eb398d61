package config

import (
	"time"
)

func (s *SLO) setDefaults() {
	orDuration(&s.Window, 30*24*time.Hour)
	if s.Source == "" {
		s.Source = "local"
	}
	if s.Metric == "errors" && s.MinEvents == 0 {
		s.MinEvents = 100
	}
}

// Bounds of an objective's window: shorter than the longest pair of windows says
// nothing, and longer nobody keeps.
const (
	minSLOWindow = 24 * time.Hour
	maxSLOWindow = 90 * 24 * time.Hour
)

func (v *validator) slos(c *Config, targets map[string]bool) {
	names := map[string]bool{}
	for i := range c.SLOs {
		a, s := at{"slos", i}, &c.SLOs[i]
		if !ruleShape.MatchString(s.Name) {
			v.fail(a.key("name"), "an objective needs a name: letters, digits, _, - and ., at most 63")
		}
		if names[s.Name] {
			v.fail(a.key("name"), "objective %q is there twice; names are unique", s.Name)
		}
		names[s.Name] = true
		v.indicator(a, s, c)
		if s.Objective.Unit != "ratio" || s.Objective.Value <= 0.5 || s.Objective.Value >= 1 {
			v.fail(a.key("objective"), "%q is no objective; write the share that must be good: 99.95%%", s.Objective.Text)
		}
		v.span(a.key("window"), time.Duration(s.Window), minSLOWindow, maxSLOWindow)
		if s.Source == "prometheus" && len(s.Targets) > 0 {
			v.fail(a.key("targets"), "with source prometheus, bad and all say of which targets they are")
		}
		for k, name := range s.Targets {
			if !targets[name] && !v.unread.covers("targets") {
				v.fail(a.key("targets").key(k), "there is no target %q", name)
			}
		}
		if !(s.MinEvents >= 0) || s.MinEvents > 1e12 {
			v.fail(a.key("min_events"), "%v is no number of events", s.MinEvents)
		}
	}
	if r := c.SelfReport; r != nil && (r.Tolerance.Unit != "ratio" || r.Tolerance.Value <= 0 || r.Tolerance.Value >= 1) {
		v.fail(at{"self_report", "tolerance"}, "%q: write a share: 5%%", r.Tolerance.Text)
	}
}

// indicator: one of the named ones, or expressions.
func (v *validator) indicator(a at, s *SLO, c *Config) {
	own := s.Bad != "" || s.All != ""
	switch {
	case s.Metric == "" && !own:
		v.fail(a, "an objective needs a metric: availability, latency or errors; or bad and all")
	case s.Metric != "" && own:
		v.fail(a, "metric and bad or all are both given; an objective has one indicator")
	case own && (s.Bad == "" || s.All == ""):
		v.fail(a, "bad and all belong together: the bad events of the last minute, and all of them")
	case s.Metric == "latency" && (s.Max == nil || s.Max.Unit != "seconds" || s.Max.Value <= 0):
		v.fail(a.key("max"), "latency needs max, the bound of the 95th percentile: 500ms")
	case s.Metric != "latency" && s.Max != nil:
		v.fail(a.key("max"), "only latency has a max")
	case s.Metric != "" && s.Metric != "availability" && s.Metric != "latency" && s.Metric != "errors":
		v.fail(a.key("metric"), "unknown metric %q; use availability, latency or errors; or give bad and all", s.Metric)
	case s.Source == "prometheus" && !own:
		v.fail(a.key("source"), "the named metrics are judged from watchdog's own probes: leave source out, or give bad and all")
	case s.Source == "prometheus" && c.Prometheus == nil && !v.unread.covers("prometheus"):
		v.fail(a.key("source"), "source prometheus needs a prometheus: block with its url")
	case s.Source != "local" && s.Source != "prometheus":
		v.fail(a.key("source"), "unknown source %q; use local or prometheus", s.Source)
	}
}

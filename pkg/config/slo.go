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
			v.fail(a.key("name"), "invalid objective name %q: use letters, digits, \"_\", \"-\" and \".\" (at most 63)",
				s.Name)
		}
		if names[s.Name] {
			v.fail(a.key("name"), "duplicate objective %q", s.Name)
		}
		names[s.Name] = true
		v.indicator(a, s, c)
		if s.Objective.Unit != unitRatio || s.Objective.Value <= 0.5 || s.Objective.Value >= 1 {
			v.fail(a.key("objective"), "invalid objective %q; use a percentage below 100%%, for example 99.95%%",
				s.Objective.Text)
		}
		v.span(a.key("window"), time.Duration(s.Window), minSLOWindow, maxSLOWindow)
		if s.Source == "prometheus" && len(s.Targets) > 0 {
			v.fail(a.key("targets"), "targets cannot be set with source prometheus: the label target of bad and all "+
				"names them")
		}
		for k, name := range s.Targets {
			if !targets[name] && !v.undecoded.covers("targets") {
				v.fail(a.key("targets").key(k), "unknown target %q", name)
			}
		}
		if !(s.MinEvents >= 0) || s.MinEvents > 1e12 {
			v.fail(a.key("min_events"), "invalid min_events %v; use 0 or more", s.MinEvents)
		}
	}
	if r := c.SelfReport; r != nil && (r.Tolerance.Unit != unitRatio || r.Tolerance.Value <= 0 ||
		r.Tolerance.Value >= 1) {
		v.fail(at{"self_report", "tolerance"}, "invalid tolerance %q; use a percentage, for example 5%%",
			r.Tolerance.Text)
	}
}

// indicator: one of the named ones, or expressions.
func (v *validator) indicator(a at, s *SLO, c *Config) {
	own := s.Bad != "" || s.All != ""
	switch {
	case s.Metric == "" && !own:
		v.fail(a, "objective has no indicator; set metric (availability, latency or errors), or bad and all")
	case s.Metric != "" && own:
		v.fail(a, "objective has two indicators; set either metric, or bad and all")
	case own && (s.Bad == "" || s.All == ""):
		v.fail(a, "bad and all must be set together: the bad events of the last minute, and all events")
	case s.Metric == "latency" && (s.Max == nil || s.Max.Unit != "seconds" || s.Max.Value <= 0):
		v.fail(a.key("max"), "max is required for latency: the bound for the 95th percentile, for example 500ms")
	case s.Metric != "latency" && s.Max != nil:
		v.fail(a.key("max"), "max applies to latency only")
	case s.Metric != "" && s.Metric != "availability" && s.Metric != "latency" && s.Metric != "errors":
		v.fail(a.key("metric"), "unknown metric %q; expected one of: availability, latency, errors; for anything "+
			"else set bad and all", s.Metric)
	case s.Source == "prometheus" && !own:
		v.fail(a.key("source"), "source applies to bad and all only; remove it")
	case s.Source == "prometheus" && c.Prometheus == nil && !v.undecoded.covers("prometheus"):
		v.fail(a.key("source"), "source prometheus requires prometheus.url")
	case s.Source != "local" && s.Source != "prometheus":
		v.fail(a.key("source"), "unknown source %q; expected one of: local, prometheus", s.Source)
	}
}

package policy

import (
	"context"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Signals returns the state of the target by kind of source (INV-11): watchdog's own
// probes, what the application reports of its users' traffic, what Kubernetes
// reports, and what Prometheus measured.
func Signals(alerts []rules.Alert, looks []probes.Status) []remediate.Signal {
	var all []remediate.Signal
	for _, kind := range []string{"probe", "kubernetes"} {
		s := remediate.Signal{Source: kind}
		for _, l := range looks {
			if sourceOf(l.Kind) != kind || l.Damped == probes.Unknown {
				continue
			}
			s.Known = true
			if l.At.After(s.At) {
				s.At = l.At
			}
			if l.Damped == probes.Bad && !s.Bad {
				s.Bad, s.Detail = true, l.Probe+": "+l.Detail
			}
		}
		all = append(all, judged(s, alerts))
	}
	for _, kind := range []string{"app", "prometheus"} {
		all = append(all, judged(remediate.Signal{Source: kind}, alerts))
	}
	return all
}

// witnessed is the longest lookback of a rule that shows the current state.
const witnessed = 10 * time.Minute

// judged adds the rules of the source: a rule in breach makes it bad, even if the
// probe itself finds no fault (memory near its limit).
func judged(s remediate.Signal, alerts []rules.Alert) remediate.Signal {
	looks := s.Source == "probe" || s.Source == "kubernetes"
	for _, x := range alerts {
		if x.SourceKind != s.Source || incident.Verdict(x.Verdict).Unknown() || looks &&
			(x.Verdict != rules.Breach || x.Lookback > witnessed) {
			continue
		}
		s.Known = true
		if x.EvaluatedAt.After(s.At) {
			s.At = x.EvaluatedAt
		}
		if x.Verdict == rules.Breach && !s.Bad {
			s.Bad, s.Detail = true, x.Rule+": "+x.Reason
		}
	}
	return s
}

// sourceOf maps a probe's kind to its kind of source. What sla and agents read is the
// application's own report, not a check by a probe: rules evaluate it.
func sourceOf(kind string) string {
	if kind == probes.KindKubernetes {
		return kind
	}
	if k, ok := probes.KindOf(kind); ok {
		return k.Source
	}
	return probes.SourceProbe
}

// Dependencies queries the samples of the health document's checks of the target.
func Dependencies(ctx context.Context, ask promql.QueryFunc, target string, at time.Time) []remediate.Dependency {
	points, err := ask(ctx, fmt.Sprintf("watchdog_dependency_up{target=%q,check!=\"agents\"}", target), at)
	if err != nil {
		return nil
	}
	var all []remediate.Dependency
	for _, p := range points {
		all = append(all, remediate.Dependency{Check: p.Labels.Get("check"), Up: p.Value == 1, Known: true})
	}
	return all
}

// Firing returns the alerts that fire in the incidents.
func Firing(open []incident.Incident) []rules.Alert {
	var alerts []rules.Alert
	for _, i := range open {
		for _, x := range i.Alerts {
			if x.Firing {
				alerts = append(alerts, rules.Alert{Rule: x.Rule, Target: i.Target.Name, Severity: string(x.Severity),
					State: rules.Firing, Verdict: rules.NoData, Value: x.Value, ActiveAt: x.ActiveAt,
					FiredAt: x.ActiveAt})
			}
		}
	}
	return alerts
}

// Other is the setup for alerts that concern no target: they notify, and never lead to an
// action.
func Other(name string) (engine.TargetSetup, bool) {
	t, ok := ingest.Unwatched(name)
	return engine.TargetSetup{Target: t, Mode: incident.Observe, ModeWhy: "not a target of the configuration"}, ok
}

// minRetention is the minimum time that samples are kept.
const minRetention = 15 * time.Minute

// Retention is the longest lookback of a rule, plus a minute: a sample may be a minute
// old before it is queried.
func Retention(all []rules.Threshold, groups []rules.Group) time.Duration {
	d := minRetention
	for _, r := range all {
		d = max(d, r.Reach()+time.Minute)
	}
	for _, g := range groups {
		if g.Source == rules.Local {
			d = max(d, g.Reach()+time.Minute)
		}
	}
	return d
}

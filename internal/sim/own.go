package sim

import (
	"context"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Own is the policy of a configuration file, with the functions of production
// that lead from samples to what the engine is shown.
type Own struct {
	Setup        func() *engine.Setup
	View         func(alerts []rules.Alert, looks []probes.Status) engine.Snapshot
	Dependencies func(ctx context.Context, ask promql.QueryFunc, target string, at time.Time) []remediate.Dependency
	Firing       func(open []incident.Incident) []rules.Alert
	Rules        []rules.Threshold
	Probes       map[string][]Probe // by target
	Interval     time.Duration      // between evaluations
	Retention    time.Duration      // of samples
	// Alone leaves everything to watchdog: nobody who is paged comes.
	Alone bool
	// Past, if set, is where the samples come from. Seeing is then told of the rules
	// before they are used.
	Past   *Past
	Seeing func(*rules.Manager)
}

// Probe is one way in which a target is looked at over the network. Its workload
// in Kubernetes is always looked at.
type Probe struct {
	Name, Kind string
	Interval   time.Duration
	Damping    probes.NofM
	Timeout    time.Duration
	// Limit is the longest acceptable answer time of kind http; 0: the timeout.
	Limit time.Duration
	// Outside says that it asks something other than the application.
	Outside bool
}

// setup is what the configuration becomes for one replica.
func (o *Own) setup(w *World, r *replica) *engine.Setup {
	s := o.Setup()
	targets := map[string]engine.TargetSetup{}
	for _, a := range w.apps {
		t := s.Targets[a.name]
		t.Target = a.target()
		targets[a.name] = t
	}
	s.Targets, s.Installation = targets, installation
	s.Policy.Response = nil // nobody there can answer
	s.Snapshot, s.FleetHealth = r.sight.view, r.sight.world
	s.Fresh = func(_ context.Context, t string) (engine.Snapshot, error) { return r.sight.fresh(t), nil }
	s.Dependencies = func(ctx context.Context, t string) []remediate.Dependency {
		// The eyes of a policy of one's own can all be asked in PromQL.
		return o.Dependencies(ctx, r.sight.(interface{ local() promql.QueryFunc }).local(), t, r.now())
	}
	return s
}

// may reports whether some rule on the metric takes the action by itself.
func (o *Own) may(p *Policy, metric string, action incident.Action) bool {
	for _, r := range p.Rules {
		for k, x := range r.Ladder {
			if r.Metric == metric && x.Action == action && slices.ContainsFunc(r.Targets,
				func(t string) bool {
					return o.Setup().Rung(t, incident.Alert{Rule: r.Name},
						k).Mode == incident.Auto
				}) {
				return true
			}
		}
	}
	return false
}

// attempts is how often a rung may be taken in one incident.
func (p *Policy) attempts(rule string, rung int) int {
	k := p.rule(rule)
	if k < 0 || rung >= len(p.Rules[k].Ladder) {
		return 1
	}
	return max(1, p.Rules[k].Ladder[rung].Attempts)
}

// runJob is the API server's side of a Job: it is made, and mends nothing that
// the world knows of.
func (w *World) runJob(by int, sent time.Time, opID string, p incident.Plan) (incident.Outcome, error) {
	a := w.byName[p.Target.Workload]
	e := effect{at: w.clock.now, sent: sent, by: by, op: opID, plan: p, app: a, cause: a.sick(), well: a.well,
		before: a.replicas, ready: a.ready, from: a.template, to: a.template}
	w.say("API server: %s (op %s) is accepted; the truth: %s", p.Summary, opID, orWell(e.cause))
	w.oracle.effect(e)
	w.score.effect(e)
	return incident.Applied, nil
}

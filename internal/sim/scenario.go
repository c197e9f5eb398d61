package sim

import (
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Scenario is everything that decides a run, but for chance, which Seed decides.
type Scenario struct {
	Name     string
	Seed     uint64
	Begin    time.Time // default: epoch
	Length   time.Duration
	Replicas int
	Targets  []Target
	Policy   *Policy
	Happens  []Happening
	Faults   Faults
	Lag      Lag
	// External are alerts that other systems send.
	External []ExternalAlert
	Sources  *Sources
	// Alone: whoever is paged does not come.
	Alone bool
	// Habits are what people and their tools do in it.
	Habits Habits
}

// Target is one simulated application.
type Target struct {
	Name      string
	Namespace string
	Replicas  int
	// Rollout is how long a rollout takes, and MaxUnavailable how many pods are
	// missing meanwhile.
	Rollout        time.Duration
	MaxUnavailable int `yaml:"max_unavailable"`
	// Pods are how its pods come and go.
	Pods PodTraits
	// WarmUp is how long it answers badly after each rollout.
	WarmUp time.Duration `yaml:"warm_up"`
	// Autoscaler, if Max is set, decides about the replicas.
	Autoscaler Autoscaler
	Kind       string // default deployment
	// Owner is another controller that says so; Reverter one that does not, and
	// sets back what it did not write after this time.
	Owner       string
	Reverter    time.Duration
	Annotations map[string]string
	Rollouts    Rollouts
}

// Autoscaler is a HorizontalPodAutoscaler; Keda says that a ScaledObject made it.
type Autoscaler struct {
	Min, Max int
	Keda     bool
}

// Happening is one thing that happens from outside.
type Happening struct {
	At     time.Duration
	What   string
	Target string // empty: everything, where that means something
	For    time.Duration
	// Times is a factor, a count or a share, depending on What.
	Times float64
}

// Faults are the probabilities of what can go wrong at each call; 0: never.
type Faults struct {
	Kill  float64 // the process is killed
	Stall float64 // the process hangs for up to 85 s
	Slow  float64 // the call takes up to 3 s
	Error float64 // the connection is reset
	Stale float64 // a read shows the object as it was before its last change
	Lost  float64 // a write never arrives
	Late  float64 // a write arrives up to a minute after its sender gave up
	Reply float64 // a write lands and its answer is lost
	Twice float64 // a write is delivered twice
	Disk  float64 // the audit record cannot be written
}

// Policy is a configuration as the engine takes it.
type Policy struct {
	Mode     incident.Mode
	Rules    []Rule
	Settings remediate.Settings
	Limits   incident.Limits
	Core     incident.Policy
	// Own, if set, is a configuration file's policy. The fields above then hold
	// what the oracle and the score must know of it.
	Own *Own
}

// Rule is a threshold with its ladder.
type Rule struct {
	rules.Threshold
	Metric       string
	Ladder       []incident.Rung
	Options      []remediate.Options
	SingleSource string
}

func (p *Policy) rule(name string) int {
	return slices.IndexFunc(p.Rules, func(r Rule) bool { return r.Name == name })
}

func (p *Policy) rung(_ string, alert incident.Alert, index int) engine.Rung {
	k := p.rule(alert.Rule)
	if k < 0 || index >= len(p.Rules[k].Options) {
		return engine.Rung{Mode: incident.Observe, ModeWhy: "the scenario has no such rung"}
	}
	o := p.Rules[k].Options[index]
	o.SingleSource = p.Rules[k].SingleSource
	return engine.Rung{Options: o, Mode: p.Mode, ModeWhy: "the scenario"}
}

// has reports whether some rung of some rule takes the action.
func (p *Policy) has(metric string, action incident.Action) bool {
	if p.Own != nil {
		return p.Own.may(p, metric, action)
	}
	return slices.ContainsFunc(p.Rules, func(r Rule) bool {
		return r.Metric == metric && slices.ContainsFunc(r.Ladder,
			func(x incident.Rung) bool { return x.Action == action })
	})
}

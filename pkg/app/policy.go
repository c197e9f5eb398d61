package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Policy is what follows from a configuration alone: what is judged, and what may
// be done about it. The running program and the simulation share it.
type Policy struct {
	Rules []rules.Rule
	// Groups are those of the rule files, SLOs the groups of the objectives.
	Groups []rules.Group
	SLOs   []rules.Group
	// AlertsOf returns the alerts of a target that are no thresholds': their labels
	// say by which route they are treated. Nil: there are none.
	AlertsOf func(target string) []rules.Alert
	// Silenced says by what an alert that fires is silenced; empty: by nothing. Nil:
	// there are no silences.
	Silenced func(rules.Alert) string

	cfg     *config.Config
	ladders map[string][]incident.Rung // by threshold
	routes  [][]incident.Rung          // by route
	named   map[string]bool            // alerts of rule files and objectives
	jobs    map[string]json.RawMessage

	response *response
}

// NewPolicy builds the policy of a configuration, or says everything that is wrong with it.
func NewPolicy(cfg *config.Config) (*Policy, error) {
	p := &Policy{cfg: cfg, ladders: map[string][]incident.Rung{}, named: map[string]bool{}, jobs: map[string]json.RawMessage{}}
	return p, errors.Join(p.readJobs(), p.makeResponse(), p.makeRules(), p.readGroups(), p.makeSLOs())
}

// Ladder returns the rungs of a rule.
func (p *Policy) Ladder(rule string) []incident.Rung { return p.ladders[rule] }

// View is what the engine is shown of a target, but for what only the cluster knows.
func (p *Policy) View(alerts []rules.Alert, looks []probes.Status) engine.View {
	v := engine.View{Signals: signals(alerts, looks), Alerts: make([]incident.Alert, 0, len(alerts))}
	for _, x := range alerts {
		severity, ladder := incident.Severity(x.Severity), p.ladders[x.Rule]
		if p.named[x.Rule] || x.SourceKind == remediate.SourceAlertmanager {
			severity, ladder = p.treatment(x)
		}
		silenced := ""
		if p.Silenced != nil && x.State == rules.Firing {
			silenced = p.Silenced(x)
		}
		v.Alerts = append(v.Alerts, incident.Alert{
			Rule: x.Rule, Severity: severity, Firing: x.State == rules.Firing, Verdict: incident.Verdict(x.Verdict), Reason: x.Reason,
			Value: x.Value, Bound: x.Bound, Above: x.Above, Unit: x.Unit, Usual: x.Usual, Noise: x.Noise, Recent: x.Rising, Source: x.SourceKind, ActiveAt: x.ActiveAt, EvaluatedAt: x.EvaluatedAt, Ladder: ladder, Silenced: silenced,
		})
	}
	return v
}

func (p *Policy) makeRules() error {
	var errs []error
	for _, t := range p.cfg.Thresholds {
		r, err := rule(t, p.cfg)
		if err == nil {
			err = rules.Check(r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: threshold %s: %w", p.cfg.File, t.Name, err))
			continue
		}
		p.Rules = append(p.Rules, r)
		p.ladders[t.Name] = ladder(t.Ladder)
	}
	return errors.Join(errs...)
}

// rule turns a threshold of the file into a rule.
func rule(t config.Threshold, cfg *config.Config) (rules.Rule, error) {
	r := rules.Rule{
		Name: t.Name, Severity: string(t.Severity), Expr: t.Expr, Window: time.Duration(t.Window), Source: t.Source,
		For: time.Duration(t.For), ClearFor: time.Duration(t.ClearFor), Targets: t.Targets, Staleness: staleness(cfg),
	}
	if len(r.Targets) == 0 {
		for _, target := range cfg.Targets {
			r.Targets = append(r.Targets, target.Name)
		}
	}
	bound, clear := t.Above, t.ClearBelow
	if r.Above = t.Above != nil; !r.Above {
		bound, clear = t.Below, t.ClearAbove
	}
	if bound == nil {
		return r, errors.New("neither above nor below is given")
	}
	r.Bound, r.Clear, r.Unit = bound.Value, bound.Value, bound.Unit
	if clear != nil {
		r.Clear = clear.Value
	}
	if t.MinRate > 0 {
		r.Floor = append(r.Floor, rules.MinRate(t.MinRate))
	}
	if t.MinRequests > 0 {
		r.Floor = append(r.Floor, rules.MinRequests(t.MinRequests, time.Duration(t.Window)))
	}
	if row, ok := rules.LookupBuiltin(t.Metric); ok && t.Expr == "" {
		return row.Apply(r)
	}
	if r.Source == rules.Prometheus {
		r.SourceKind = "prometheus"
	} else {
		r.SourceKind = "app"
	}
	return r, nil
}

// staleness follows the slowest probe: three of its intervals.
func staleness(cfg *config.Config) time.Duration {
	slowest := 15 * time.Second
	for _, t := range cfg.Targets {
		for _, p := range t.Probes {
			slowest = max(slowest, time.Duration(p.Look().Interval))
		}
	}
	return 3 * slowest
}

// ladder turns the file's rungs into the core's.
func ladder(rungs []config.Rung) []incident.Rung {
	var l []incident.Rung
	for i, r := range rungs {
		l = append(l, incident.Rung{Action: r.Action, Class: remediate.ClassOf(r.Action), Settle: time.Duration(r.Options.Settle), Verify: time.Duration(r.Options.Verify), Attempts: r.Options.Attempts, Index: i})
	}
	return l
}

// readJobs reads the vetted Job manifests into JSON.
func (p *Policy) readJobs() error {
	var errs []error
	for name, j := range p.cfg.JobTemplates {
		path := j.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(p.cfg.File), path)
		}
		text, err := os.ReadFile(path)
		var doc any
		if err == nil {
			err = yaml.Unmarshal(text, &doc)
		}
		if err == nil {
			p.jobs[name], err = json.Marshal(doc)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: job_templates: %s: %w", p.cfg.File, name, err))
		}
	}
	return errors.Join(errs...)
}

// Setup is what the file decides of an engine's setup; how to look at the world
// is left to whoever has one.
func (p *Policy) Setup() *engine.Setup {
	c := p.cfg
	s := &engine.Setup{
		Config: c.Hash, Targets: map[string]engine.TargetSetup{}, Rung: p.rung,
		Settings: remediate.Settings{
			AvailabilityFloor: c.Guards.AvailabilityFloor.Value, MaxUnhealthy: c.Budget.MaxUnhealthy.Value,
			SuspectWindow: time.Duration(c.Guards.SuspectWindow), GoodAfter: time.Duration(c.Guards.GoodAfter),
			HumanChange: time.Duration(c.Guards.HumanChange), OwnChange: time.Duration(c.Guards.OwnChange), StartupGrace: time.Duration(c.Guards.StartupGrace), MaxReplicas: c.Guards.MaxReplicas,
			StaleAfter: max(10*time.Second, 3*time.Duration(c.EvaluationInterval)),
		},
		Limits: incident.Limits{
			PerTarget: rate(c.Budget.PerTarget), PerNamespace: rate(c.Budget.PerNamespace), Cluster: rate(c.Budget.Cluster),
			Concurrent: c.Budget.Concurrent, Cooldown: time.Duration(c.Guards.Cooldown),
			Quarantine: rate(c.Guards.Quarantine), Spread: time.Duration(c.Budget.Spread),
		},
		Policy: incident.DefaultPolicy(),
	}
	s.Policy.Response = p.response
	if am := c.Alertmanager; am != nil && am.Silences != nil {
		s.Settings.RemediateSilenced = am.Silences.SilencedAlerts == "remediate"
	}
	s.Policy.Approval = time.Duration(c.Guards.Approval)
	s.Policy.WaitLimit = time.Duration(c.Guards.WaitLimit)
	for _, t := range c.Targets {
		kind, name, _ := strings.Cut(t.Workload, "/")
		mode, who := lowest([]ceiling{{c.Mode, "the configuration's mode"}, {t.Mode, "target " + t.Name}})
		s.Targets[t.Name] = engine.TargetSetup{Target: incident.Target{Name: t.Name, Namespace: t.Namespace, Kind: kind, Workload: name}, Service: t.Service, Mode: mode, ModeWhy: who}
	}
	return s
}

func rate(r config.Rate) incident.Rate {
	return incident.Rate{Count: r.Count, Per: time.Duration(r.Per)}
}

// rung finds how one rung is set up: the lowest mode wins, and it is said whose it is.
func (p *Policy) rung(target, rule string, index int) engine.Rung {
	ti := slices.IndexFunc(p.cfg.Targets, func(t config.Target) bool { return t.Name == target })
	how, known := p.handling(target, rule)
	if ti < 0 || !known || index >= len(how.ladder) {
		return engine.Rung{Mode: incident.Observe, ModeWhy: "the configuration has no such rule, target or rung any more"}
	}
	t, o := p.cfg.Targets[ti], how.ladder[index].Options
	modes := []ceiling{{p.cfg.Mode, "the configuration's mode"}, {t.Mode, "target " + t.Name}, {how.mode, how.who}}
	if o.Mode != "" {
		modes = append(modes, ceiling{o.Mode, fmt.Sprintf("rung %d of %s", index+1, how.who)})
	}
	low, who := lowest(modes)
	return engine.Rung{
		Mode: low, ModeWhy: who,
		Options: remediate.Options{By: o.By, AtLeast: o.AtLeast, Max: o.Max, Lease: time.Duration(o.Lease), Job: p.jobs[o.Template], JobName: o.Template, SingleSource: how.singleSource, Approvals: o.Approvals, CoolOff: time.Duration(o.CoolOff)},
	}
}

// handling is what the file says is done about a rule's alerts.
type handling struct {
	ladder       []config.Rung
	mode         incident.Mode
	who          string // whose the mode is
	singleSource string
}

// handling finds what is done about the alert of a rule on a target.
func (p *Policy) handling(target, rule string) (handling, bool) {
	i := slices.IndexFunc(p.cfg.Thresholds, func(t config.Threshold) bool { return t.Name == rule })
	if i < 0 {
		return p.routed(target, rule)
	}
	r := p.cfg.Thresholds[i]
	return handling{r.Ladder, r.Mode, "rule " + r.Name, r.SingleSource}, true
}

// ceiling is a mode and who set it.
type ceiling struct {
	mode incident.Mode
	who  string
}

func lowest(all []ceiling) (incident.Mode, string) {
	low, who := incident.Auto, "everything"
	for _, c := range all {
		if l := incident.Lowest(low, c.mode); l != low {
			low, who = l, c.who
		}
	}
	return low, who
}

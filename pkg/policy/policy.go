// Package policy compiles a configuration: its rules, the ladder, mode and route of each
// alert, and the engine's view of a target.
//
// It owns the compiled configuration. Its one rule: no I/O and no state, so that the daemon,
// the simulation and the backtest share it.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Policy is a compiled configuration: what is evaluated, and what may be done about
// it. The running program and the simulation share it.
type Policy struct {
	Rules []rules.Threshold
	// Groups are those of the rule files, SLOs the groups of the objectives.
	Groups []rules.Group
	SLOs   []rules.Group

	live    Live
	cfg     *config.Config
	ladders map[string][]incident.Rung // by threshold
	routes  [][]incident.Rung          // by route
	damping map[string]time.Duration   // by target: how long its probes keep reporting bad after recovery
	slowest time.Duration              // interval of the probes
	zero    map[string]bool            // thresholds about workloads scaled to zero
	named   map[string]bool            // alerts of rule files and objectives
	jobs    map[string]json.RawMessage

	response *response
}

// Live is the current state of alerts, for a policy that is applied.
type Live struct {
	// AlertsOf returns the alerts of a target: the labels of those that are not from
	// thresholds select their route. Nil: there are none.
	AlertsOf func(target string) []rules.Alert
	// Silenced names the silence of a firing alert; empty: it is not silenced. Nil: there
	// are no silences.
	Silenced func(rules.Alert) string
}

// With returns the policy with the current state of alerts.
func (p *Policy) With(l Live) *Policy {
	applied := *p
	applied.live = l
	return &applied
}

// New builds the policy of a configuration, or returns everything that is wrong with it.
func New(cfg *config.Config) (*Policy, error) {
	p := &Policy{cfg: cfg, ladders: map[string][]incident.Rung{}, damping: dampings(cfg), slowest: slowest(cfg),
		named: map[string]bool{}, zero: map[string]bool{}, jobs: map[string]json.RawMessage{}}
	return p, cfg.HideIn(errors.Join(p.readJobs(), p.makeResponse(), p.makeRules(), p.readGroups(), p.makeSLOs()))
}

// Ladder returns the rungs of a rule.
func (p *Policy) Ladder(rule string) []incident.Rung { return p.ladders[rule] }

// View is the engine's view of a target, without what only the cluster knows.
func (p *Policy) View(alerts []rules.Alert, looks []probes.Status) engine.Snapshot {
	v := engine.Snapshot{Signals: Signals(alerts, looks), Alerts: make([]incident.Alert, 0, len(alerts))}
	for _, x := range unanswered(alerts, looks) {
		if p.Dropped(x) || p.unknown(x) {
			continue
		}
		how := p.handling(x)
		x.Reason += p.worst(x, looks)
		silenced := ""
		if p.live.Silenced != nil && x.State == rules.Firing {
			silenced = p.live.Silenced(x)
		}
		if p.zero[x.Rule] && x.State == rules.Firing {
			x.Reason += whoScaled(looks)
		}
		v.Alerts = append(v.Alerts, described(incident.Alert{
			Rule: x.Rule, Severity: how.severity, Firing: x.State == rules.Firing, Verdict: incident.Verdict(x.Verdict),
			Reason: x.Reason,
			Value:  x.Value, Bound: x.Bound, Above: x.Above, Unit: x.Unit, Usual: x.Usual, Noise: x.Noise,
			Recent: x.Rising, Source: x.SourceKind, ActiveAt: x.ActiveAt, EvaluatedAt: x.EvaluatedAt,
			Lookback: p.lookback(x), Ladder: told(how.ladder, x), Silenced: silenced,
		}, x))
	}
	return v
}

// unknown reports whether an alert is of a rule that this configuration does not have: during
// a reload the rules may be newer than the policy of the engine. An alert without a ladder
// only notifies and never acts, so it waits for its own configuration, which wakes all
// targets.
func (p *Policy) unknown(x rules.Alert) bool {
	return p.live.AlertsOf != nil && !p.routed(x) && p.threshold(x.Rule) < 0 && x.Target != incident.Canary
}

// elsewhere is the assumed lookback of an alert of Alertmanager: the usual one of rules,
// and of the interval between its notifications.
const elsewhere = 5 * time.Minute

func (p *Policy) lookback(x rules.Alert) time.Duration {
	switch x.SourceKind {
	case remediate.SourceAlertmanager:
		return elsewhere
	case "probe":
		return max(x.Lookback, p.damping[x.Target])
	}
	return x.Lookback
}

// dampings are how long the probes of each target keep reporting bad after recovery: until
// the next check is due, and for as many good results as they require.
func dampings(cfg *config.Config) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, t := range cfg.Targets {
		for k := range t.Probes {
			look := t.Probes[k].Look()
			all[t.Name] = max(all[t.Name], time.Duration(look.Interval)*time.Duration(1+look.Successes))
		}
	}
	return all
}

// whoScaled is the workload probe's detail about who scaled the workload to zero.
func whoScaled(looks []probes.Status) string {
	for _, l := range looks {
		if l.Kind == probes.KindKubernetes && l.Facts[probes.FactScaledBy] != "" {
			return ": " + l.Detail
		}
	}
	return ""
}

func (p *Policy) makeRules() error {
	var errs []error
	all := make([]string, len(p.cfg.Targets))
	for i := range p.cfg.Targets {
		all[i] = p.cfg.Targets[i].Name
	}
	for _, t := range p.cfg.Thresholds {
		r, err := p.rule(t, all)
		if err == nil {
			err = rules.Check(r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: threshold %s: %w", p.cfg.File, t.Name, err))
			continue
		}
		p.Rules = append(p.Rules, r)
		p.zero[t.Name] = t.Metric == "scaled_to_zero"
		p.ladders[t.Name] = patient(ladder(t.Ladder), t.Ladder, promql.Span(r.Text()))
	}
	return errors.Join(errs...)
}

// rule turns a threshold of the file into a rule. all are the names of all targets.
func (p *Policy) rule(t config.Threshold, all []string) (rules.Threshold, error) {
	r := rules.Threshold{
		Name: t.Name, Severity: string(t.Severity), Expr: t.Expr, Window: time.Duration(t.Window), Source: t.Source,
		For: time.Duration(t.For), ClearFor: time.Duration(t.ClearFor), Targets: t.Targets,
		Staleness: p.staleness(t.Source),
	}
	if len(r.Targets) == 0 {
		r.Targets = all
	}
	bound, clear := t.Above, t.ClearBelow
	if r.Above = t.Above != nil; !r.Above {
		bound, clear = t.Below, t.ClearAbove
	}
	if bound == nil {
		return r, errors.New("set above or below")
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

// staleness is how old a sample may be. For watchdog's own samples it is three intervals
// of the slowest probe. For a server it is configured, because its scrape interval is its own.
func (p *Policy) staleness(source string) time.Duration {
	if source != rules.Prometheus {
		return 3 * p.slowest
	}
	if p.cfg.Prometheus == nil {
		return 0
	}
	return time.Duration(p.cfg.Prometheus.Staleness)
}

// slowest is the longest interval of a probe, and at least the usual one.
func slowest(cfg *config.Config) time.Duration {
	longest := 15 * time.Second
	for i := range cfg.Targets {
		for k := range cfg.Targets[i].Probes {
			longest = max(longest, time.Duration(cfg.Targets[i].Probes[k].Look().Interval))
		}
	}
	return longest
}

// ladder turns the file's rungs into the core's.
func ladder(rungs []config.Rung) []incident.Rung {
	var l []incident.Rung
	for i, r := range rungs {
		l = append(l, incident.Rung{Action: r.Action, Class: remediate.ClassOf(r.Action),
			Settle: time.Duration(r.Options.Settle), Verify: time.Duration(r.Options.Verify),
			Attempts: r.Options.Attempts, Index: i})
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
		if err == nil {
			err = remediate.VetJob(p.jobs[name], p.namespaces(), j.Allow)
		}
		if err != nil {
			errs = append(errs, config.HideIn(text, fmt.Errorf("%s: job_templates: %s: %w", p.cfg.File, name, err)))
		}
	}
	return errors.Join(errs...)
}

// namespaces are those of the targets.
func (p *Policy) namespaces() []string {
	var all []string
	for _, t := range p.cfg.Targets {
		all = append(all, t.Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Setup is the part of an engine's setup that the file determines; access to the
// cluster is added by the caller.
func (p *Policy) Setup() *engine.Setup {
	c := p.cfg
	s := &engine.Setup{
		Config: c.Hash, Targets: map[string]engine.TargetSetup{}, Rung: p.rung,
		Settings: remediate.Settings{
			AvailabilityFloor: c.Guards.AvailabilityFloor.Value, MaxUnhealthy: c.Budget.MaxUnhealthy.Value,
			StormFrom: c.Budget.StormFrom, OutageTolerance: time.Duration(c.Guards.OutageTolerance),
			SuspectWindow: time.Duration(c.Guards.SuspectWindow), GoodAfter: time.Duration(c.Guards.GoodAfter),
			HumanChange: time.Duration(c.Guards.HumanChange), OwnChange: time.Duration(c.Guards.OwnChange),
			StartupGrace: time.Duration(c.Guards.StartupGrace), MaxReplicas: c.Guards.MaxReplicas,
			StaleAfter: max(10*time.Second, 3*time.Duration(c.EvaluationInterval)),
		},
		Limits: incident.Limits{
			PerTarget: rate(c.Budget.PerTarget), PerNamespace: rate(c.Budget.PerNamespace),
			Cluster: rate(c.Budget.Cluster), Pods: rate(c.Budget.Pods),
			Concurrent: c.Budget.Concurrent, Cooldown: time.Duration(c.Guards.Cooldown),
			Quarantine: rate(c.Guards.Quarantine), MinInterval: time.Duration(c.Budget.MinInterval),
		},
		Policy: incident.DefaultPolicy(),
	}
	s.Policy.Response = p.response
	if am := c.Alertmanager; am != nil && am.Silences != nil {
		s.Settings.RemediateSilenced = am.Silences.SilencedAlerts == "remediate"
	}
	s.Policy.Approval = time.Duration(c.Guards.Approval)
	s.Policy.WaitLimit = time.Duration(c.Guards.WaitLimit)
	s.Policy.HoldLimit = time.Duration(c.Guards.HoldLimit)
	for _, t := range c.Targets {
		kind, name, _ := strings.Cut(t.Workload, "/")
		mode, who := lowest([]ceiling{{c.Mode, "the configuration's mode"}, {t.Mode, "target " + t.Name}})
		s.Targets[t.Name] = engine.TargetSetup{Target: incident.Target{Name: t.Name, Namespace: t.Namespace, Kind: kind,
			Workload: name}, Service: t.Service, Mode: mode, ModeWhy: who}
	}
	return s
}

func rate(r config.Rate) incident.Rate {
	return incident.Rate{Count: r.Count, Per: time.Duration(r.Per)}
}

// rung returns the setup of one rung of an alert's ladder: the lowest mode applies, with
// its origin.
func (p *Policy) rung(target string, alert incident.Alert, index int) engine.Rung {
	ti := slices.IndexFunc(p.cfg.Targets, func(t config.Target) bool { return t.Name == target })
	x, known := p.alertOf(target, alert)
	how := p.handling(x)
	if ti < 0 || !known || index >= len(how.options) {
		return engine.Rung{Mode: incident.Observe,
			ModeWhy: "the configuration no longer has this rule, target or rung"}
	}
	t, o := p.cfg.Targets[ti], how.options[index].Options
	modes := []ceiling{{p.cfg.Mode, "the configuration's mode"}, {t.Mode, "target " + t.Name}, {how.mode, how.who}}
	if o.Mode != "" {
		modes = append(modes, ceiling{o.Mode, fmt.Sprintf("rung %d of %s", index+1, how.who)})
	}
	low, who := lowest(modes)
	return engine.Rung{
		Mode: low, ModeWhy: who,
		Options: remediate.Options{By: o.By, AtLeast: o.AtLeast, Max: o.Max, Lease: time.Duration(o.Lease),
			Job: p.jobs[o.Template], JobName: o.Template, JobAllow: p.cfg.JobTemplates[o.Template].Allow,
			SingleSource: how.singleSource, Approvals: o.Approvals, CoolOff: time.Duration(o.CoolOff)},
	}
}

// handling is what the file configures for an alert. All of it comes from one place:
// the threshold that raised it, or the route that its labels match.
type handling struct {
	severity     incident.Severity
	ladder       []incident.Rung
	options      []config.Rung // of the ladder, rung by rung
	mode         incident.Mode
	who          string // whose the mode is
	singleSource string
}

// handling finds what is configured for an alert. An alert that no threshold raised is
// handled by its route only, whatever its name.
func (p *Policy) handling(x rules.Alert) handling {
	if p.routed(x) {
		return p.route(x)
	}
	i := p.threshold(x.Rule)
	if i < 0 {
		return handling{severity: incident.Severity(x.Severity)}
	}
	t := p.cfg.Thresholds[i]
	return handling{incident.Severity(x.Severity), p.ladders[t.Name], t.Ladder, t.Mode, "rule " + t.Name,
		t.SingleSource}
}

// threshold is the index of the threshold of a name, or -1.
func (p *Policy) threshold(name string) int {
	return slices.IndexFunc(p.cfg.Thresholds, func(t config.Threshold) bool { return t.Name == name })
}

// alertOf finds the current state of an incident's alert, and whether it still exists.
func (p *Policy) alertOf(target string, a incident.Alert) (rules.Alert, bool) {
	if a.Source != remediate.SourceAlertmanager && p.threshold(a.Rule) >= 0 {
		return rules.Alert{Rule: a.Rule, Target: target}, true
	}
	if p.live.AlertsOf == nil {
		return rules.Alert{}, false
	}
	all := p.live.AlertsOf(target)
	i := slices.IndexFunc(all, func(x rules.Alert) bool { return x.Rule == a.Rule })
	if i < 0 {
		return rules.Alert{}, false
	}
	return all[i], true
}

// ceiling is a mode and who set it.
type ceiling struct {
	mode incident.Mode
	who  string
}

func lowest(all []ceiling) (incident.Mode, string) {
	low, who := incident.Auto, "set everywhere"
	for _, c := range all {
		if l := incident.Lowest(low, c.mode); l != low {
			low, who = l, c.who
		}
	}
	return low, who
}

// AlertName is the name of an alert from its rule or sender. Rule may contain more, to
// distinguish alerts of one name and different severities.
func AlertName(x rules.Alert) string { return x.Name() }

// Dropped reports whether an alert of a rule file is dropped, with all others of its name
// on the target. External alerts are dropped earlier.
func (p *Policy) Dropped(x rules.Alert) bool {
	if !p.named[AlertName(x)] || x.Labels["severity"] == "" && len(p.cfg.Routes) == 0 || !p.cfg.Drops(x.Labels) {
		return false
	}
	return !slices.ContainsFunc(x.Others, func(l labels.Labels) bool { return !p.cfg.Drops(l.Map()) })
}

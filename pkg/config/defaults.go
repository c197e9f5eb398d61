package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
)

func orDuration(v *model.Duration, d time.Duration) {
	if *v == 0 {
		*v = model.Duration(d)
	}
}

func orInt(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

func orMode(v *incident.Mode) {
	if *v == "" {
		*v = incident.Observe
	}
}

// DefaultAudience is what callers' tokens are made for unless api.audiences says otherwise.
const DefaultAudience = "watchdog"

// setDefaults fills what the file leaves open. Modes stay at observe: nothing is
// acted on that did not opt in (INV-48).
func (c *Config) setDefaults() {
	orMode(&c.Mode)
	orDuration(&c.EvaluationInterval, 15*time.Second)
	if c.Prometheus != nil {
		orDuration(&c.Prometheus.Timeout, 10*time.Second)
		if a := c.Prometheus.Authorization; a != nil {
			a.Type = cmp.Or(a.Type, "Bearer")
		}
		orDuration(&c.Prometheus.Staleness, 5*time.Minute)
	}
	if c.Alertmanager != nil && c.Alertmanager.Silences != nil {
		c.Alertmanager.Silences.setDefaults()
	}
	for i := range c.Targets {
		c.Targets[i].setDefaults()
	}
	if c.Thresholds == nil {
		c.Thresholds, c.Shipped = DefaultThresholds(), true
	}
	c.addUnseen()
	for i := range c.Thresholds {
		c.Thresholds[i].setDefaults()
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		r.open = r.Mode == ""
		orMode(&r.Mode)
		rungDefaults(r.Ladder, 5*time.Minute)
	}
	for i := range c.SLOs {
		c.SLOs[i].setDefaults()
	}
	if r := c.SelfReport; r != nil && r.Tolerance.Text == "" {
		r.Tolerance = mustQuantity("5%")
	}
	if c.API == nil {
		c.API = &API{}
	}
	if len(c.API.Audiences) == 0 {
		c.API.Audiences = []string{DefaultAudience}
	}
	c.API.Read = cmp.Or(c.API.Read, ReadAuthorized)
	c.Budget.setDefaults()
	c.Guards.setDefaults()
	c.setResponse()
	for i := range c.MaintenanceWindows {
		c.MaintenanceWindows[i].setDefaults()
	}
	c.Receivers.setDefaults()
	c.setSelfWatch()
}

func (s *Silences) setDefaults() {
	orDuration(&s.Interval, 30*time.Second)
	orDuration(&s.Timeout, 5*time.Second)
	orDuration(&s.Keep, 10*time.Minute)
	if s.SilencedAlerts == "" {
		s.SilencedAlerts = "observe"
	}
}

// Raise sets the ceiling, and the mode of each target and rule for which the
// file gives none. Where it gives one, that stays. It is for asking what a policy
// would do; what runs is what the file says.
func (c *Config) Raise(m incident.Mode) {
	c.Mode = m
	for i := range c.Targets {
		if c.Targets[i].open {
			c.Targets[i].Mode = m
		}
	}
	for i := range c.Thresholds {
		if c.Thresholds[i].open {
			c.Thresholds[i].Mode = m
		}
	}
	for i := range c.Routes {
		if c.Routes[i].open {
			c.Routes[i].Mode = m
		}
	}
}

// unseen is the rule about what nobody can see.
const unseen = "unseen"

// addUnseen adds the rule about what nobody can see to every file that has none of its
// own: a probe or a rule that gives no answer would go unnoticed.
func (c *Config) addUnseen() {
	if row, ok := shipped(unseen); ok && !slices.ContainsFunc(c.Thresholds,
		func(t Threshold) bool { return t.Metric == unseen || t.Name == unseen }) {
		row.implicit = true
		c.Thresholds = append(slices.Clip(c.Thresholds), row)
	}
}

// Implicit reports whether the rule is there without being in the file.
func (t Threshold) Implicit() bool { return t.implicit }

// VerifyByDefault reports whether the file leaves it open how long an effect is awaited.
func (o RungOptions) VerifyByDefault() bool { return o.open }

func (t *Target) setDefaults() {
	t.open = t.Mode == ""
	orMode(&t.Mode)
	for i := range t.Probes {
		t.Probes[i].SetDefaults()
	}
}

// setDefaults completes a rule whose metric is a row of the shipped table: what
// the file does not say is as shipped.
func (t *Threshold) setDefaults() {
	if row, ok := shipped(t.Metric); ok {
		t.inherit(row)
	}
	if t.Name == "" {
		t.Name = t.Metric
	}
	if t.Source == "" {
		t.Source = "local"
	}
	t.open = t.Mode == ""
	orMode(&t.Mode)
	orDuration(&t.Window, 5*time.Minute)
	rungDefaults(t.Ladder, time.Duration(t.Window))
}

// rungDefaults completes a ladder. What a rule sees is as old as its window, so an
// effect shows only once the window has passed.
func rungDefaults(ladder []Rung, window time.Duration) {
	for i := range ladder {
		o := &ladder[i].Options
		orDuration(&o.Settle, 30*time.Second)
		o.open = o.Verify == 0
		orDuration(&o.Verify, max(5*time.Minute, 2*window))
		orInt(&o.Attempts, 1)
		if o.Mode == "" && (o.Approvals > 0 || o.CoolOff > 0) {
			o.Mode = incident.Approve
		}
		if ladder[i].Action == incident.ActionScale {
			orDuration(&o.Lease, 2*time.Hour)
		}
		if ladder[i].Action == incident.ActionRollback && o.OnlyIf == "" {
			o.OnlyIf = "suspect_deploy"
		}
	}
}

func (t *Threshold) inherit(row Threshold) {
	if t.Above == nil && t.Below == nil {
		t.Above, t.Below = row.Above, row.Below
		if t.ClearBelow == nil && t.ClearAbove == nil {
			t.ClearBelow, t.ClearAbove = row.ClearBelow, row.ClearAbove
		}
	}
	if t.For == 0 {
		t.For = row.For
	}
	if t.ClearFor == 0 {
		t.ClearFor = row.ClearFor
	}
	if t.Window == 0 {
		t.Window = row.Window
	}
	if t.MinRate == 0 && t.MinRequests == 0 {
		t.MinRate, t.MinRequests = row.MinRate, row.MinRequests
	}
	if t.Severity == "" {
		t.Severity = row.Severity
	}
	if t.Ladder == nil {
		t.Ladder = row.Ladder
	}
	if t.SingleSource == "" {
		t.SingleSource = row.SingleSource
	}
}

func (b *Budget) setDefaults() {
	for _, r := range []struct {
		rate  *Rate
		count int
	}{{&b.PerTarget, 3}, {&b.PerNamespace, 5}, {&b.Cluster, 10}, {&b.Pods, 200}} {
		if !r.rate.set {
			*r.rate = Rate{Count: r.count, Per: model.Duration(time.Hour), set: true}
		}
	}
	orInt(&b.Concurrent, 2)
	orDuration(&b.MinInterval, 10*time.Second)
	if b.MaxUnhealthy.Text == "" {
		b.MaxUnhealthy = mustQuantity("30%")
	}
	orInt(&b.StormFrom, 5)
}

func (g *Guards) setDefaults() {
	orDuration(&g.Cooldown, 5*time.Minute)
	orDuration(&g.SuspectWindow, 30*time.Minute)
	orDuration(&g.GoodAfter, 10*time.Minute)
	orDuration(&g.HumanChange, 10*time.Minute)
	orDuration(&g.OwnChange, time.Hour)
	orDuration(&g.StartupGrace, 5*time.Minute)
	if !g.Quarantine.set {
		g.Quarantine = Rate{Count: 3, Per: model.Duration(6 * time.Hour), set: true}
	}
	orDuration(&g.Approval, incident.DefaultApproval)
	orDuration(&g.WaitLimit, 10*time.Minute)
	orDuration(&g.HoldLimit, incident.DefaultHoldLimit)
	orDuration(&g.OutageTolerance, 3*time.Minute)
	orInt(&g.MaxReplicas, 50)
	if g.AvailabilityFloor.Text == "" {
		g.AvailabilityFloor = mustQuantity("50%")
	}
}

func orURL(v *string, d string) {
	if *v == "" {
		*v = d
	}
}

// mustQuantity is for texts of this package.
func mustQuantity(s string) Quantity {
	q, err := ParseQuantity(s)
	if err != nil {
		return Quantity{}
	}
	return q
}

// row is one line of the shipped table in the words of the file.
type row struct {
	metric               string
	above, below         string
	clear                string
	wait, clearFor, over time.Duration // for, clear_for, window
	minRate, minRequests float64
	severity             incident.Severity
	single               string
	ladder               []string
}

// table is the runbook's metrics table (2.2) with the windows, clear conditions
// and floors that it lacks, its P0 (errors > 5 %, no agents, system down), and rules of
// our own.
func table() []row {
	m := time.Minute
	return []row{
		{metric: "response_time", above: "500ms", clear: "400ms", wait: 5 * m, clearFor: 10 * m, over: m, minRate: 1,
			severity: incident.P2, ladder: []string{"capture", "scale", "rollback", "page"}},
		{metric: "error_rate", above: "0.1%", clear: "0.05%", wait: 5 * m, clearFor: 10 * m, over: 2 * m,
			minRequests: 400, severity: incident.P1, ladder: []string{"capture", "rollback", "page"}},
		{metric: "error_rate_critical", above: "5%", clear: "1%", wait: 2 * m, clearFor: 10 * m, over: m,
			minRequests: 100, severity: incident.P0, ladder: []string{"capture", "rollback", "page"}},
		{metric: "cpu", above: "80%", clear: "65%", wait: 10 * m, clearFor: 15 * m, over: 5 * m, severity: incident.P3,
			ladder: []string{"scale", "page"}},
		{metric: "memory", above: "85%", clear: "75%", wait: 10 * m, clearFor: 10 * m, over: 5 * m,
			severity: incident.P2, single: "memory is measured by the kubelet alone",
			ladder: []string{"capture", "restart", "page"}},
		{metric: "active_agents", below: "2", clear: "2", wait: 2 * m, clearFor: 5 * m, over: m, severity: incident.P1,
			ladder: []string{"capture", "restart", "rollback", "page"}},
		{metric: "no_agents", below: "1", clear: "1", wait: 2 * m, clearFor: 5 * m, over: m, severity: incident.P0,
			ladder: []string{"capture", "restart", "rollback", "page"}},
		{metric: "system_down", above: "0", clear: "0", wait: m, clearFor: 2 * m, over: m, severity: incident.P0,
			ladder: []string{"capture", "rollback", "page"}},
		{metric: "health", above: "0", clear: "0", wait: m, clearFor: 2 * m, over: m, severity: incident.P1,
			ladder: []string{"capture", "rollback", "page"}},
		{metric: "crash_looping", above: "0", clear: "0", wait: m, clearFor: 2 * m, over: m, severity: incident.P1,
			single: "a crash loop is the kubelet's own report", ladder: []string{"capture", "rollback", "page"}},
		{metric: "rollout_stalled", above: "0", clear: "0", wait: m, clearFor: 2 * m, over: m, severity: incident.P2,
			single: "that a rollout makes no progress is the Deployment controller's own report",
			ladder: []string{"capture", "rollback", "page"}},
		{metric: "restarts", above: "5", clear: "2", wait: 15 * m, clearFor: 10 * m, over: 30 * m,
			severity: incident.P2, ladder: []string{"capture", "page"}},
		{metric: "dependency", above: "0", clear: "0", wait: m, clearFor: 2 * m, over: m, severity: incident.P1,
			ladder: []string{"capture", "page"}},
		{metric: unseen, above: "0", clear: "0", wait: 20 * m, clearFor: 2 * m, over: m, severity: incident.P3,
			ladder: []string{"page"}},
		{metric: "scaled_to_zero", above: "0", clear: "0", wait: m, clearFor: m, over: m, severity: incident.P2,
			ladder: []string{"page"}},
		{metric: "ready_replicas", below: "100%", clear: "100%", wait: 10 * m, clearFor: 5 * m, over: m,
			severity: incident.P2, ladder: []string{"capture", "page"}},
	}
}

// DefaultThresholds returns the rules that are used when a file has none: the
// runbook's metrics table, its P0 and rules of our own. All are in mode observe.
// Disk is missing on purpose: where it is measured differs from cluster to
// cluster, so that row needs an expr (see configs/prometheus.yaml).
func DefaultThresholds() []Threshold {
	var all []Threshold
	for _, r := range table() {
		if r.metric != "ready_replicas" && r.metric != unseen {
			all = append(all, r.threshold())
		}
	}
	return all
}

func shipped(metric string) (Threshold, bool) {
	rows := table()
	i := slices.IndexFunc(rows, func(r row) bool { return r.metric == metric })
	if i < 0 {
		return Threshold{}, false
	}
	return rows[i].threshold(), true
}

// Metrics returns the names that `metric:` may have.
func Metrics() []string {
	var names []string
	for _, r := range table() {
		names = append(names, r.metric)
	}
	return names
}

func (r row) threshold() Threshold {
	t := Threshold{Metric: r.metric, For: model.Duration(r.wait), ClearFor: model.Duration(r.clearFor),
		Window: model.Duration(r.over), MinRate: r.minRate, MinRequests: r.minRequests, Severity: r.severity,
		SingleSource: r.single}
	clear := mustQuantity(r.clear)
	if r.above != "" {
		q := mustQuantity(r.above)
		t.Above, t.ClearBelow = &q, &clear
	} else {
		q := mustQuantity(r.below)
		t.Below, t.ClearAbove = &q, &clear
	}
	for _, a := range r.ladder {
		rung := Rung{Action: incident.Action(a)}
		if a == "scale" {
			rung.Options = RungOptions{By: "25%", Max: 20, Lease: model.Duration(2 * time.Hour)}
		}
		t.Ladder = append(t.Ladder, rung)
	}
	return t
}

// unitOf is the unit that a metric's bound must have.
func unitOf(metric string) string {
	switch metric {
	case "response_time":
		return "seconds"
	case "error_rate", "error_rate_critical", "cpu", "memory", "disk", "ready_replicas":
		return unitRatio
	}
	return ""
}

// example is a bound in the unit.
func example(unit string) string {
	return strings.TrimSpace(map[string]string{"seconds": "500ms", unitRatio: "80%"}[unit] + " ")
}

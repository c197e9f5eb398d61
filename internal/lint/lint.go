package lint

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify/receivers"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Finding is one thing that is probably not meant.
type Finding struct {
	Lint    string `json:"lint"`
	Where   string `json:"where"`   // threshold error_rate
	Message string `json:"message"` // what is wrong, and what to do
}

// String is one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s (%s)", f.Where, f.Message, f.Lint) }

// Lint is one kind of finding.
type Lint struct {
	Name, About string
	find        func(*checker)
}

// Lints are all that need no server, in order.
var Lints = []Lint{
	{"no-window", "an alert with an action that a single sample can trigger", (*checker).noWindow},
	{"no-floor", "a ratio of requests that leads to an action, without a minimum number of requests",
		(*checker).noFloor},
	{"oscillation", "a ladder that can scale up and down repeatedly", (*checker).oscillation},
	{"no-target", "a rule without targets, or a route that no alert matches", (*checker).noTarget},
	{"same-name", "a route that matches an alert with the name of a threshold", (*checker).sameName},
	{"no-target-label", "a route with actions for an alert whose expression drops all labels that identify a target",
		(*checker).noTargetLabel},
	{"always-firing", "an alert whose expression selects no series", (*checker).alwaysFiring},
	{"ignored-field", "a rule file field that only Thanos, Mimir or vmalert support", (*checker).ignoredField},
	{"unknown-metric", "an expression on metrics that neither a probe nor a rule produces", (*checker).unknownMetric},
	{"renamed-metric", "an expression on a metric of watchdog that has another name now", (*checker).renamedMetric},
	{"no-pager", "a ladder with page, or a P0 or P1 rule, without a receiver that pages", (*checker).noPager},
	{"no-channel", "a severity without a receiver, or P0 or P1 without a receiver that pages", (*checker).noChannel},
	{"unknown-severity", "an alert with an unknown severity, which counts as P2", (*checker).unknownSeverity},
	{"undefined-template", "a receiver text that calls an undefined template", (*checker).undefinedTemplate},
	{"short-verify", "a verification while the expression still covers the time before the action",
		(*checker).shortVerify},
	{"single-source", "a restart or rollback with a single source of evidence, or that waits for a second source " +
		"which does not exist", (*checker).singleSource},
	{"open-file", "a world-writable file, which `watchdog run` rejects, or a world-readable secret",
		(*checker).openFile},
}

// Online is the lint that asks the configured Prometheus.
var Online = Lint{Name: "missing-metric", About: "a metric that the configured Prometheus server does not have " +
	"(--online)"}

type checker struct {
	cfg    *config.Config
	policy *policy.Policy
	lint   string
	found  []Finding
}

func (c *checker) add(where, format string, args ...any) {
	c.found = append(c.found, Finding{c.lint, where, fmt.Sprintf(format, args...)})
}

// Check returns what is found in a valid configuration, but for lints of those names.
func Check(cfg *config.Config, ignore []string) ([]Finding, error) {
	policy, err := policy.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &checker{cfg: cfg, policy: policy}
	for _, l := range Lints {
		if !slices.Contains(ignore, l.Name) {
			c.lint = l.Name
			l.find(c)
		}
	}
	return c.found, nil
}

// acts reports whether a ladder writes anything.
func acts(ladder []config.Rung) bool {
	return slices.ContainsFunc(ladder, func(r config.Rung) bool { return remediate.ClassOf(r.Action) >= incident.C2 })
}

// destructive reports whether a ladder restarts, rolls back or does worse.
func destructive(ladder []config.Rung) bool {
	return slices.ContainsFunc(ladder, func(r config.Rung) bool { return remediate.ClassOf(r.Action) >= incident.C3 })
}

func (c *checker) threshold(name string) config.Threshold {
	k := slices.IndexFunc(c.cfg.Thresholds, func(t config.Threshold) bool { return t.Name == name })
	return c.cfg.Thresholds[k]
}

// noWindow looks at rule files: a threshold without `for` is not valid.
func (c *checker) noWindow() {
	for _, g := range c.policy.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.For > 0 || c.looksBack(r.Expr, map[string]bool{}) {
				continue
			}
			if k := c.cfg.RouteOf(labelsOf(r)); k >= 0 && acts(c.cfg.Routes[k].Ladder) {
				c.add(fmt.Sprintf("%s:%d", g.File, r.Line),
					"alert %s has no `for`, %s has no range, and routes[%d] acts on it: a single sample triggers "+
						"the action; set `for`, or use a range as in avg_over_time(…[5m])", r.Alert,
					promql.Brief(r.Expr),
					k)
			}
		}
	}
}

// labelsOf are the labels that an alert has whatever its series is.
func labelsOf(r rules.Rule) map[string]string {
	l := r.Labels.Map()
	l[model.AlertNameLabel] = r.Alert
	return l
}

// ranged reports whether an expression looks at more than one sample of a series.
func ranged(expr string) bool {
	found := false
	inspect(expr, func(n parser.Node) {
		switch n.(type) {
		case *parser.MatrixSelector, *parser.SubqueryExpr:
			found = true
		}
	})
	return found
}

func inspect(expr string, f func(parser.Node)) {
	tree, err := promql.NewParser().ParseExpr(expr)
	if err != nil {
		return // whoever loads it says so
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error { f(n); return nil })
}

// ofRequests are the usual names of what counts requests.
var ofRequests = regexp.MustCompile(`error|fail|success|request|http_|_5xx`)

func (c *checker) noFloor() {
	for _, r := range c.policy.Rules {
		t := c.threshold(r.Name)
		requests := slices.ContainsFunc(metrics(r.Text()), ofRequests.MatchString)
		if r.Unit == "ratio" && requests && len(r.Floor) == 0 && acts(t.Ladder) {
			c.add("threshold "+r.Name, "a ratio without a minimum leads to an action: with little traffic, one "+
				"failed request of two is 50%%; set min_rate or min_requests")
		}
	}
}

func (c *checker) oscillation() {
	for _, t := range c.cfg.Thresholds {
		bound, clear := t.Above, t.ClearBelow
		if bound == nil {
			bound, clear = t.Below, t.ClearAbove
		}
		for _, r := range t.Ladder {
			if r.Action != incident.ActionScale || r.Options.Lease == 0 {
				continue
			}
			lease := time.Duration(r.Options.Lease)
			if again := time.Duration(t.For) + time.Duration(t.Window); lease <= again {
				c.add("threshold "+t.Name,
					"the lease of scale (%s) is not longer than `for` plus the window (%s): it ends while the rule "+
						"still covers the time before; use a longer lease", model.Duration(lease),
					model.Duration(again))
			}
			if bound != nil && (clear == nil || clear.Value == bound.Value) {
				c.add("threshold "+t.Name,
					"scale is reverted when its lease ends, and the alert clears at the same bound (%s): the "+
						"workload may scale up and down repeatedly; set clear_below (or clear_above)", bound.Text)
			}
		}
	}
	if c.cfg.Guards.OwnChange == 0 {
		c.add("guards.own_change", "0 allows watchdog to repeat a change that somebody reverted")
	}
}

// everywhere are the beginnings of the metrics of watchdog's own that every target has.
var everywhere = []string{"watchdog_workload_", "watchdog_probe_", "probe_", "watchdog_slo_", "ALERTS",
	"watchdog_incident"}

// writers says which kinds of probes write a metric, none if every target has it; false: nothing does.
func writers(metric string) ([]string, bool) {
	begins := func(prefix string) bool { return strings.HasPrefix(metric, prefix) }
	for _, k := range probes.Kinds() {
		if slices.ContainsFunc(k.Writes, begins) {
			return []string{k.Name}, true
		}
	}
	return nil, metric == "up" || slices.ContainsFunc(everywhere, begins)
}

// metrics are the names that an expression selects.
func metrics(expr string) []string {
	names, _ := promql.Metrics(expr)
	return names
}

func (c *checker) noTarget() {
	var idle, missing []string // of the shipped rules: one finding for all of them
	for _, r := range c.policy.Rules {
		if r.Source != rules.Local {
			continue
		}
		for _, m := range metrics(r.Text()) {
			needs, known := writers(m)
			if !known || len(needs) == 0 {
				continue
			}
			seen := slices.ContainsFunc(c.cfg.Targets, func(t config.Target) bool {
				return slices.Contains(r.Targets, t.Name) &&
					slices.ContainsFunc(t.Probes, func(p config.Probe) bool { return slices.Contains(needs, p.Kind()) })
			})
			switch {
			case seen || len(r.Targets) == 0:
			case c.cfg.Shipped:
				idle, missing = append(idle, r.Name), append(missing, strings.Join(needs, " or "))
			default:
				c.add("threshold "+r.Name,
					"no target of this rule has a %s probe, which produces %s: the verdict is always NO_DATA; add "+
						"the probe, or remove the rule", strings.Join(needs, " or "), m)
			}
		}
	}
	if len(idle) > 0 {
		slices.Sort(missing)
		c.add("thresholds", "the shipped rules %s have no data: no target has a probe of kind %s; add one, or "+
			"define your own thresholds", strings.Join(idle, ", "), strings.Join(slices.Compact(missing), ", "))
	}
	c.routes()
}

// routes looks for routes that no alert of a rule file can take. Where alerts of
// others are accepted, nobody knows which will come.
func (c *checker) routes() {
	if len(c.cfg.RuleTexts) == 0 && len(c.cfg.SLOs) == 0 || c.cfg.Alertmanager != nil &&
		len(c.cfg.Alertmanager.Senders) > 0 {
		return
	}
	taken := map[int]bool{}
	for _, g := range slices.Concat(c.policy.Groups, c.policy.SLOs) {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			l := labelsOf(r)
			for _, v := range l {
				if strings.Contains(v, "{{") {
					return // a template may give any label
				}
			}
			taken[c.cfg.RouteOf(l)] = true
		}
	}
	for k, r := range c.cfg.Routes {
		if !taken[k] && !slices.ContainsFunc(r.Matchers, needsSeries) {
			c.add(fmt.Sprintf("routes[%d]", k),
				"no alert of the rule files and objectives matches this route (%s); the first matching route wins: "+
					"change the order or the matchers", strings.Join(r.Matchers, ", "))
		}
	}
}

// needsSeries: a matcher on a label that the series give, not the rule.
func needsSeries(text string) bool {
	all, err := config.ParseMatchers(text)
	return err == nil && slices.ContainsFunc(all, func(m *labels.Matcher) bool {
		return m.Name != model.AlertNameLabel && m.Name != "severity"
	})
}

func (c *checker) unknownMetric() {
	recorded := map[string]bool{}
	for _, g := range slices.Concat(c.policy.Groups, c.policy.SLOs) {
		for _, r := range g.Rules {
			recorded[r.Record] = true
		}
	}
	unknown := func(expr string) []string {
		return slices.DeleteFunc(metrics(expr), func(m string) bool {
			_, known := writers(m)
			return known || recorded[m]
		})
	}
	for _, r := range c.policy.Rules {
		if r.Source == rules.Local {
			for _, m := range unknown(r.Text()) {
				c.add("threshold "+r.Name,
					"no probe produces %s, so the embedded engine has no data for it; use `source: prometheus` to "+
						"query your server", m)
			}
		}
	}
	c.unknownInFiles(unknown)
}

func (c *checker) noPager() {
	if len(c.pagers("")) > 0 || c.alone() {
		return // of a file without receivers, noChannel says it
	}
	var who []string
	for _, t := range c.cfg.Thresholds {
		if t.Severity == incident.P0 || t.Severity == incident.P1 ||
			slices.ContainsFunc(t.Ladder, func(r config.Rung) bool { return r.Action == incident.ActionPage }) {
			who = append(who, t.Name)
		}
	}
	for k, r := range c.cfg.Routes {
		if slices.ContainsFunc(r.Ladder, func(r config.Rung) bool { return r.Action == incident.ActionPage }) {
			who = append(who, fmt.Sprintf("routes[%d]", k))
		}
	}
	if len(who) > 0 {
		var waking []string
		for _, k := range receivers.Kinds() {
			if k.Wakes {
				waking = append(waking, k.Sections...)
			}
		}
		c.add("receivers", "no receiver pages, but %s would page; configure one of: %s", strings.Join(who, ", "),
			strings.Join(waking, ", "))
	}
}

// singleSource looks for actions that need two kinds of witnesses (INV-11).
func (c *checker) singleSource() {
	witnesses := func(t config.Target, own string) []string {
		all := map[string]bool{"kubernetes": true, own: true}
		for _, p := range t.Probes {
			if k, ok := probes.KindOf(p.Kind()); ok {
				all[k.Source] = true
			}
		}
		delete(all, "")
		return slices.Sorted(maps.Keys(all))
	}
	for _, r := range c.policy.Rules {
		t := c.threshold(r.Name)
		if !destructive(t.Ladder) {
			continue
		}
		if r.SourceKind == "kubernetes" && t.SingleSource != "" {
			continue // what the kubelet says of its own pods
		}
		if t.SingleSource != "" {
			c.add("threshold "+r.Name, "single_source allows restart and rollback with one source of evidence (%s); "+
				"a second source protects against wrong data", t.SingleSource)
			continue
		}
		for _, x := range c.cfg.Targets {
			if !slices.Contains(r.Targets, x.Name) {
				continue
			}
			// What Kubernetes says of pods is bad only when they are: an application that
			// answers badly while its pods are ready has no witness but itself.
			if has := witnesses(x, r.SourceKind); !slices.Contains(has, "probe") &&
				(r.SourceKind != "kubernetes" || len(has) < 2) {
				c.add("threshold "+r.Name,
					"target %s: restart and rollback require a second source of evidence, but there is only %s; add "+
						"a probe (health, http or tcp), or set single_source to the reason why one is enough", x.Name,
					strings.Join(has, " and "))
			}
		}
	}
}

// CheckOnline asks the configured server for every metric that is asked of it.
func CheckOnline(ctx context.Context, cfg *config.Config, ask promql.QueryFunc, now time.Time) ([]Finding, error) {
	policy, err := policy.New(cfg)
	if err != nil {
		return nil, err
	}
	asked := map[string][]string{}
	note := func(where, expr string) {
		for _, m := range metrics(expr) {
			if !slices.Contains(asked[m], where) {
				asked[m] = append(asked[m], where)
			}
		}
	}
	for _, r := range policy.Rules {
		if r.Source == rules.Prometheus {
			note("threshold "+r.Name, r.Text())
		}
	}
	for _, g := range slices.Concat(policy.Groups, policy.SLOs) {
		for _, r := range g.Rules {
			if g.Source == rules.Prometheus && r.Record == "" {
				note(fmt.Sprintf("%s:%d", g.File, r.Line), r.Expr)
			}
		}
	}
	var found []Finding
	for _, m := range slices.Sorted(maps.Keys(asked)) {
		points, err := ask(ctx, fmt.Sprintf(`count(last_over_time({__name__=%q}[1h]))`, m), now)
		if err != nil {
			return found, err
		}
		if len(points) == 0 {
			found = append(found, Finding{Online.Name, strings.Join(asked[m], ", "),
				fmt.Sprintf("the server has no series %s in the last hour", m)})
		}
	}
	return found, nil
}

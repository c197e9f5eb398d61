package config

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/incident"
)

// validator collects problems with their places.
type validator struct {
	file      string
	root      *yaml.Node
	undecoded undecoded
	problems  Errors
	warnings  []Problem
	quoting   bool // warnings quote the file
}

// at is a place in the document: keys and indexes.
type at []any

func (a at) key(k any) at { return append(a[:len(a):len(a)], k) }

func (a at) String() string {
	var b strings.Builder
	for _, k := range a {
		switch k := k.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", k)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, k)
		}
	}
	return b.String()
}

// node finds the deepest node of the document on the way to a, and whether it is a's own.
func (v *validator) node(a at) (n *yaml.Node, own bool) {
	n = v.root
	if len(n.Content) > 0 {
		n = n.Content[0]
	}
	for _, k := range a {
		next := child(n, k)
		if next == nil {
			return n, false
		}
		n = next
		// The place of what an alias stands for, where it can be mended.
		if n.Kind == yaml.AliasNode && n.Alias != nil {
			n = n.Alias
		}
	}
	return n, true
}

// child returns the element or the value of the key; nil if there is none.
func child(n *yaml.Node, k any) *yaml.Node {
	switch k := k.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && k < len(n.Content) {
			return n.Content[k]
		}
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == k {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func (v *validator) problem(a at, format string, args ...any) Problem {
	n, _ := v.node(a)
	return Problem{File: v.file, Line: n.Line, Column: n.Column, Path: a.String(),
		Message: fmt.Sprintf(format, args...)}
}

// fail reports what is wrong at a, unless decoding has already complained there.
func (v *validator) fail(a at, format string, args ...any) {
	if len(v.problems) > maxProblems {
		return
	}
	if len(v.undecoded) > 0 {
		if _, own := v.node(a); v.undecoded.echoes(a.String(), own) {
			return
		}
	}
	v.problems = append(v.problems, v.problem(a, format, args...))
}

// warn adds a doubt that the log of the daemon shows, too; lint is its name in
// `watchdog check`, which says it by that name only. To find the secrets of a large file
// takes time, so it is noted whether anything but a severity is quoted.
func (v *validator) warn(a at, lint, format string, args ...any) {
	p := v.problem(a, format, args...)
	p.Lint = lint
	v.quoting = v.quoting || slices.ContainsFunc(args, func(x any) bool { _, known := x.(incident.Severity); return !known })
	v.warnings = append(v.warnings, p)
}

var (
	nameShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
	// kubeShape and labelShape are what Kubernetes allows: DNS subdomains and DNS labels.
	kubeShape  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	labelShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	ruleShape  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]{0,62}$`)
)

func (v *validator) config(c *Config) {
	v.mode(at{"mode"}, c.Mode)
	v.span(at{"evaluation_interval"}, time.Duration(c.EvaluationInterval), time.Second, time.Hour)
	if c.Prometheus != nil {
		v.prometheus(c.Prometheus)
	}
	targets := map[string]bool{}
	for i := range c.Targets {
		a := at{"targets", i}
		if name := c.Targets[i].Name; targets[name] {
			v.fail(a.key("name"), "duplicate target %q", name)
		}
		targets[c.Targets[i].Name] = true
		v.target(a, &c.Targets[i])
	}
	rules := map[string]bool{}
	for i := range c.Thresholds {
		a := at{"thresholds", i}
		if name := c.Thresholds[i].Name; rules[name] && name != "" {
			v.fail(a.key("name"), "duplicate rule %q", name)
		}
		rules[c.Thresholds[i].Name] = true
		v.threshold(a, &c.Thresholds[i], c, targets)
	}
	for _, name := range slices.Sorted(maps.Keys(c.JobTemplates)) {
		v.job(at{"job_templates", name}, name, c.JobTemplates[name])
	}
	v.ruleFiles(c)
	for i := range c.InhibitRules {
		v.inhibitRule(at{"inhibit_rules", i}, &c.InhibitRules[i], len(c.InhibitRules))
	}
	for i := range c.Routes {
		v.route(at{"routes", i}, &c.Routes[i], c)
	}
	v.slos(c, targets)
	v.senders(c)
	v.silences(c)
	v.receivers(c)
	v.api(c.API)
	v.response(c)
	v.maintenance(c, targets)
	v.quickReference(c)
	v.selfWatch(c)
	v.budget(c.Budget)
	v.guards(c.Guards)
	if len(c.Targets) == 0 {
		v.warn(at{"targets"}, "", "no targets configured")
	}
}

func (v *validator) mode(a at, m incident.Mode) {
	switch m {
	case "", incident.Observe, incident.Suggest, incident.Approve, incident.Auto:
	default:
		v.fail(a, "unknown mode %q; expected one of: observe, suggest, approve, auto", m)
	}
}

func (v *validator) span(a at, d, least, most time.Duration) {
	if d < least || d > most {
		v.fail(a, "%s is out of range; use %s to %s", d, least, most)
	}
}

func (v *validator) url(a at, text string, instead ...string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		v.fail(a, "URL is required: http://host:port/path")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		v.fail(a, "invalid URL %q; use http://host:port/path or https://host:port/path", text)
	case u.User != nil:
		v.fail(a, "URL contains credentials, which would be visible in logs; %s",
			cmp.Or(strings.Join(instead, " or "), "remove them"))
	}
}

func (v *validator) target(a at, t *Target) {
	if !nameShape.MatchString(t.Name) {
		v.fail(a.key("name"), "invalid target name %q: use lowercase letters, digits, \"-\" and \".\" (at most 63)",
			t.Name)
	}
	v.mode(a.key("mode"), t.Mode)
	kind, name, ok := strings.Cut(t.Workload, "/")
	switch {
	case !ok || name == "":
		v.fail(a.key("workload"), "invalid workload %q; use kind/name, for example deployment/%s", t.Workload,
			or(t.Name, "shop"))
	case kind == "deployment":
	case kind == "statefulset" || kind == "daemonset":
		if t.Mode != incident.Observe {
			v.fail(a.key("workload"), "unsupported workload kind %s for this mode: watchdog acts on Deployments "+
				"only; set mode: observe", kind)
		}
	default:
		v.fail(a.key("workload"), "unknown workload kind %q; expected one of: deployment, statefulset, daemonset", kind)
	}
	if ok && name != "" && !kubeShape.MatchString(name) {
		v.fail(a.key("workload"), "invalid name %q of a %s: use lowercase letters, digits, \"-\" and \".\"", name, kind)
	}
	switch {
	case t.Namespace == "":
		v.fail(a.key("namespace"), "namespace is required")
	case !labelShape.MatchString(t.Namespace):
		v.fail(a.key("namespace"), "invalid namespace %q: use lowercase letters, digits and \"-\" (at most 63)",
			t.Namespace)
	}
	if t.Service != "" && !labelShape.MatchString(t.Service) {
		v.fail(a.key("service"), "invalid Service name %q: use lowercase letters, digits and \"-\" (at most 63)",
			t.Service)
	}
	names := map[string]bool{}
	for i := range t.Probes {
		v.probe(a.key("probes").key(i), &t.Probes[i], names)
	}
}

func (v *validator) threshold(a at, t *Threshold, c *Config, targets map[string]bool) {
	if !ruleShape.MatchString(t.Name) {
		v.fail(a.key("name"), "invalid rule name %q: use letters, digits, \"_\", \"-\" and \".\" (at most 63)", t.Name)
	}
	v.subject(a, t, c)
	v.bound(a, t)
	if t.For <= 0 {
		v.fail(a.key("for"), "for is required: how long the condition must hold, for example 5m")
	}
	if t.Severity == "" {
		v.fail(a.key("severity"), "severity is required; expected one of: P0, P1, P2, P3")
	} else {
		v.severity(a.key("severity"), t.Severity)
	}
	v.mode(a.key("mode"), t.Mode)
	for i, name := range t.Targets {
		if !targets[name] && !v.undecoded.covers("targets") {
			v.fail(a.key("targets").key(i), "unknown target %q", name)
		}
	}
	for key, floor := range map[string]float64{"min_rate": t.MinRate, "min_requests": t.MinRequests} {
		if !(floor >= 0) || math.IsInf(floor, 0) {
			v.fail(a.key(key), "invalid %s %v; use a number above 0, for example 1", key, floor)
		}
	}
	if len(t.Ladder) == 0 {
		v.fail(a.key("ladder"), "ladder is required; the shortest is [page]")
	}
	v.ladder(a.key("ladder"), t.Ladder, t.Metric, c)
}

// subject: a metric of the table, or an expression.
func (v *validator) subject(a at, t *Threshold, c *Config) {
	switch {
	case t.Metric == "" && t.Expr == "":
		v.fail(a, "metric or expr is required; metrics are %s, disk", strings.Join(Metrics(), ", "))
	case t.Metric == "disk" && t.Expr == "":
		v.fail(a.key("metric"), "metric disk requires expr and source: prometheus; see configs/prometheus.yaml")
	case t.Metric != "" && t.Metric != "disk" && !slices.Contains(Metrics(), t.Metric):
		known := append(Metrics(), "disk")
		if near := nearest(t.Metric, known); near != "" {
			v.fail(a.key("metric"), "unknown metric %q; did you mean %s?", t.Metric, near)
			break
		}
		v.fail(a.key("metric"), "unknown metric %q; expected one of: %s; for anything else set name and expr", t.Metric,
			strings.Join(known, ", "))
	}
	switch t.Source {
	case "local":
		if t.Metric == "disk" && t.Expr != "" {
			v.fail(a.key("source"), "metric disk requires source: prometheus")
		}
	case "prometheus":
		if c.Prometheus == nil && !v.undecoded.covers("prometheus") {
			v.fail(a.key("source"), "source prometheus requires prometheus.url")
		}
	default:
		v.fail(a.key("source"), "unknown source %q; expected one of: local, prometheus", t.Source)
	}
}

func (v *validator) bound(a at, t *Threshold) {
	switch {
	case t.Above == nil && t.Below == nil:
		v.fail(a, "above or below is required")
		return
	case t.Above != nil && t.Below != nil:
		v.fail(a, "above and below cannot be set together")
		return
	case t.Above != nil && t.ClearAbove != nil:
		v.fail(a.key("clear_above"), "clear_above cannot be set with above; use clear_below")
		return
	case t.Below != nil && t.ClearBelow != nil:
		v.fail(a.key("clear_below"), "clear_below cannot be set with below; use clear_above")
		return
	}
	key, bound, clearKey, clear := "above", t.Above, "clear_below", t.ClearBelow
	if t.Below != nil {
		key, bound, clearKey, clear = "below", t.Below, "clear_above", t.ClearAbove
	}
	if t.Metric == "disk" || slices.Contains(Metrics(), t.Metric) {
		unit := unitOf(t.Metric)
		for k, q := range map[string]*Quantity{key: bound, clearKey: clear} {
			if q != nil && q.Text != "" && q.Unit != unit && !(unit == unitRatio && q.Unit == "" && q.Value == 0) {
				v.fail(a.key(k), "wrong unit for %s: %q; use for example %s", t.Metric, q.Text, or(example(unit), "2"))
			}
		}
	}
	if clear == nil || clear.Text == "" || bound.Text == "" {
		return
	}
	if key == "above" && clear.Value > bound.Value || key == "below" && clear.Value < bound.Value {
		v.fail(a.key(clearKey), "%s %s conflicts with %s %s: the alert would clear while the condition still holds",
			clearKey, clear.Text, key, bound.Text)
	}
}

// ladder checks the rungs of a rule on the given metric of the table, if any.
func (v *validator) ladder(a at, ladder []Rung, metric string, c *Config) {
	for i, r := range ladder {
		here := a.key(i)
		o := r.Options
		option := func(key string) at { return here.key(string(r.Action)).key(key) }
		v.mode(option("mode"), o.Mode)
		if r.Action == incident.ActionPage && i != len(ladder)-1 {
			v.fail(here, "page must be the last rung")
		}
		switch r.Action {
		case "scale":
			v.scale(here.key(string(r.Action)), o)
		case "restart":
			if metric == "error_rate" {
				v.fail(here, "restart cannot be used for error_rate: it hides the cause and destroys evidence; use "+
					"rollback or page")
			}
		case "rollback":
			if o.OnlyIf != "suspect_deploy" {
				v.fail(option("only_if"), "unknown condition %q; the only one is suspect_deploy, which is the default",
					o.OnlyIf)
			}
		case "job":
			if _, ok := c.JobTemplates[o.Template]; !ok && !v.undecoded.covers("job_templates") {
				v.fail(option("template"), "unknown job template %q; define it under job_templates", o.Template)
			}
		}
		if (o.Approvals != 0 || o.CoolOff != 0) && o.Mode != incident.Approve && o.Mode != "" {
			v.fail(option("mode"), "approvals and cool_off require mode approve, not %s", o.Mode)
		}
		if o.Approvals < 0 || o.Approvals > 10 {
			v.fail(option("approvals"), "invalid approvals %d; use 1 to 10", o.Approvals)
		}
		if o.CoolOff != 0 {
			v.span(option("cool_off"), time.Duration(o.CoolOff), time.Second, 5*time.Minute)
		}
		if o.Attempts < 1 || o.Attempts > 10 {
			v.fail(option("attempts"), "invalid attempts %d; use 1 to 10", o.Attempts)
		}
		if o.Verify < o.Settle {
			v.fail(option("verify"), "verify %s is shorter than settle %s", o.Verify, o.Settle)
		}
	}
}

var byShape = regexp.MustCompile(`^[1-9][0-9]{0,3}%?$`)

func (v *validator) scale(a at, o RungOptions) {
	if o.By == "" && o.AtLeast == 0 {
		v.fail(a, "by or at_least is required, for example by: 25%%")
	}
	if o.By != "" && !byShape.MatchString(o.By) {
		v.fail(a.key("by"), "invalid by %q; use a percentage of the current replicas (25%%) or a number (2)", o.By)
	}
	if o.Max < 1 {
		v.fail(a.key("max"), "max is required: the upper limit of replicas")
	}
	if o.AtLeast < 0 || o.AtLeast > o.Max && o.Max > 0 {
		v.fail(a.key("at_least"), "at_least %d is out of range; use 1 to max (%d)", o.AtLeast, o.Max)
	}
}

func (v *validator) job(a at, name string, j JobTemplate) {
	if !nameShape.MatchString(name) || len(name) > 40 {
		v.fail(a, "invalid job template name %q: use lowercase letters, digits and \"-\" (at most 40)", name)
	}
	path := j.File
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(v.file), path)
	}
	if _, err := os.Stat(path); err != nil || path == "" {
		v.fail(a.key("file"), "cannot read manifest %q; paths are relative to the configuration file", j.File)
	}
	for i, what := range j.Allow {
		if !slices.Contains(JobAllowances, what) {
			v.fail(a.key("allow").key(i), "unknown allowance %q; expected one of: %s", what,
				strings.Join(JobAllowances, ", "))
		}
	}
}

func (v *validator) senders(c *Config) {
	if c.Alertmanager == nil {
		return
	}
	names := map[string]bool{}
	for i, s := range c.Alertmanager.Senders {
		a := at{"alertmanager", "senders", i}
		if !nameShape.MatchString(s.Name) {
			v.fail(a.key("name"), "invalid sender name %q: use lowercase letters, digits, \"-\" and \".\" (at most 63)",
				s.Name)
		}
		if names[s.Name] {
			v.fail(a.key("name"), "duplicate sender %q", s.Name)
		}
		names[s.Name] = true
		v.secret(a.key("token_file"), s.TokenFile)
	}
}

func (v *validator) severities(a at, all []incident.Severity) {
	for i, s := range all {
		v.severity(a.key(i), s)
	}
}

func (v *validator) severity(a at, s incident.Severity) {
	if s != incident.P0 && s != incident.P1 && s != incident.P2 && s != incident.P3 {
		v.fail(a, "unknown severity %q; expected one of: P0, P1, P2, P3", s)
	}
}

// unheard warns once of each severity that no receiver takes.
func (v *validator) unheard(c *Config, told map[incident.Severity]bool) {
	for i, t := range c.Thresholds {
		if t.Severity == "" || told[t.Severity] {
			continue
		}
		told[t.Severity] = true
		place := at{"thresholds", i, "severity"}
		if _, own := v.node(place); !own {
			place = at{"receivers"}
		}
		v.warn(place, "no-channel", "no receiver for %s incidents: nobody is notified", t.Severity)
	}
}

func (v *validator) secret(a at, file string) {
	if file == "" {
		v.fail(a, "secret file is required; secrets are read from files only")
	}
}

func (v *validator) budget(b Budget) {
	if b.Concurrent < 1 {
		v.fail(at{"budget", "concurrent"}, "invalid concurrent %d; use 1 or more", b.Concurrent)
	}
	if b.MaxUnhealthy.Unit != unitRatio || b.MaxUnhealthy.Value > 1 {
		v.fail(at{"budget", "max_unhealthy"},
			"invalid share %q; use a percentage of the watched targets, for example 30%%", b.MaxUnhealthy.Text)
	}
	if b.StormFrom < 1 {
		v.fail(at{"budget", "storm_from"}, "invalid storm_from %d; use 1 or more", b.StormFrom)
	}
}

func (v *validator) guards(g Guards) {
	if g.AvailabilityFloor.Unit != unitRatio || g.AvailabilityFloor.Value > 1 {
		v.fail(at{"guards", "availability_floor"},
			"invalid share %q; use a percentage of the desired replicas, for example 50%%", g.AvailabilityFloor.Text)
	}
	if g.Quarantine.Count < 1 || g.Quarantine.Per <= 0 {
		v.fail(at{"guards", "quarantine"},
			"invalid quarantine %s; use for example 3/6h; to allow no actions, use mode: observe", g.Quarantine)
	}
	v.span(at{"guards", "approval"}, time.Duration(g.Approval), time.Minute, 7*24*time.Hour)
	if g.MaxReplicas < 1 {
		v.fail(at{"guards", "max_replicas"}, "invalid max_replicas %d; use 1 or more", g.MaxReplicas)
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

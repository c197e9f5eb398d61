package app

import (
	"fmt"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/web"
)

// ruleGroups are the rules in force in the words of Prometheus' API: the groups
// of the rule files and objectives, and the thresholds as a group of their own.
func (a *App) ruleGroups() []web.RuleGroup {
	b := a.built.Load()
	all := []web.RuleGroup{thresholds(b, a.judge.Alerts(), a.interval)}
	for _, g := range a.groups.Report() {
		out := web.RuleGroup{Name: g.Name, File: g.File, Rules: []web.Rule{}, Interval: g.Interval.Seconds(), Limit: g.Limit, EvaluationTime: g.Took.Seconds(), LastEvaluation: g.At}
		if out.Interval == 0 {
			out.Interval = a.interval.Seconds()
		}
		for _, r := range g.Rules {
			out.Rules = append(out.Rules, ruleOf(r))
		}
		all = append(all, out)
	}
	return all
}

func ruleOf(r rules.RuleReport) web.Rule {
	out := web.Rule{
		Name: r.Alert + r.Record, Query: r.Expr, Labels: r.Labels.Map(), Health: "ok", EvaluationTime: r.Took.Seconds(), LastEvaluation: r.At, Type: "recording",
	}
	switch {
	case r.Err != nil:
		out.Health, out.LastError = "err", r.Err.Error()
	case r.At.IsZero():
		out.Health = "unknown"
	}
	if r.Record != "" {
		return out
	}
	out.Type, out.State, out.Annotations, out.Alerts = "alerting", "inactive", r.Annotations.Map(), []web.Alert{}
	out.Duration, out.KeepFiringFor = seconds(r.For), seconds(r.KeepFiringFor)
	for _, x := range r.Alive {
		out.Alerts = append(out.Alerts, web.Alert{Labels: x.Labels.Map(), Annotations: x.Annotations.Map(), State: string(x.State), ActiveAt: x.ActiveAt, Value: web.Value(x.Value)})
		out.State = graver(out.State, string(x.State))
	}
	return out
}

// thresholds are the rules of the file's own kind. $window in an expression is
// filled in.
func thresholds(b *built, alerts []rules.Alert, interval time.Duration) web.RuleGroup {
	g := web.RuleGroup{Name: "thresholds", File: b.cfg.File, Rules: []web.Rule{}, Interval: interval.Seconds()}
	byRule := map[string][]rules.Alert{}
	for _, x := range alerts {
		byRule[x.Rule] = append(byRule[x.Rule], x)
	}
	for _, r := range b.thresholds {
		sign := "<"
		if r.Above {
			sign = ">"
		}
		out := web.Rule{
			Name: r.Name, Query: fmt.Sprintf("%s %s %g", strings.TrimSpace(r.Text()), sign, r.Bound), Duration: seconds(r.For), KeepFiringFor: seconds(r.ClearFor),
			Labels: map[string]string{"severity": r.Severity}, Annotations: map[string]string{}, Alerts: []web.Alert{}, Health: "unknown", State: "inactive", Type: "alerting",
		}
		for _, x := range byRule[r.Name] {
			if x.EvaluatedAt.After(out.LastEvaluation) {
				out.LastEvaluation, out.Health = x.EvaluatedAt, "ok"
			}
			if x.Verdict == rules.Error {
				out.Health, out.LastError = "err", x.Reason
			}
			if x.State != rules.Pending && x.State != rules.Firing {
				continue
			}
			out.State = graver(out.State, string(x.State))
			out.Alerts = append(out.Alerts, web.Alert{Labels: x.Labels, Annotations: map[string]string{"reason": x.Reason, "verdict": string(x.Verdict)}, State: string(x.State), ActiveAt: x.ActiveAt, Value: web.Value(x.Value)})
		}
		if out.LastEvaluation.After(g.LastEvaluation) {
			g.LastEvaluation = out.LastEvaluation
		}
		g.Rules = append(g.Rules, out)
	}
	return g
}

func graver(a, b string) string {
	if a == "firing" || b == "firing" {
		return "firing"
	}
	if a == "pending" || b == "pending" {
		return "pending"
	}
	return a
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

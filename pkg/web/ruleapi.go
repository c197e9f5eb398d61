package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"watchdog.io/watchdog/pkg/rules"
)

// RuleGroup is a group of rules in the format of Prometheus' API.
type RuleGroup struct {
	Name           string    `json:"name"`
	File           string    `json:"file"`
	Rules          []Rule    `json:"rules"`
	Interval       float64   `json:"interval"` // seconds
	Limit          int       `json:"limit"`
	EvaluationTime float64   `json:"evaluationTime"` // seconds
	LastEvaluation time.Time `json:"lastEvaluation"`
}

// Rule is an alerting or a recording rule of a group.
type Rule struct {
	State         string            `json:"state,omitempty"` // of an alerting rule: inactive, pending or firing
	Name          string            `json:"name"`
	Query         string            `json:"query"`
	Duration      *float64          `json:"duration,omitempty"`      // seconds; of an alerting rule
	KeepFiringFor *float64          `json:"keepFiringFor,omitempty"` // seconds; of an alerting rule
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations,omitempty"`
	Alerts        []Alert           `json:"alerts,omitzero"`
	Health        string            `json:"health"` // ok, err or unknown
	LastError     string            `json:"lastError,omitempty"`
	// EvaluationTime is how long the last evaluation took, in seconds.
	EvaluationTime float64   `json:"evaluationTime"`
	LastEvaluation time.Time `json:"lastEvaluation"`
	Type           string    `json:"type"` // alerting or recording
}

// Alert is one that is pending or fires.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"`
	Value       string            `json:"value"`
}

// Value is a sample's value as Prometheus' API writes it in alerts.
func Value(v float64) string { return strconv.FormatFloat(v, 'e', -1, 64) }

// RuleGroups are a manager's groups in the format of Prometheus' API.
func RuleGroups(report []rules.GroupReport) []RuleGroup {
	all := make([]RuleGroup, 0, len(report))
	for _, g := range report {
		out := RuleGroup{Name: g.Name, File: g.File, Rules: []Rule{}, Interval: g.Interval.Seconds(), Limit: g.Limit,
			EvaluationTime: g.Took.Seconds(), LastEvaluation: g.At}
		for _, r := range g.Rules {
			out.Rules = append(out.Rules, ruleOf(r))
		}
		all = append(all, out)
	}
	return all
}

func ruleOf(r rules.RuleReport) Rule {
	out := Rule{
		Name: r.Alert + r.Record, Query: r.Expr, Labels: r.Labels.Map(), Health: "ok", EvaluationTime: r.Took.Seconds(),
		LastEvaluation: r.At, Type: "recording",
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
	out.Type, out.State, out.Annotations, out.Alerts = "alerting", string(rules.Inactive), r.Annotations.Map(),
		[]Alert{}
	out.Duration, out.KeepFiringFor = inSeconds(r.For), inSeconds(r.KeepFiringFor)
	for _, x := range r.Alive {
		out.Alerts = append(out.Alerts, Alert{Labels: x.Labels.Map(), Annotations: x.Annotations.Map(),
			State: string(x.State), ActiveAt: x.ActiveAt, Value: Value(x.Value)})
		if x.State == rules.Firing || out.State == string(rules.Inactive) {
			out.State = string(x.State)
		}
	}
	return out
}

func inSeconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

// registerRules adds what Prometheus has at /api/v1/rules and /api/v1/alerts.
func registerRules(mux *http.ServeMux, groups func() []RuleGroup) {
	mux.HandleFunc("GET /api/v1/rules", func(w http.ResponseWriter, r *http.Request) {
		all, err := filtered(groups(), r)
		if err != nil {
			respond(w, "", nil, nil, err)
			return
		}
		respond(w, "", map[string]any{"groups": all}, nil, nil)
	})
	mux.HandleFunc("GET /api/v1/alerts", func(w http.ResponseWriter, _ *http.Request) {
		alerts := []Alert{}
		for _, g := range groups() {
			for _, r := range g.Rules {
				alerts = append(alerts, r.Alerts...)
			}
		}
		respond(w, "", map[string]any{"alerts": alerts}, nil, nil)
	})
}

// filtered keeps what a request's parameters ask for: type, rule_name[],
// rule_group[], file[] and exclude_alerts.
func filtered(groups []RuleGroup, r *http.Request) ([]RuleGroup, error) {
	if err := r.ParseForm(); err != nil {
		return nil, apiError{badData, fmt.Errorf("error parsing form values: %w", err)}
	}
	kind := map[string]string{"alert": "alerting", "record": "recording"}[r.FormValue("type")]
	if kind == "" && r.FormValue("type") != "" {
		return nil, invalid("type", fmt.Errorf("not supported value %q", r.FormValue("type")))
	}
	bare := r.FormValue("exclude_alerts")
	if bare != "" && bare != "true" && bare != "false" {
		return nil, invalid("exclude_alerts", fmt.Errorf("converting to bool: %q", bare))
	}
	wanted := func(param, value string) bool {
		list := r.Form[param]
		return len(list) == 0 || slices.Contains(list, value)
	}
	kept := []RuleGroup{}
	for _, g := range groups {
		if !wanted("rule_group[]", g.Name) || !wanted("file[]", g.File) {
			continue
		}
		matching := []Rule{}
		for _, x := range g.Rules {
			if kind != "" && x.Type != kind || !wanted("rule_name[]", x.Name) {
				continue
			}
			if bare == "true" {
				x.Alerts = nil
			}
			matching = append(matching, x)
		}
		if g.Rules = matching; len(matching) > 0 {
			kept = append(kept, g)
		}
	}
	return kept, nil
}

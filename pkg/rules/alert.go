package rules

import (
	"cmp"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/storage"
)

// Alert is one rule's condition on one target, as it stands now.
type Alert struct {
	Rule     string     `json:"rule"`
	Target   string     `json:"target"`
	Severity string     `json:"severity"`
	State    AlertState `json:"state"`
	Verdict  Verdict    `json:"verdict"`
	// Reason explains an unknown verdict, or puts value and bound side by side.
	Reason string `json:"reason"`
	// Value is the last one judged; Value and Bound are in Unit.
	Value float64 `json:"value"`
	Bound float64 `json:"bound"`
	Above bool    `json:"above"`
	Unit  string  `json:"unit,omitempty"`
	// Usual, Noise and Rising are State's.
	Usual      float64   `json:"usual,omitempty"`
	Noise      float64   `json:"noise,omitempty"`
	Rising     []float64 `json:"rising,omitempty"`
	SourceKind string    `json:"sourceKind,omitempty"`
	// Lookback is how old the samples may be that the value rests on.
	Lookback    time.Duration `json:"lookback,omitempty"`
	ActiveAt    time.Time     `json:"activeAt,omitzero"`
	FiredAt     time.Time     `json:"firedAt,omitzero"`
	EvaluatedAt time.Time     `json:"evaluatedAt,omitzero"`
	// LastDataAt is the last evaluation that had a value to judge.
	LastDataAt time.Time         `json:"lastDataAt,omitzero"`
	Labels     map[string]string `json:"labels,omitempty"`
	// Span is how far back the expression looks: so long may the past hold it up after its end.
	Span time.Duration `json:"-"`
	// Others are the labels of further alerts of this name on the target that fire.
	Others []labels.Labels `json:"-"`
	// Annotations are the alert's, and Link leads to where its expression is shown.
	Annotations map[string]string `json:"annotations,omitempty"`
	Link        string            `json:"link,omitempty"`
	// Keys identify the alerts of another system that this one stands for.
	Keys []string `json:"-"`
}

// Name is the name of an alert as its rule or sender gives it. Rule may say more: alerts
// of one name and different severities are told apart.
func (a Alert) Name() string { return cmp.Or(a.Labels[model.AlertNameLabel], a.Rule) }

// Series are ALERTS of what is pending or fires, as Prometheus writes them, with the
// target and the verdict.
func (m *Manager) Series() []model.Metric {
	var out []model.Metric
	for _, x := range m.Active() {
		series := model.Metric{"severity": model.LabelValue(x.Severity)}
		for k, v := range x.Labels {
			series[model.LabelName(k)] = model.LabelValue(v)
		}
		for k, v := range map[model.LabelName]string{model.MetricNameLabel: "ALERTS", model.AlertNameLabel: x.Name(),
			"alertstate": string(x.State), storage.TargetLabel: x.Target, "verdict": string(x.Verdict)} {
			series[k] = model.LabelValue(v)
		}
		out = append(out, series)
	}
	return out
}

// alert is the public form of a cell.
func (c *cell) alert() Alert {
	c.settle()
	s := c.state()
	return c.rule.alert(c.target, s, c.rule.labels(c.target, s))
}

func (c *compiled) labels(target string, s State) map[string]string {
	m := make(map[string]string, s.Labels.Len()+3)
	s.Labels.Range(func(l labels.Label) { m[l.Name] = l.Value })
	m["alertname"], m[storage.TargetLabel], m["severity"] = c.Name, target, c.Severity
	return m
}

func (c *compiled) alert(target string, s State, l map[string]string) Alert {
	return Alert{
		Rule: c.Name, Target: target, Severity: c.Severity, State: s.State, Verdict: s.Verdict, Reason: c.Reason(s),
		Value: s.Value, Bound: c.Bound, Above: c.Above, Unit: c.Unit, SourceKind: c.SourceKind, Lookback: c.lookback,
		Usual: s.Usual, Noise: s.Noise, Rising: s.Rising,
		ActiveAt: s.ActiveAt, FiredAt: s.FiredAt, EvaluatedAt: s.EvaluatedAt, LastDataAt: s.LastDataAt,
		Labels: l, Span: c.span,
	}
}

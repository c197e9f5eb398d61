package rules

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promengine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"

	"watchdog.io/watchdog/pkg/promql"
)

// shorthands are what users of Prometheus may write in the templates of labels
// and annotations.
const shorthands = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := " +
	".ExternalURL}}{{$value := .Value}}"

// expander fills in the templates of one rule at one evaluation.
type expander struct {
	ctx  context.Context
	rule string
	at   time.Time
	ask  promql.QueryFunc
	url  *url.URL

	external map[string]string
}

// instance makes the alert that a series of the expression means.
func (e *expander) instance(r *Rule, p promql.Point) Instance {
	data := template.AlertTemplateData(p.Labels.Map(), e.external, e.url.String(),
		promengine.Sample{Metric: p.Labels, F: p.Value, T: e.at.UnixMilli()})
	lb := labels.NewBuilder(p.Labels)
	lb.Del(model.MetricNameLabel)
	r.Labels.Range(func(l labels.Label) { lb.Set(l.Name, e.expand(l.Value, data)) })
	lb.Set(model.AlertNameLabel, r.Alert)
	notes := labels.NewScratchBuilder(r.Annotations.Len())
	r.Annotations.Range(func(l labels.Label) { notes.Add(l.Name, e.expand(l.Value, data)) })
	return Instance{Labels: lb.Labels(), Annotations: notes.Labels(), Series: p.Labels, Value: p.Value, Verdict: Breach}
}

// expand fills in one template. A template that fails says so in its place, as
// in Prometheus: the alert is more important than its text.
func (e *expander) expand(text string, data any) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	t := template.NewTemplateExpander(e.ctx, shorthands+text, "__alert_"+e.rule, data,
		model.TimeFromUnixNano(e.at.UnixNano()), e.query, e.url, nil)
	out, err := t.Expand()
	if err != nil {
		return fmt.Sprintf("<error expanding template: %s>", err)
	}
	return out
}

// query serves the template function `query`.
func (e *expander) query(ctx context.Context, expr string, at time.Time) (promengine.Vector, error) {
	points, err := e.ask(ctx, expr, at)
	if err != nil {
		return nil, err
	}
	vector := make(promengine.Vector, 0, len(points))
	for _, p := range points {
		if !p.Histogram {
			vector = append(vector, promengine.Sample{Metric: p.Labels, F: p.Value, T: at.UnixMilli()})
		}
	}
	return vector, nil
}

// record names the series that a recording rule writes.
func record(r *Rule, l labels.Labels) labels.Labels {
	lb := labels.NewBuilder(l)
	lb.Set(model.MetricNameLabel, r.Record)
	r.Labels.Range(func(l labels.Label) { lb.Set(l.Name, l.Value) })
	return lb.Labels()
}

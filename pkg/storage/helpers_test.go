package storage

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// one makes a sample; pairs are label names and values, the first the metric name.
func one(at time.Time, v float64, name string, pairs ...string) *model.Sample {
	m := model.Metric{model.MetricNameLabel: model.LabelValue(name)}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[model.LabelName(pairs[i])] = model.LabelValue(pairs[i+1])
	}
	return &model.Sample{Metric: m, Value: model.SampleValue(v), Timestamp: model.TimeFromUnixNano(at.UnixNano())}
}

// storeAt returns a store whose clock is *now.
func storeAt(now *time.Time, opts Options) *Store {
	opts.Now = func() time.Time { return *now }
	return New(opts)
}

// engine is Prometheus' own.
func engine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute,
		LookbackDelta: 5 * time.Minute})
}

// vector asks the store an expression that gives an instant vector.
func vector(t *testing.T, e *promql.Engine, s *Store, expr string, at time.Time) promql.Vector {
	t.Helper()
	q, err := e.NewInstantQuery(t.Context(), s, nil, expr, at)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Errorf("%s: %v", expr, err)
	}
	return append(promql.Vector(nil), v...)
}

// ask returns the values by target.
func ask(t *testing.T, s *Store, expr string, at time.Time) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	for _, p := range vector(t, engine(), s, expr, at) {
		got[p.Metric.Get(TargetLabel)] = p.F
	}
	return got
}

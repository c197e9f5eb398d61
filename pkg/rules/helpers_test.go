package rules

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// one makes a sample; pairs are label names and values, the first the metric name.
func one(at time.Time, v float64, name string, pairs ...string) *model.Sample {
	m := model.Metric{model.MetricNameLabel: model.LabelValue(name)}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[model.LabelName(pairs[i])] = model.LabelValue(pairs[i+1])
	}
	return &model.Sample{Metric: m, Value: model.SampleValue(v), Timestamp: model.TimeFromUnixNano(at.UnixNano())}
}

// storeAt returns a store whose clock is *now.
func storeAt(now *time.Time, opts storage.Options) *storage.Store {
	opts.Now = func() time.Time { return *now }
	return storage.New(opts)
}

// endMark is the value with which a series ends.
func endMark() float64 { return math.Float64frombits(value.StaleNaN) }

func treeOf(t testing.TB, expr string) parser.Expr {
	t.Helper()
	tree, err := promql.NewParser().ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// newManager returns a Manager without rules.
func newManager(t testing.TB, o Options) *Manager {
	t.Helper()
	m, err := NewManager(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func nan() float64 { return math.NaN() }

func samplesOf(all ...*model.Sample) []*model.Sample { return all }

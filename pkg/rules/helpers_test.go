package rules

import (
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"
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
func storeAt(now *time.Time, opts StoreOptions) *Store {
	opts.Now = func() time.Time { return *now }
	return NewStore(opts)
}

// endMark is the value with which a series ends.
func endMark() float64 { return math.Float64frombits(value.StaleNaN) }

func nan() float64 { return math.NaN() }

func samplesOf(all ...*model.Sample) []*model.Sample { return all }

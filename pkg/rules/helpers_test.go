package rules

import (
	"time"

	"github.com/prometheus/common/model"
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

package storage

import (
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"
)

// Presence writes series that are 1 while something lasts, as Prometheus writes ALERTS.
// The zero value is usable.
type Presence struct {
	before map[model.Fingerprint]model.Metric
}

// Samples are 1 for each series that is there now, and the mark of an end for each that
// was there the last time and is not now.
func (p *Presence) Samples(series []model.Metric, at time.Time) []*model.Sample {
	now := make(map[model.Fingerprint]model.Metric, len(series))
	for _, m := range series {
		now[m.Fingerprint()] = m
	}
	var samples []*model.Sample
	add := func(m model.Metric, v float64) {
		samples = append(samples, &model.Sample{Metric: m, Value: model.SampleValue(v),
			Timestamp: model.TimeFromUnixNano(at.UnixNano())})
	}
	for _, m := range now {
		add(m, 1)
	}
	for f, m := range p.before {
		if now[f] == nil {
			add(m, math.Float64frombits(value.StaleNaN))
		}
	}
	p.before = now
	return samples
}

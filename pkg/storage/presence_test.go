package storage

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

func TestWhatLastsIsOneAndItsEndIsMarked(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	var p Presence
	series := func(targets ...string) (all []model.Metric) {
		for _, target := range targets {
			all = append(all, model.Metric{model.MetricNameLabel: "ALERTS", TargetLabel: model.LabelValue(target)})
		}
		return all
	}
	for k, tt := range []struct {
		now  []string
		want map[string]float64
	}{
		{nil, map[string]float64{}},
		{[]string{"a", "b", "b"}, map[string]float64{"a": 1, "b": 1}},
		{[]string{"b"}, map[string]float64{"b": 1}},
		{[]string{"a"}, map[string]float64{"a": 1}},
	} {
		now = now.Add(15 * time.Second)
		s.Append(p.Samples(series(tt.now...), now))
		if d := cmp.Diff(tt.want, ask(t, s, "ALERTS", now)); d != "" {
			t.Errorf("step %d: %s", k, d)
		}
	}
}

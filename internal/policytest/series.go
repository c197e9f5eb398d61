package policytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// samples are the series of one test, those of the file and those that rules
// write. What lies after now is not to be seen yet.
type samples struct {
	now    int64 // milliseconds
	series map[uint64]*line
}

type line struct {
	labels  labels.Labels
	samples []chunks.Sample
}

// load expands the series of a test, as promtool does: one value each interval.
func load(in []Series, begin time.Time, interval time.Duration, p parser.Parser) (*samples, error) {
	s := &samples{series: map[uint64]*line{}, now: math.MaxInt64}
	for k, x := range in {
		l, values, err := p.ParseSeriesDesc(x.Series + " " + x.Values)
		if err != nil {
			return nil, fmt.Errorf("input_series[%d]: %s: %w", k, x.Series, err)
		}
		at := begin
		var last *histogram.FloatHistogram
		for _, v := range values {
			if v.Histogram != nil {
				hint(v.Histogram, last)
				last = v.Histogram
			}
			if !v.Omitted {
				s.add(l, sample{t: at.UnixMilli(), f: v.Value, h: v.Histogram})
			}
			at = at.Add(interval)
		}
	}
	return s, nil
}

// hint says of a histogram whether its counters began anew, as a stored one does.
func hint(h, before *histogram.FloatHistogram) {
	switch {
	case h.CounterResetHint != histogram.UnknownCounterReset || before == nil:
	case h.DetectReset(before):
		h.CounterResetHint = histogram.CounterReset
	default:
		h.CounterResetHint = histogram.NotCounterReset
	}
}

func (s *samples) add(l labels.Labels, x sample) {
	id := l.Hash()
	if s.series[id] == nil {
		s.series[id] = &line{labels: l}
	}
	// A later sample of the same moment wins, as the last word does.
	all := s.series[id].samples
	k := sort.Search(len(all), func(k int) bool { return all[k].T() >= x.t })
	switch {
	case k == len(all):
		all = append(all, x)
	case all[k].T() == x.t:
		all[k] = x
	default:
		all = append(all[:k], append([]chunks.Sample{x}, all[k:]...)...)
	}
	s.series[id].samples = all
}

// write takes what rules record.
func (s *samples) write(all []*model.Sample) {
	for _, x := range all {
		b := labels.NewScratchBuilder(len(x.Metric))
		for n, v := range x.Metric {
			b.Add(string(n), string(v))
		}
		b.Sort()
		s.add(b.Labels(), sample{t: int64(x.Timestamp), f: float64(x.Value)})
	}
}

// Querier is storage.Queryable.
func (s *samples) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{s, mint, min(maxt, s.now)}, nil
}

type querier struct {
	s          *samples
	mint, maxt int64
}

func (q *querier) Select(_ context.Context, _ bool, _ *storage.SelectHints,
	matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
next:
	for _, l := range q.s.series {
		for _, m := range matchers {
			if !m.Matches(l.labels.Get(m.Name)) {
				continue next
			}
		}
		from := sort.Search(len(l.samples), func(k int) bool { return l.samples[k].T() >= q.mint })
		to := sort.Search(len(l.samples), func(k int) bool { return l.samples[k].T() > q.maxt })
		if from < to {
			found = append(found, storage.NewListSeries(l.labels, l.samples[from:to]))
		}
	}
	sort.Slice(found, func(i, k int) bool { return labels.Compare(found[i].Labels(), found[k].Labels()) < 0 })
	return &set{all: found}
}

var errNotAsked = errors.New("not asked in tests")

func (*querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string,
	annotations.Annotations, error) {
	return nil, nil, errNotAsked
}

func (*querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations,
	error) {
	return nil, nil, errNotAsked
}

func (*querier) Close() error { return nil }

// set is a storage.SeriesSet.
type set struct {
	all []storage.Series
	at  int
}

func (s *set) Next() bool                      { s.at++; return s.at <= len(s.all) }
func (s *set) At() storage.Series              { return s.all[s.at-1] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

// sample is a chunks.Sample.
type sample struct {
	t int64
	f float64
	h *histogram.FloatHistogram
}

func (s sample) T() int64                      { return s.t }
func (sample) ST() int64                       { return 0 }
func (s sample) F() float64                    { return s.f }
func (sample) H() *histogram.Histogram         { return nil }
func (s sample) FH() *histogram.FloatHistogram { return s.h }
func (s sample) Copy() chunks.Sample {
	if s.h != nil {
		s.h = s.h.Copy()
	}
	return s
}

func (s sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

package storage

import (
	"context"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier returns a reader of the samples between mint and maxt, in
// milliseconds, both included.
func (s *Store) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{store: s, mint: mint, maxt: maxt}, nil
}

type querier struct {
	store      *Store
	mint, maxt int64
}

// Select returns the series that match. What it returns is a snapshot: it does
// not change while the store goes on.
func (q *querier) Select(_ context.Context, sortSeries bool, hints *storage.SelectHints,
	matchers ...*labels.Matcher) storage.SeriesSet {
	mint, maxt := q.mint, q.maxt
	if hints != nil {
		mint, maxt = hints.Start, hints.End
	}
	set := &seriesSet{at: -1}
	for _, list := range q.store.lists(matchers) {
		if list.name == "" {
			set.series = slices.Grow(set.series, len(list.series))
		}
		for _, sr := range list.series {
			if !list.holds(sr) {
				continue
			}
			if live := sr.between(mint, maxt); len(live) > 0 {
				set.series = append(set.series, view{sr.lset, mint, maxt, live})
			}
		}
	}
	if sortSeries {
		slices.SortFunc(set.series, func(a, b view) int { return labels.Compare(a.lset, b.lset) })
	}
	return set
}

// list is some series, among them all of a name, and the matchers that are still to be
// checked.
type list struct {
	series []*series
	name   string // empty: that of each
	rest   []*labels.Matcher
}

func (l list) holds(sr *series) bool {
	return (l.name == "" || sr.name() == l.name) && matches(sr, l.rest)
}

// lists returns lists that contain every match. The lock is held only while they are found.
func (s *Store) lists(matchers []*labels.Matcher) (all []list) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names, rest := listed(model.MetricNameLabel, matchers)
	if names == nil {
		for _, f := range s.byName {
			all = append(all, list{series: f.all, rest: matchers})
		}
		return all
	}
	targets, left := listed(TargetLabel, rest)
	for _, name := range names {
		f := s.byName[name]
		switch {
		case f == nil:
		case targets == nil || slices.Contains(targets, ""):
			all = append(all, list{series: f.all, rest: rest})
		default:
			for _, t := range targets {
				all = append(all, list{s.byTarget[t], name, left})
			}
		}
	}
	return all
}

// listed returns the values that the first usable matcher on the label allows,
// and the other matchers; nil when none of them lists its values.
func listed(label string, matchers []*labels.Matcher) (values []string, rest []*labels.Matcher) {
	for i, m := range matchers {
		if m.Name != label {
			continue
		}
		switch m.Type {
		case labels.MatchEqual:
			values = []string{m.Value}
		case labels.MatchRegexp:
			values = slices.Clone(m.SetMatches())
			slices.Sort(values)
			values = slices.Compact(values)
		}
		if len(values) > 0 {
			return values, slices.Concat(matchers[:i], matchers[i+1:])
		}
	}
	return nil, matchers
}

func matches(sr *series, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(sr.lset.Get(m.Name)) {
			return false
		}
	}
	return true
}

// LabelValues returns the sorted values of a label over the matching series.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints,
	matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.distinct(ctx, hints, matchers, func(l labels.Labels, add func(string)) {
		if v := l.Get(name); v != "" {
			add(v)
		}
	}), nil, nil
}

// LabelNames returns the sorted label names of the matching series.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints,
	matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.distinct(ctx, hints, matchers, func(l labels.Labels, add func(string)) {
		l.Range(func(l labels.Label) { add(l.Name) })
	}), nil, nil
}

func (q *querier) distinct(ctx context.Context, hints *storage.LabelHints, matchers []*labels.Matcher,
	each func(labels.Labels, func(string))) []string {
	var found []string
	for set := q.Select(ctx, false, nil, matchers...); set.Next(); {
		each(set.At().Labels(), func(v string) { found = append(found, v) })
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if hints != nil && hints.Limit > 0 {
		found = found[:min(len(found), hints.Limit)]
	}
	return found
}

// Close does nothing: a querier holds nothing.
func (*querier) Close() error { return nil }

// seriesSet walks over a snapshot.
type seriesSet struct {
	series []view
	at     int
}

func (s *seriesSet) Next() bool                      { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series              { return &s.series[s.at] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// view is a series as it was when selected.
type view struct {
	lset       labels.Labels
	mint, maxt int64
	chunks     []*chunkenc.XORChunk
}

func (v *view) Labels() labels.Labels { return v.lset }

func (v *view) Iterator(reuse chunkenc.Iterator) chunkenc.Iterator {
	it, ok := reuse.(*iterator)
	if !ok {
		it = &iterator{}
	}
	*it = iterator{rest: v.chunks, mint: v.mint, maxt: v.maxt, in: it.in}
	return it
}

// millis is a time in milliseconds since the epoch. The alias also keeps vet
// from taking Seek below for that of io.Seeker.
type millis = int64

// iterator walks over the samples of one series between two times.
type iterator struct {
	rest       []*chunkenc.XORChunk // not begun yet
	in         chunkenc.Iterator    // of the present chunk, if open
	open       bool
	mint, maxt int64
	err        error
}

func (i *iterator) Next() chunkenc.ValueType {
	if i.open {
		if i.in.Next() != chunkenc.ValNone {
			return i.bounded()
		}
		i.end()
	}
	return i.Seek(i.mint)
}

func (i *iterator) Seek(t millis) chunkenc.ValueType {
	for t = max(t, i.mint); i.open || i.begin(); i.end() {
		if i.in.Seek(t) != chunkenc.ValNone {
			return i.bounded()
		}
	}
	return chunkenc.ValNone
}

// begin opens the next chunk.
func (i *iterator) begin() bool {
	if len(i.rest) == 0 {
		return false
	}
	i.in, i.rest, i.open = i.rest[0].Iterator(i.in), i.rest[1:], true
	return true
}

// end leaves the present chunk.
func (i *iterator) end() {
	i.open = false
	if i.err = i.in.Err(); i.err != nil {
		i.rest = nil
	}
}

// bounded ends the walk at the first sample beyond maxt.
func (i *iterator) bounded() chunkenc.ValueType {
	if i.in.AtT() > i.maxt {
		i.open, i.rest = false, nil
		return chunkenc.ValNone
	}
	return chunkenc.ValFloat
}

func (i *iterator) At() (int64, float64) { return i.in.At() }
func (i *iterator) AtT() int64           { return i.in.AtT() }
func (*iterator) AtST() int64            { return 0 }
func (i *iterator) Err() error           { return i.err }

func (i *iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return i.AtT(), nil
}

func (i *iterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return i.AtT(), nil
}

package storage

import (
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/storage"
)

// TargetLabel is the label that names the target of a series.
const TargetLabel = "target"

// FutureLimit is how far ahead of the clock a sample may be (INV-09).
const FutureLimit = 30 * time.Second

// gcInterval is how often series without new samples are looked for.
const gcInterval = time.Minute

// Store keeps the latest samples of the probes in memory and answers the
// embedded PromQL engine as a storage.Queryable. It holds floats only. It is
// safe for concurrent use.
type Store struct {
	opts    Options
	metrics *storeMetrics

	mu       sync.RWMutex
	byID     map[model.Fingerprint][]*series // more than one only on a hash collision
	byName   map[string]*family
	count    int
	shares   map[shareKey]*share
	lastGC   time.Time
	longer   map[string]time.Duration // retention by metric name, if longer than the others'
	onAppend func(targets []string)
}

// family is all series of one metric name.
type family struct {
	all      []*series
	byTarget map[string][]*series
}

// New returns an empty store.
func New(opts Options) *Store {
	if opts.Retention <= 0 {
		opts.Retention = 2 * time.Hour
	}
	if opts.MaxSamples <= 0 {
		opts.MaxSamples = 7200
	}
	if opts.MaxSeries <= 0 {
		opts.MaxSeries = maxSeriesWithin(debug.SetMemoryLimit(-1))
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Store{
		opts:    opts,
		metrics: newStoreMetrics(opts.Registerer),
		byID:    map[model.Fingerprint][]*series{},
		byName:  map[string]*family{},
		shares:  map[shareKey]*share{},
		lastGC:  opts.Now(),
	}
}

// OnAppend sets the function that is told, after each Append, which targets got
// new samples: usually the rule manager's Appended. It must not block.
func (s *Store) OnAppend(f func(targets []string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onAppend = f
}

// Append stores the samples. A sample that is older than the newest of its
// series, more than 30s ahead of the clock, older than the retention, a
// histogram, without a name, with a label value beyond 1 KiB or beyond a bound
// on series (MaxSeries, MaxSeriesPerProbe) is refused and counted by reason in watchdog_store_samples_refused_total.
func (s *Store) Append(samples []*model.Sample) {
	now := s.opts.Now()
	var targets []string
	s.mu.Lock()
	for _, p := range samples {
		sr, refused := s.append(p, now)
		if refused != "" {
			s.metrics.refused.WithLabelValues(refused).Inc()
			continue
		}
		if n := len(targets); sr.target != "" && (n == 0 || targets[n-1] != sr.target) {
			targets = append(targets, sr.target)
		}
	}
	if now.Sub(s.lastGC) >= gcInterval || now.Before(s.lastGC) {
		s.collect(now)
	}
	s.metrics.series.Set(float64(s.count))
	tell := s.onAppend
	s.mu.Unlock()
	s.metrics.samples.Add(float64(len(samples)))
	slices.Sort(targets)
	targets = slices.Compact(targets)
	if tell != nil && len(targets) > 0 {
		tell(targets)
	}
}

// append stores one sample and returns its series, or the reason for refusing
// it.
func (s *Store) append(p *model.Sample, now time.Time) (*series, string) {
	if p == nil || !sound(p.Metric) {
		return nil, "invalid"
	}
	if p.Histogram != nil {
		return nil, "histogram"
	}
	keep, most := s.kept(string(p.Metric[model.MetricNameLabel]))
	t, oldest := int64(p.Timestamp), now.Add(-keep).UnixMilli()
	if t > now.Add(FutureLimit).UnixMilli() {
		return nil, "future"
	}
	if t < oldest {
		return nil, "too_old"
	}
	sr := s.find(p.Metric)
	if sr == nil {
		if reason := s.full(p.Metric, 0); reason != "" {
			return nil, reason
		}
		sr = s.create(p.Metric)
	} else if t <= sr.last() {
		if t == sr.last() {
			return nil, "duplicate"
		}
		return nil, "out_of_order"
	}
	sr.push(t, float64(p.Value), oldest, most)
	return sr, ""
}

// sound reports whether m can be stored: it has a name, and a bounded size.
func sound(m model.Metric) bool {
	if m[model.MetricNameLabel] == "" || len(m) > maxLabels {
		return false
	}
	size := 0
	for name, value := range m {
		if len(value) > maxLabelValue {
			return false
		}
		size += len(name) + len(value)
	}
	return size <= maxLabelBytes
}

func (s *Store) find(m model.Metric) *series {
	for _, sr := range s.byID[m.FastFingerprint()] {
		if sr.same(m) {
			return sr
		}
	}
	return nil
}

func (s *Store) create(m model.Metric) *series {
	lset := LabelsOf(m)
	sr := &series{lset: lset, id: m.FastFingerprint(), name: lset.Get(model.MetricNameLabel),
		target: lset.Get(TargetLabel), share: s.join(m)}
	f := s.byName[sr.name]
	if f == nil {
		f = &family{byTarget: map[string][]*series{}}
		s.byName[sr.name] = f
	}
	f.all = append(f.all, sr)
	f.byTarget[sr.target] = append(f.byTarget[sr.target], sr)
	s.byID[sr.id] = append(s.byID[sr.id], sr)
	s.count++
	return sr
}

// Forget drops all series of a target, for instance when it leaves the
// configuration.
func (s *Store) Forget(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(func(sr *series) bool { return sr.target == target })
}

// collect drops the series that got no sample for the retention.
func (s *Store) collect(now time.Time) {
	s.lastGC = now
	s.drop(func(sr *series) bool {
		keep, _ := s.kept(sr.name)
		return sr.last() < now.Add(-keep).UnixMilli()
	})
}

// drop removes the series for which dead is true. The lists are made anew only
// where something goes, as most of the time nothing does.
func (s *Store) drop(dead func(*series) bool) {
	for name, f := range s.byName {
		if !slices.ContainsFunc(f.all, dead) {
			continue
		}
		for _, sr := range f.all {
			if dead(sr) {
				s.unlink(f, sr)
			}
		}
		f.all = slices.DeleteFunc(f.all, dead)
		if len(f.all) == 0 {
			delete(s.byName, name)
		}
	}
	s.metrics.series.Set(float64(s.count))
}

// unlink takes sr out of every index but its family's list.
func (s *Store) unlink(f *family, sr *series) {
	is := func(o *series) bool { return o == sr }
	if left := slices.DeleteFunc(f.byTarget[sr.target], is); len(left) > 0 {
		f.byTarget[sr.target] = left
	} else {
		delete(f.byTarget, sr.target)
	}
	if left := slices.DeleteFunc(s.byID[sr.id], is); len(left) > 0 {
		s.byID[sr.id] = left
	} else {
		delete(s.byID, sr.id)
	}
	s.leave(sr.share)
	s.count--
}

// Len returns the number of series held.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count
}

var _ storage.Queryable = (*Store)(nil)

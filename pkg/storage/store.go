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

	// mu guards which series there are; each series guards its own samples. So samples are
	// appended while questions are answered. A list of series is never changed in place.
	mu       sync.RWMutex
	byID     map[model.Fingerprint]*series // the first; see series.next
	byName   map[string]*family
	byTarget map[string][]*series // of all names; none without a target
	count    int
	shares   map[shareKey]*share
	lastGC   time.Time
	longer   map[string]time.Duration // retention by metric name, if longer than the others'
	onAppend func(target string, changed []string)
}

// family is all series of one metric name.
type family struct{ all []*series }

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
		opts:     opts,
		metrics:  newStoreMetrics(opts.Registerer),
		byID:     map[model.Fingerprint]*series{},
		byName:   map[string]*family{},
		byTarget: map[string][]*series{},
		shares:   map[shareKey]*share{},
		lastGC:   opts.Now(),
	}
}

// OnAppend sets the function that is told, after each Append, of each target that got new
// samples, and which of its metrics have another value than before, are new, or come again
// after a minute of silence: usually the rule manager's Appended. It must not block, nor
// keep the list.
func (s *Store) OnAppend(f func(target string, changed []string)) {
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
	var told arrivals
	s.mu.RLock()
	unknown := s.appendAll(samples, now, &told)
	due, tell := s.collectionDue(now), s.onAppend
	s.mu.RUnlock()
	if len(unknown) > 0 || due {
		s.mu.Lock()
		for _, p := range unknown {
			s.appendUnknown(p, now, &told)
		}
		if s.collectionDue(now) { // another Append may have been first
			s.collect(now)
		}
		s.metrics.series.Set(float64(s.count))
		s.mu.Unlock()
	}
	s.metrics.samples.Add(float64(len(samples)))
	if tell != nil {
		for _, a := range told {
			tell(a.target, a.changed)
		}
	}
}

// appendAll stores the samples of known series and returns those of unknown ones. It is
// called with the lock for reading: it does not wait for questions, nor they for it.
func (s *Store) appendAll(samples []*model.Sample, now time.Time, told *arrivals) (unknown []*model.Sample) {
	for _, p := range samples {
		if refused := s.unfit(p, now); refused != "" {
			s.refuse(refused)
		} else if sr := s.find(p.Metric); sr == nil {
			unknown = append(unknown, p)
		} else {
			s.push(sr, p, now, told)
		}
	}
	return unknown
}

// appendUnknown stores a sample whose series was not known. It is called with the lock.
func (s *Store) appendUnknown(p *model.Sample, now time.Time, told *arrivals) {
	sr := s.find(p.Metric)
	if sr == nil {
		if reason := s.full(p.Metric, 0); reason != "" {
			s.refuse(reason)
			return
		}
		sr = s.create(p.Metric)
	}
	s.push(sr, p, now, told)
}

func (s *Store) push(sr *series, p *model.Sample, now time.Time, told *arrivals) {
	keep, most := s.kept(sr.name())
	changed, refused := sr.push(int64(p.Timestamp), float64(p.Value), now.Add(-keep).UnixMilli(), most)
	if refused != "" {
		s.refuse(refused)
		return
	}
	told.add(sr, changed)
}

func (s *Store) refuse(reason string) { s.metrics.refused.WithLabelValues(reason).Inc() }

// unfit is why a sample cannot be stored, whatever the store holds; empty: it can.
func (s *Store) unfit(p *model.Sample, now time.Time) string {
	switch {
	case p == nil || !sound(p.Metric):
		return "invalid"
	case p.Histogram != nil:
		return "histogram"
	case int64(p.Timestamp) > now.Add(FutureLimit).UnixMilli():
		return "future"
	}
	if keep, _ := s.kept(string(p.Metric[model.MetricNameLabel])); int64(p.Timestamp) < now.Add(-keep).UnixMilli() {
		return "too_old"
	}
	return ""
}

// arrivals are what an Append tells of: the samples of one target usually come in a row.
type arrivals []arrival

type arrival struct {
	target  string
	changed []string // metrics
}

func (a *arrivals) add(sr *series, changed bool) {
	target := sr.target()
	if target == "" {
		return
	}
	if n := len(*a); n == 0 || (*a)[n-1].target != target {
		*a = append(*a, arrival{target: target})
	}
	if last := &(*a)[len(*a)-1]; changed && !slices.Contains(last.changed, sr.name()) {
		last.changed = append(last.changed, sr.name())
	}
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
	for sr := s.byID[m.FastFingerprint()]; sr != nil; sr = sr.next {
		if sr.same(m) {
			return sr
		}
	}
	return nil
}

func (s *Store) create(m model.Metric) *series {
	id := m.FastFingerprint()
	sr := &series{lset: LabelsOf(m), share: s.join(m), next: s.byID[id]}
	s.byID[id] = sr
	f := s.byName[sr.name()]
	if f == nil {
		f = &family{}
		s.byName[sr.name()] = f
	}
	f.all = append(f.all, sr)
	if target := sr.target(); target != "" {
		s.byTarget[target] = append(s.byTarget[target], sr)
	}
	s.count++
	return sr
}

// Forget drops all series of a target, for instance when it leaves the
// configuration.
func (s *Store) Forget(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(func(sr *series) bool { return sr.target() == target })
}

func (s *Store) collectionDue(now time.Time) bool {
	return now.Sub(s.lastGC) >= gcInterval || now.Before(s.lastGC)
}

// collect drops the series that got no sample for the retention.
func (s *Store) collect(now time.Time) {
	s.lastGC = now
	s.drop(func(sr *series) bool {
		keep, _ := s.kept(sr.name())
		return sr.newest() < now.Add(-keep).UnixMilli()
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
				s.unlink(sr)
			}
		}
		f.all = slices.DeleteFunc(slices.Clone(f.all), dead)
		if len(f.all) == 0 {
			delete(s.byName, name)
		}
	}
	s.metrics.series.Set(float64(s.count))
}

// unlink takes sr out of every index but its family's list.
func (s *Store) unlink(sr *series) {
	is := func(o *series) bool { return o == sr }
	target, id := sr.target(), sr.id()
	if left := slices.DeleteFunc(slices.Clone(s.byTarget[target]), is); len(left) > 0 {
		s.byTarget[target] = left
	} else {
		delete(s.byTarget, target)
	}
	var left *series // of its fingerprint, in any order
	for o := s.byID[id]; o != nil; {
		next := o.next
		if o != sr {
			o.next, left = left, o
		}
		o = next
	}
	if s.byID[id] = left; left == nil {
		delete(s.byID, id)
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

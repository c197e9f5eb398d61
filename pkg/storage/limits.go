package storage

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// Bounds of one sample's labels.
const (
	maxLabels     = 64
	maxLabelValue = 1 << 10
	maxLabelBytes = 16 << 10
)

// Options bound a Store. The zero value is usable.
type Options struct {
	// Retention is how long samples and silent series are kept; see Retain. Default 2h.
	Retention time.Duration
	// MaxSamples is how many samples one series keeps, and up to a quarter more. Default 7,200.
	MaxSamples int
	// MaxSeries is how many series are kept; samples of further ones are refused and counted.
	// Default: as many as take half of the process' memory limit, at most 500,000.
	MaxSeries int
	// Registerer receives the store's metrics; nil: none.
	Registerer prometheus.Registerer
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Retain sets how long samples are kept: as far as the rules look back; and
// by metric name those that are kept longer, which have no more than a sample a minute.
func (s *Store) Retain(d time.Duration, longer map[string]time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Retention, s.longer = d, longer
}

// kept is for how long and how many samples of a metric are kept.
func (s *Store) kept(name string) (time.Duration, int) {
	if d := s.longer[name]; d > s.opts.Retention {
		return d, max(s.opts.MaxSamples, int(d/time.Minute)+chunkSamples)
	}
	return s.opts.Retention, s.opts.MaxSamples
}

// MaxSeriesPerProbe is how many series the looks of one probe at one target may have whose
// labels the application names: its checks and its versions. One answer has at most 100
// checks, so this leaves room for 400 releases, or renamed checks, within the retention.
// Each probe has a bound of its own: an application that makes up names takes no room
// from what Kubernetes says of it.
const MaxSeriesPerProbe = 500

// maxSeriesOfRules is how many series rules, alerts and incidents may have of one target.
const maxSeriesOfRules = 4 * MaxSeriesPerProbe

// probeLabel is the label that every sample of a look has.
const probeLabel = "probe"

// share is the series of one probe of a target, or those that rules make of the target,
// and how many there may be.
type share struct {
	key   shareKey
	count int
}

// tooManyNames is the reason for which samples of a full share are refused.
const tooManyNames = "too_many_names"

// shareKey tells shares apart; probe is empty for what rules make.
type shareKey struct{ target, probe string }

func (k shareKey) limit() int {
	if k.probe == "" {
		return maxSeriesOfRules
	}
	return MaxSeriesPerProbe
}

// named reports whether a metric has a label besides those that the configuration decides
// on. Without one, the configuration also decides how many series there are.
func named(m model.Metric) bool {
	n := 0
	for name, value := range m {
		if value != "" && name != model.MetricNameLabel && name != TargetLabel && name != probeLabel {
			n++
		}
	}
	return n > 0
}

// full says whether a new series of m is one too many, and why. begun are further new
// series of the same share that are not stored yet.
func (s *Store) full(m model.Metric, begun int) string {
	most := s.opts.MaxSeries
	if !named(m) {
		if s.count >= most {
			return "too_many_series"
		}
		return ""
	}
	// A quarter is kept for what has no names, such as probe_success and the canary.
	if s.count+begun >= most-most/4 {
		return "too_many_series"
	}
	k := shareOf(m)
	if sh := s.shares[k]; k.target != "" && sh != nil && sh.count+begun >= k.limit() {
		return tooManyNames
	}
	return ""
}

func shareOf(m model.Metric) shareKey {
	return shareKey{string(m[TargetLabel]), string(m[probeLabel])}
}

// join counts a new series towards its share; nil: it has none.
func (s *Store) join(m model.Metric) *share {
	if !named(m) || m[TargetLabel] == "" {
		return nil
	}
	k := shareOf(m)
	sh := s.shares[k]
	if sh == nil {
		sh = &share{key: k}
		s.shares[k] = sh
	}
	sh.count++
	return sh
}

// leave takes a series that is dropped out of its share.
func (s *Store) leave(sh *share) {
	if sh == nil {
		return
	}
	if sh.count--; sh.count == 0 {
		delete(s.shares, sh.key)
	}
}

// Fits returns the samples of one look for which there is room. The error says how many
// new names of its own the probe has too many; what the store as a whole has no room for
// is left out without one, as that says nothing of the probe. Both are counted as refused.
func (s *Store) Fits(look []*model.Sample) (fit []*model.Sample, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	fit = make([]*model.Sample, 0, len(look)+spare)
	begun, over := 0, 0
	for _, p := range look {
		if p != nil && sound(p.Metric) && named(p.Metric) && s.find(p.Metric) == nil {
			if reason := s.full(p.Metric, begun); reason != "" {
				s.metrics.refused.WithLabelValues(reason).Inc()
				if reason == tooManyNames {
					over++
				}
				continue
			}
			begun++
		}
		fit = append(fit, p)
	}
	if over > 0 {
		err = fmt.Errorf("%d new names are not stored: this probe has %d series of the last %s, the most that are "+
			"allowed; use the same check names and version in each answer",
			over, MaxSeriesPerProbe, model.Duration(s.opts.Retention))
	}
	return fit, err
}

// spare is room for the samples that every look leaves.
const spare = 4

// bytesPerSeries is what a series is estimated to take: 450 bytes with one sample
// (go test -run '^$' -bench SeriesOfOneSample ./pkg/storage), and the rest for more samples.
const bytesPerSeries = 1 << 10

// maxSeriesWithin is how many series may take half of a limit on the memory of the
// process (GOMEMLIMIT). Without a limit it is 500,000.
func maxSeriesWithin(limit int64) int {
	const most = 500_000
	if limit == math.MaxInt64 {
		return most
	}
	return int(min(most, limit/2/bytesPerSeries))
}

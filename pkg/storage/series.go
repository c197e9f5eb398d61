package storage

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// chunkSamples is how many samples a chunk holds, as in Prometheus: long enough
// to pay for its head, short enough to read one sample of it quickly.
const chunkSamples = 120

// chunk is a run of samples of one series: about 3 bytes each where the value
// seldom changes, 16 uncompressed.
type chunk struct {
	from, to int64 // milliseconds since the epoch
	data     *chunkenc.XORChunk
}

// firstRoom is how many bytes a chunk begins with: most values seldom change, and of those it
// is room for the first five samples or more.
const firstRoom = 32

// chunkHead is the length of a chunk without samples: their number.
const chunkHead = 2

func newChunk(from int64) chunk {
	x := &chunkenc.XORChunk{}
	x.Reset(make([]byte, chunkHead, firstRoom))
	return chunk{from: from, data: x}
}

// series holds the samples of one label set, oldest first. Only the last chunk
// changes.
type series struct {
	lset  labels.Labels
	share *share
	next  *series // of the same fingerprint, by collision

	mu     sync.Mutex
	chunks []chunk // never empty once the series has a sample
	count  int
	app    chunkenc.Appender // of the last chunk
	value  float64           // of the newest sample
}

func (s *series) name() string   { return s.lset.Get(model.MetricNameLabel) }
func (s *series) target() string { return s.lset.Get(TargetLabel) }

// id is the fingerprint of the metric.
func (s *series) id() model.Fingerprint { return metricOfLabels(s).FastFingerprint() }

// silence is after how long without a sample even the same value is news.
const silence = int64(time.Minute / time.Millisecond)

// newest returns the time of the newest sample.
func (s *series) newest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last()
}

// last is newest for who has the lock.
func (s *series) last() int64 {
	if len(s.chunks) == 0 {
		return math.MinInt64
	}
	return s.chunks[len(s.chunks)-1].to
}

// push appends a sample, and forgets whole chunks that are older than oldest or
// not needed to have limit samples. It returns whether the value is another one than
// before, or why the sample is refused.
func (s *series) push(t int64, v float64, oldest int64, limit int) (changed bool, refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch last := s.last(); {
	case t == last:
		return false, "duplicate"
	case t < last:
		return false, "out_of_order"
	default:
		changed = len(s.chunks) == 0 || math.Float64bits(v) != math.Float64bits(s.value) || t-last > silence
	}
	s.value = v
	size := min(chunkSamples, max(1, limit/4))
	if n := len(s.chunks); n == 0 || s.chunks[n-1].data.NumSamples() >= size {
		if n > 0 {
			s.chunks[n-1].data.Compact()
		}
		c := newChunk(t)
		s.app, _ = c.data.Appender() // fails only on a chunk that cannot be read
		s.chunks = append(s.chunks, c)
	}
	s.app.Append(0, t, v)
	s.chunks[len(s.chunks)-1].to = t
	s.count++
	for len(s.chunks) > 1 && (s.chunks[0].to < oldest || s.count-s.chunks[0].data.NumSamples() >= limit) {
		s.count -= s.chunks[0].data.NumSamples()
		s.chunks = slices.Delete(s.chunks, 0, 1)
	}
	return changed, ""
}

// between returns the chunks that hold samples with mint <= t <= maxt, the last
// one as a copy: what is returned does not change while the series goes on.
func (s *series) between(mint, maxt int64) []*chunkenc.XORChunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*chunkenc.XORChunk
	for i, c := range s.chunks {
		if c.to < mint || c.from > maxt {
			continue
		}
		if i == len(s.chunks)-1 {
			still := &chunkenc.XORChunk{}
			still.Reset(slices.Clone(c.data.Bytes()))
			c.data = still
		}
		found = append(found, c.data)
	}
	return found
}

// Sample makes the sample of a label set at a moment.
func Sample(l labels.Labels, v float64, at time.Time) *model.Sample {
	m := make(model.Metric, l.Len())
	l.Range(func(l labels.Label) { m[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return &model.Sample{Metric: m, Value: model.SampleValue(v), Timestamp: model.TimeFromUnixNano(at.UnixNano())}
}

// StaleMarkers are the samples that end series: from then on they are not seen any more.
func StaleMarkers(series map[uint64]labels.Labels, at time.Time) []*model.Sample {
	var all []*model.Sample
	for _, l := range series {
		all = append(all, Sample(l, math.Float64frombits(value.StaleNaN), at))
	}
	return all
}

// LabelsOf turns a metric into sorted labels.
func LabelsOf(m model.Metric) labels.Labels {
	b := labels.NewScratchBuilder(len(m))
	for name, value := range m {
		if value != "" {
			b.Add(string(name), string(value))
		}
	}
	b.Sort()
	return b.Labels()
}

// same reports whether m is exactly the labels of s.
func (s *series) same(m model.Metric) bool {
	n := 0
	for name, value := range m {
		if value == "" {
			continue
		}
		n++
		if s.lset.Get(string(name)) != string(value) {
			return false
		}
	}
	return n == s.lset.Len()
}

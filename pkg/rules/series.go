package rules

import (
	"sort"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// sample is one point of a series: milliseconds since the epoch, and a value.
type sample struct {
	t int64
	v float64
}

// series holds the samples of one label set, oldest first. Elements once
// written are never overwritten: a reader may keep a slice of samples without
// holding the store's lock, as appending only writes beyond its length.
type series struct {
	lset    labels.Labels
	id      model.Fingerprint
	name    string
	target  string
	samples []sample
}

// last returns the time of the newest sample.
func (s *series) last() int64 { return s.samples[len(s.samples)-1].t }

// push appends a sample and forgets what is older than oldest or beyond limit.
func (s *series) push(p sample, oldest int64, limit int) {
	live := s.samples
	drop := max(0, len(live)+1-limit)
	for drop < len(live) && live[drop].t < oldest {
		drop++
	}
	live = live[drop:]
	if len(live) == cap(live) {
		grown := make([]sample, len(live), min(limit, len(live)+len(live)/2)+16)
		copy(grown, live)
		live = grown
	}
	s.samples = append(live, p)
}

// between returns the samples with mint <= t <= maxt.
func between(all []sample, mint, maxt int64) []sample {
	lo := sort.Search(len(all), func(i int) bool { return all[i].t >= mint })
	hi := lo + sort.Search(len(all)-lo, func(i int) bool { return all[lo+i].t > maxt })
	return all[lo:hi]
}

// labelsOf turns a metric into sorted labels.
func labelsOf(m model.Metric) labels.Labels {
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

package rules

import (
	"slices"
	"time"
)

// historyStep is the least time between two values kept.
const historyStep = 30 * time.Second

// history are a rule's last values while all was well, some twelve minutes of
// them: the noise that an effect must exceed to be one.
type history struct {
	values [24]float32
	n      uint8 // how many there ever were, up to twice the size
	at     time.Time
}

// add keeps a value unless the last one is too recent.
func (h *history) add(v float64, at time.Time) {
	if h.n > 0 && at.Sub(h.at) < historyStep && !at.Before(h.at) {
		return
	}
	size := uint8(len(h.values))
	h.values[h.n%size], h.at = float32(v), at
	if h.n++; h.n == 2*size {
		h.n = size
	}
}

// leastHistory is from how many values on a band is told.
const leastHistory = 5

// band returns the median of the values and three standard deviations, estimated
// by 1.4826 times the median absolute deviation; zeros while too little is known.
func (h *history) band() (usual, noise float64) {
	n := min(int(h.n), len(h.values))
	if n < leastHistory {
		return 0, 0
	}
	all := slices.Clone(h.values[:n])
	usual = median(all)
	for i, v := range all {
		all[i] = max(v-float32(usual), float32(usual)-v)
	}
	return usual, 3 * 1.4826 * median(all)
}

// median sorts what it is given.
func median(v []float32) float64 {
	slices.Sort(v)
	return (float64(v[(len(v)-1)/2]) + float64(v[len(v)/2])) / 2
}

package rules

import (
	"slices"
	"time"
)

// historyStep is the least time between two values kept.
const historyStep = 30 * time.Second

// historySize is how many values are kept: some twelve minutes of them.
const historySize = 24

// history are a rule's last values while all was well: the noise that an effect must exceed
// to be one. Of most alerts they are all the same, and then only that value is kept.
type history struct {
	same   float32
	n      uint8 // how many there ever were, up to twice the size
	at     int64 // of the last one, in nanoseconds since 1970
	values *[historySize]float32
}

// add keeps a value unless the last one is too recent.
func (h *history) add(v float64, at time.Time) {
	if !h.tooSoon(at) {
		h.put(v, at, false)
	}
}

func (h *history) tooSoon(at time.Time) bool {
	since := time.Duration(at.UnixNano() - h.at)
	return h.n > 0 && since >= 0 && since < historyStep
}

// put keeps a value. What was copied before stays as it was: values are changed in place
// only if they are mine, the caller's. It returns whether they are from now on.
func (h *history) put(v float64, at time.Time, mine bool) bool {
	switch {
	case h.n == 0:
		h.same = float32(v)
	case h.values != nil || float32(v) != h.same:
		if !mine {
			all := h.all()
			h.values, mine = &all, true
		}
		h.values[h.n%historySize] = float32(v)
	}
	h.at = at.UnixNano()
	if h.n++; h.n == 2*historySize {
		h.n = historySize
	}
	return mine
}

// all are the values by their places.
func (h *history) all() (all [historySize]float32) {
	if h.values != nil {
		return *h.values
	}
	for i := range min(int(h.n), historySize) {
		all[i] = h.same
	}
	return all
}

// leastHistory is from how many values on a band is told.
const leastHistory = 5

// band returns the median of the values and three standard deviations, estimated
// by 1.4826 times the median absolute deviation; zeros while too little is known.
func (h *history) band() (usual, noise float64) {
	n := min(int(h.n), historySize)
	if n < leastHistory {
		return 0, 0
	}
	kept := h.all()
	all := kept[:n]
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

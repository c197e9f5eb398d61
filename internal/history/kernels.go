package history

import (
	"math"

	"github.com/prometheus/prometheus/util/kahansum"
)

// The functions here give to the last bit what PromQL's do: each repeats, operation by
// operation, what github.com/prometheus/prometheus/promql computes of the same samples.
// TestRowsAreTheEngines compares them.

// span gives the samples of s in (at-length, at], for moments that only grow.
type span struct {
	s        *series
	from, to int
}

func (w *span) move(at, length int64) {
	for w.to < len(w.s.at) && w.s.at[w.to] <= at {
		w.to++
	}
	for w.from < w.to && w.s.at[w.from] <= at-length {
		w.from++
	}
}

// instant fills a row with the value at each step: the newest sample, unless it is too old or
// marks the series' end. Of timestamps it is the sample's time.
func instant(s *series, g grid, offset, lookback int64, times bool, out []float64) (any bool) {
	next := 0 // the first sample after the moment
	for k := range out {
		at := g.start + int64(k)*g.step - offset
		for next < len(s.at) && s.at[next] <= at {
			next++
		}
		out[k] = none
		if next == 0 || s.at[next-1] <= at-lookback || isNone(s.values[next-1]) {
			continue
		}
		any = true
		if out[k] = s.values[next-1]; times {
			out[k] = float64(s.at[next-1]) / 1000
		}
	}
	return any
}

// overTime fills a row with what a function gives of the samples in a window that ends at each
// step. Between two samples the window holds the same.
func overTime(s *series, g grid, offset, length int64, fn func(values []float64) float64, out []float64) (any bool) {
	w := span{s: s}
	from, to, last := -1, -1, none
	for k := range out {
		w.move(g.start+int64(k)*g.step-offset, length)
		if w.from != from || w.to != to {
			if from, to, last = w.from, w.to, none; from < to {
				last = fn(s.values[from:to])
			}
		}
		out[k] = last
		any = any || from < to
	}
	return any
}

var ofValues = map[string]func(values []float64) float64{
	"avg_over_time":   average,
	"sum_over_time":   sum,
	"min_over_time":   least,
	"max_over_time":   greatest,
	"count_over_time": func(values []float64) float64 { return float64(len(values)) },
	"last_over_time":  func(values []float64) float64 { return values[len(values)-1] },
}

func average(values []float64) float64 {
	var (
		sum, count      = values[0], 1.
		mean, kahanC    float64
		incrementalMean bool
	)
	for i, f := range values[1:] {
		count = float64(i + 2)
		if !incrementalMean {
			newSum, newC := kahansum.Inc(f, sum, kahanC)
			if !math.IsInf(newSum, 0) {
				sum, kahanC = newSum, newC
				continue
			}
			incrementalMean = true
			mean = sum / (count - 1)
			kahanC /= (count - 1)
		}
		q := (count - 1) / count
		mean, kahanC = kahansum.Inc(f/count, q*mean, q*kahanC)
	}
	if incrementalMean {
		return mean + kahanC
	}
	return sum/count + kahanC/count
}

func sum(values []float64) float64 {
	var sum, c float64
	for _, f := range values {
		sum, c = kahansum.Inc(f, sum, c)
	}
	if math.IsInf(sum, 0) {
		return sum
	}
	return sum + c
}

func greatest(values []float64) float64 {
	v := values[0]
	for _, f := range values {
		if f > v || math.IsNaN(v) {
			v = f
		}
	}
	return v
}

func least(values []float64) float64 {
	v := values[0]
	for _, f := range values {
		if f < v || math.IsNaN(v) {
			v = f
		}
	}
	return v
}

// change fills a row with rate, increase or delta at each step.
func change(s *series, g grid, offset, length int64, isCounter, isRate bool, seconds float64,
	out []float64) (any bool) {
	w := span{s: s}
	// resets[k] is how many resets there are up to sample k.
	var resets []int32
	if isCounter {
		resets = make([]int32, len(s.values))
		for k := 1; k < len(s.values); k++ {
			resets[k] = resets[k-1]
			if s.values[k] < s.values[k-1] {
				resets[k]++
			}
		}
	}
	for k := range out {
		out[k] = none
		rangeEnd := g.start + int64(k)*g.step - offset
		rangeStart := rangeEnd - length
		w.move(rangeEnd, length)
		from, last := w.from, w.to-1
		numSamplesMinusOne := last - from
		if numSamplesMinusOne < 1 {
			continue
		}
		firstT, lastT := s.at[from], s.at[last]
		resultFloat := s.values[last] - s.values[from]
		if isCounter && resets[last] != resets[from] {
			for i := from + 1; i <= last; i++ {
				if s.values[i] < s.values[i-1] {
					resultFloat += s.values[i-1]
				}
			}
		}
		durationToStart := float64(firstT-rangeStart) / 1000
		durationToEnd := float64(rangeEnd-lastT) / 1000
		sampledInterval := float64(lastT-firstT) / 1000
		averageDurationBetweenSamples := sampledInterval / float64(numSamplesMinusOne)
		extrapolationThreshold := averageDurationBetweenSamples * 1.1
		if durationToStart >= extrapolationThreshold {
			durationToStart = averageDurationBetweenSamples / 2
		}
		if isCounter {
			durationToZero := durationToStart
			if resultFloat > 0 && s.values[from] >= 0 {
				durationToZero = sampledInterval * (s.values[from] / resultFloat)
			}
			if durationToZero < durationToStart {
				durationToStart = durationToZero
			}
		}
		if durationToEnd >= extrapolationThreshold {
			durationToEnd = averageDurationBetweenSamples / 2
		}
		factor := 1.0
		if sampledInterval != 0 {
			factor = (sampledInterval + durationToStart + durationToEnd) / sampledInterval
		}
		if isRate {
			factor /= seconds
		}
		resultFloat *= factor
		out[k], any = resultFloat, true
	}
	return any
}

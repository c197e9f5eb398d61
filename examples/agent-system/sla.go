package main

import (
	"math"
	"slices"
	"sync"
	"time"
)

// window remembers the requests of the last span.
type window struct {
	span time.Duration

	mu  sync.Mutex
	all []served
}

type served struct {
	at   time.Time
	took time.Duration
	bad  bool
}

// maxServed bounds the memory of a window.
const maxServed = 100_000

// add stamps the request under the lock, so that the list is in order of time.
func (w *window) add(took time.Duration, bad bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, served{time.Now(), took, bad})
	if len(w.all) > maxServed {
		w.all = slices.Clone(w.all[maxServed/2:])
	}
}

// recent forgets what is older than the span and returns a copy of the rest.
func (w *window) recent(now time.Time) []served {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, _ := slices.BinarySearchFunc(w.all, now.Add(-w.span), func(s served, t time.Time) int { return s.at.Compare(t) })
	w.all = slices.Delete(w.all, 0, i)
	return slices.Clone(w.all)
}

// slaDocument is the shape of /metrics/sla. Without traffic the figures that
// need some are null: no data is not zero.
type slaDocument struct {
	Timestamp      string       `json:"timestamp"`
	WindowSeconds  float64      `json:"window_seconds"`
	Requests       int          `json:"requests"`
	UptimePercent  float64      `json:"uptime_percent"`
	ResponseTimeMS responseTime `json:"response_time_ms"`
	ErrorRate      *float64     `json:"error_rate_percent"`
}

type responseTime struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
	P99 *float64 `json:"p99"`
}

func (w *window) document(now time.Time) slaDocument {
	all := w.recent(now)
	d := slaDocument{Timestamp: stamp(now), WindowSeconds: w.span.Seconds(), Requests: len(all), UptimePercent: 100}
	if len(all) == 0 {
		return d
	}
	bad := 0
	took := make([]time.Duration, len(all))
	for i, s := range all {
		took[i] = s.took
		if s.bad {
			bad++
		}
	}
	slices.Sort(took)
	rate := 100 * float64(bad) / float64(len(all))
	d.ErrorRate, d.UptimePercent = &rate, 100-rate
	d.ResponseTimeMS = responseTime{quantile(took, 0.50), quantile(took, 0.95), quantile(took, 0.99)}
	return d
}

// quantile is the nearest-rank quantile in milliseconds.
func quantile(sorted []time.Duration, q float64) *float64 {
	rank := int(math.Ceil(q * float64(len(sorted))))
	ms := float64(sorted[max(rank, 1)-1].Microseconds()) / 1000
	return &ms
}

// fewRequests is what says nothing about a share of errors.
const fewRequests = 10

// errorShare is the share of recent requests that failed, 0 while there are few.
func (w *window) errorShare(now time.Time) float64 {
	all := w.recent(now)
	if len(all) < fewRequests {
		return 0
	}
	bad := 0
	for _, s := range all {
		if s.bad {
			bad++
		}
	}
	return float64(bad) / float64(len(all))
}

package main

import (
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

func (w *window) add(at time.Time, took time.Duration, bad bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, served{at, took, bad})
	if len(w.all) > maxServed {
		w.all = slices.Clone(w.all[maxServed/2:])
	}
}

// recent returns the requests of the last span.
func (w *window) recent(now time.Time) []served {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, _ := slices.BinarySearchFunc(w.all, now.Add(-w.span), func(s served, t time.Time) int { return s.at.Compare(t) })
	w.all = slices.Clone(w.all[i:])
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
	d := slaDocument{Timestamp: now.UTC().Format(time.RFC3339), WindowSeconds: w.span.Seconds(), Requests: len(all), UptimePercent: 100}
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
	ms := float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Microseconds()) / 1000
	return &ms
}

func (w *window) errorShare(now time.Time) float64 {
	if d := w.document(now); d.ErrorRate != nil && d.Requests >= 10 {
		return *d.ErrorRate / 100
	}
	return 0
}

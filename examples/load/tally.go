package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// tally is what users saw in some time. Its size does not grow with the requests.
type tally struct {
	requests int
	errors   int
	missed   int
	why      map[string]int
	took     [classes]int // requests by how long they took
}

// Latencies are counted in classes, each 2 % longer than the one before.
const (
	shortest = 50 * time.Microsecond
	growth   = 1.02
	classes  = 800 // up to some 370 s
)

func (t *tally) add(took time.Duration, reason string) {
	t.requests++
	t.took[class(took)]++
	if reason == "" {
		return
	}
	t.errors++
	if t.why == nil {
		t.why = map[string]int{}
	}
	t.why[reason]++
}

func (t *tally) merge(o tally) {
	t.requests, t.errors, t.missed = t.requests+o.requests, t.errors+o.errors, t.missed+o.missed
	for i, n := range o.took {
		t.took[i] += n
	}
	for reason, n := range o.why {
		if t.why == nil {
			t.why = map[string]int{}
		}
		t.why[reason] += n
	}
}

func class(took time.Duration) int {
	if took <= shortest {
		return 0
	}
	return min(int(math.Round(math.Log(float64(took)/float64(shortest))/math.Log(growth))), classes-1)
}

// quantile is the nearest-rank quantile, right to 1 %.
func (t *tally) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(t.requests)))
	for i, n := range t.took {
		if rank -= n; rank <= 0 {
			return time.Duration(float64(shortest) * math.Pow(growth, float64(i)))
		}
	}
	return 0
}

// line says what users saw. Without answers there are no latencies.
func (t *tally) line(span time.Duration) string {
	if t.requests == 0 {
		return fmt.Sprintf("no answers%s", t.missedText())
	}
	return fmt.Sprintf("%6.1f/s  p50 %s  p95 %s  p99 %s  errors %d (%.2f %%)%s", float64(t.requests)/span.Seconds(),
		short(t.quantile(0.50)), short(t.quantile(0.95)), short(t.quantile(0.99)), t.errors,
		100*float64(t.errors)/float64(t.requests), t.missedText())
}

func (t *tally) missedText() string {
	if t.missed == 0 {
		return ""
	}
	return fmt.Sprintf("  missed %d, all workers were busy", t.missed)
}

// reasons lists what went wrong and how often.
func (t *tally) reasons() []string {
	var lines []string
	for _, reason := range slices.Sorted(maps.Keys(t.why)) {
		lines = append(lines, fmt.Sprintf("%d × %s", t.why[reason], reason))
	}
	return lines
}

func short(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// reasonOf is one of few words for an error, whose own text has a port in it.
func reasonOf(err error) string {
	var lookup *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &lookup):
		return "unknown host"
	}
	return "connection broken"
}

package probes

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

// BenchmarkHTTPProbes probes a real server on loopback, one connection per
// check. The server runs in the same process, so the CPU seconds include it.
func BenchmarkHTTPProbes(b *testing.B) {
	at := time.Now()
	probe, err := NewHealth(config.HealthProbe{
		HTTPClient: serve(b, respond(200, healthBody(at))), MaxSkew: model.Duration(time.Hour),
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	cpu := cpuSeconds()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
			if result, err := probe(ctx, time.Now()); err != nil || result.State != OK {
				b.Errorf("got %v, %v", result, err)
			}
			cancel()
		}
	})
	report(b, float64(b.N), cpu)
}

// BenchmarkScheduler runs 1,000 targets that answer after 5 ms; one iteration
// is one check.
func BenchmarkScheduler(b *testing.B) {
	const targets = 1000
	var looks atomic.Int64
	enough := make(chan struct{})
	var once sync.Once
	probe := func(_ context.Context, at time.Time) (Result, error) {
		<-time.After(5 * time.Millisecond)
		if looks.Add(1) >= int64(b.N) {
			once.Do(func() { close(enough) })
		}
		return Result{State: OK, Samples: []*model.Sample{newSample(at, "watchdog_agents_active", 1)}}, nil
	}
	var entries []Entry
	for i := range targets {
		entries = append(entries, entry(fmt.Sprintf("t%d", i), 200*time.Millisecond, probe))
	}
	s, err := NewScheduler(Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Set(entries); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	cpu := cpuSeconds()
	b.ResetTimer()
	go func() { done <- s.Run(ctx) }()
	<-enough
	goroutines := runtime.NumGoroutine()
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
	report(b, float64(looks.Load()), cpu)
	b.ReportMetric(float64(goroutines), "goroutines")
}

func report(b *testing.B, looks, cpuBefore float64) {
	b.ReportMetric(looks/b.Elapsed().Seconds(), "looks/s")
	b.ReportMetric((cpuSeconds()-cpuBefore)/looks*1000, "cpu-s/1000looks")
	b.ReportMetric(rssMiB(), "rss-MiB")
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func rssMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

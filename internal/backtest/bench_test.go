package backtest

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"watchdog.io/watchdog/internal/history"
	"watchdog.io/watchdog/pkg/config"
)

var t0 = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

// writeBlocks writes a folder of TSDB blocks of a day each, with Prometheus' own code.
func writeBlocks(t testing.TB, from time.Time, days int, every time.Duration, series []labels.Labels,
	value func(k int, at time.Time) (float64, bool)) string {
	t.Helper()
	dir := t.TempDir()
	for d := range days {
		begin := from.AddDate(0, 0, d)
		w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, 24*time.Hour.Milliseconds())
		if err != nil {
			t.Fatal(err)
		}
		for at := begin; at.Before(begin.AddDate(0, 0, 1)); {
			a := w.Appender(t.Context())
			for range 240 {
				for k, l := range series {
					if v, ok := value(k, at); ok {
						if _, err := a.Append(0, l, at.UnixMilli(), v); err != nil {
							t.Fatal(err)
						}
					}
				}
				at = at.Add(every)
			}
			if err := a.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// policyOf writes a configuration with so many targets, thresholds and alerts in a
// rule file.
func policyOf(t testing.TB, targets, thresholds, alerts int) *config.Config {
	t.Helper()
	dir := t.TempDir()
	var c, r strings.Builder
	c.WriteString("mode: auto\nrule_files: [rules.yaml]\ntargets:\n")
	for k := range targets {
		fmt.Fprintf(&c, "  - {name: app%d, namespace: apps, workload: deployment/app%d, mode: auto}\n", k, k)
	}
	c.WriteString("thresholds:\n")
	for k := range thresholds {
		fmt.Fprintf(&c, "  - {name: t%d, mode: auto, expr: 'avg by (target) (avg_over_time(load[%dm]))', above: "+
			"%d%%, clear_below: 70%%, for: 2m, severity: P2, ladder: [{scale: {by: 1, max: 6, lease: 1h}}, page]}\n", k,
			1+k%5, 90+k%5)
	}
	c.WriteString("routes:\n  - matchers: ['severity=\"critical\"']\n    mode: auto\n    ladder: [restart, page]\n")
	r.WriteString("groups:\n")
	for k := range alerts {
		if k%5 == 0 {
			fmt.Fprintf(&r, "- name: g%d\n  interval: 15s\n  rules:\n", k/5)
		}
		fmt.Fprintf(&r, "  - {alert: A%d, expr: 'sum by (target) (rate(errors_total[%dm])) / sum by (target) "+
			"(rate(requests_total[%dm])) > 0.%d', for: 2m, labels: {severity: critical}}\n", k, 2+k%4, 2+k%4, 30+k%5)
	}
	for name, text := range map[string]string{"watchdog.yaml": c.String(), "rules.yaml": r.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "watchdog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// shopSeries are three series for each target.
func shopSeries(targets int) []labels.Labels {
	var all []labels.Labels
	for k := range targets {
		for _, n := range []string{"load", "errors_total", "requests_total"} {
			all = append(all, labels.FromStrings(model.MetricNameLabel, n, "target", fmt.Sprintf("app%d", k),
				"namespace",
				"apps"))
		}
	}
	return all
}

// measured is a day's rhythm with an hour of trouble for each target every few days,
// and ten minutes of silence.
func measured(k int, at time.Time) (float64, bool) {
	target, hour := k/3, int(at.Sub(t0)/time.Hour)
	trouble := (hour+target*7)%241 == 0
	if (hour+target*13)%211 == 0 && at.Minute() < 10 {
		return 0, false
	}
	since := at.Sub(t0).Seconds()
	switch k % 3 {
	case 0:
		v := 0.5 + 0.3*math.Sin(since/86400*2*math.Pi) + 0.02*math.Sin(since+float64(k))
		if trouble {
			v += 0.4
		}
		return v, true
	case 1:
		if trouble {
			return since * 5, true
		}
		return since * 0.05, true
	}
	return since * 10, true
}

// BenchmarkBacktest is the figure: 30 days, 50 rules, 15 s, 100 targets; half of the
// rules are thresholds, half alerts of a rule file. BACKTEST_DAYS makes it shorter.
func BenchmarkBacktest(b *testing.B) {
	days := 30
	if s := os.Getenv("BACKTEST_DAYS"); s != "" {
		_, _ = fmt.Sscan(s, &days)
	}
	dir := writeBlocks(b, t0, days, 30*time.Second, shopSeries(100), measured)
	source, err := history.OpenBlocks(dir)
	if err != nil {
		b.Fatal(err)
	}
	cfg := policyOf(b, 100, 25, 25)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Run(context.Background(), Options{Config: cfg, Source: source, Begin: t0,
			End: t0.AddDate(0, 0, days)})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(r.Incidents)), "incidents")
		b.ReportMetric(float64(days)*86400/15*50*100/b.Elapsed().Seconds(), "judgements/s")
	}
}

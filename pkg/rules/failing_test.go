package rules

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
)

// TestAPartialAnswerIsLoggedOnce_X13: it is named and counted, and the log is not full of it.
func TestAPartialAnswerIsLoggedOnce_X13(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	partial, now := true, start
	ask := func(_ context.Context, _ string, at time.Time) ([]promql.Point, error) {
		if partial {
			return nil, fmt.Errorf("ask prometheus for x: %w", promql.ErrPartial)
		}
		return []promql.Point{{Labels: labels.FromStrings("target", "a"), Value: float64(at.Unix())}}, nil
	}
	clock := func() time.Time { return now }
	judge := newManager(t, Options{Logger: log, Remote: ask, Now: clock})
	if _, err := judge.Update(Config{Thresholds: []Threshold{diskRule()}}); err != nil {
		t.Fatal(err)
	}
	groups, err := NewManager(Options{Logger: log, Remote: ask, Now: clock, Target: byLabel})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseFile("r.yaml", []byte("groups: [{name: g, rules: [{alert: A, expr: 'x > 1'}]}]"), Prometheus)
	if err == nil {
		_, err = groups.Update(Config{Groups: parsed})
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		partial = true
		for range 5 {
			judge.EvalThresholds(t.Context())
			groups.EvalGroups(t.Context(), now)
			now = now.Add(15 * time.Second)
		}
		if a := judge.AlertsOf("a")[0]; a.Verdict != Error || !strings.Contains(a.Reason, "partial") {
			t.Errorf("%s: %s", a.Verdict, a.Reason)
		}
		partial = false
		judge.EvalThresholds(t.Context())
		groups.EvalGroups(t.Context(), now)
		now = now.Add(15 * time.Second)
	}
	if n := strings.Count(out.String(), "rule not evaluated"); n != 6 {
		t.Errorf("logged %d times, want once for each of two rules in each of three spells:\n%s", n, out.String())
	}
}

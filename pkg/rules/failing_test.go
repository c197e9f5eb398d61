package rules

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
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
	if n := strings.Count(out.String(), "rule evaluation failed"); n != 6 {
		t.Errorf("logged %d times, want once for each of two rules in each of three spells:\n%s", n, out.String())
	}
}

// What failed because its server was away is not told as failing once the server is back,
// also not what is not asked again for a while. Its own failure is, from then on.
func TestAnOutageIsNoFailureOfARule(t *testing.T) {
	now, down := start, false
	own := errors.New("many-to-many matching not allowed")
	ask := func(_ context.Context, expr string, at time.Time) ([]promql.Point, error) {
		switch {
		case down:
			return nil, promql.ErrSource
		case strings.Contains(expr, "wrong"):
			return nil, own
		}
		return []promql.Point{{Labels: labels.FromStrings("target", "a"), Value: float64(at.Unix())}}, nil
	}
	m := newManager(t, Options{Remote: ask, Now: func() time.Time { return now }, Target: byLabel})
	groups, err := ParseFile("r.yaml", []byte(`groups:
- {name: often, interval: 1m, rules: [{alert: A, expr: 'x > 1'}, {alert: Wrong, expr: 'wrong > 1'}]}
- {name: seldom, interval: 5m, rules: [{alert: C, expr: 'x > 1'}]}`), Prometheus)
	if err != nil {
		t.Fatal(err)
	}
	right, wrong := diskRule(), diskRule()
	wrong.Name, wrong.Expr = "wrong", "wrong"
	if _, err := m.Update(Config{Groups: groups, Thresholds: []Threshold{right, wrong}}); err != nil {
		t.Fatal(err)
	}
	back := now.Add(15 * time.Minute)
	last := map[string]Failure{}
	for now.Before(back.Add(15 * time.Minute)) {
		now = now.Add(time.Second)
		down = now.After(start.Add(5*time.Minute)) && now.Before(back)
		if now.Unix()%15 == 0 {
			m.EvalThresholds(t.Context())
		}
		m.EvalDue(t.Context())
		for _, f := range m.Failing() {
			if !errors.Is(f.Err, own) {
				t.Fatalf("%s: %s fails since %s: %v", now.Sub(back), f.Rule, f.Since.Sub(back), f.Err)
			}
			if now.After(back) && f.Since.Before(back) {
				t.Fatalf("%s: %s fails since %s, which counts the outage", now.Sub(back), f.Rule, f.Since.Sub(back))
			}
			last[f.Rule] = f
		}
	}
	for _, rule := range []string{"Wrong", "wrong"} {
		f := last[rule]
		if f.Since.After(back.Add(3*time.Minute)) || now.Sub(f.Last) > time.Minute || !f.Last.After(f.Since) {
			t.Errorf("%s, %s after the outage: since %s, last %s", rule, now.Sub(back), f.Since.Sub(back), f.Last.Sub(back))
		}
	}
}

// That a question can be answered about one target says nothing of the one about all.
func TestALookAtOneTargetIsNoEndOfAFailure(t *testing.T) {
	now := start
	s := storeAt(&now, storage.Options{})
	m := newManager(t, Options{Local: promql.NewLocal(s, promql.LocalOptions{}), Now: func() time.Time { return now }})
	load := level("share", "a", "b")
	load.Expr = "load / on (target) total"
	if _, err := m.Update(Config{Thresholds: []Threshold{load}}); err != nil {
		t.Fatal(err)
	}
	twice := true
	look := func() {
		now = now.Add(14 * time.Second)
		for _, target := range []string{"a", "b"} {
			s.Append(samplesOf(one(now, 5, "load", "target", target), one(now, 1, "total", "target", target)))
		}
		if twice {
			s.Append(samplesOf(one(now, 1, "total", "target", "b", "pod", "2")))
		}
		m.EvalThresholds(t.Context())
		now = now.Add(time.Second)
		m.partial(t.Context(), m.source(Local), []string{"a"})
	}
	began := now.Add(14 * time.Second)
	for range 20 {
		look()
	}
	if f := m.Failing(); len(f) != 1 || !f[0].Since.Equal(began) {
		t.Fatalf("want a failure since %s, got %+v", began, f)
	}
	twice = false
	now = now.Add(promql.Lookback)
	look()
	if f := m.Failing(); len(f) != 0 {
		t.Errorf("all targets were seen, and it fails: %+v", f)
	}
}

// A rule that was corrected is not told as failing, and is evaluated at once.
func TestACorrectedRuleFailsNoMore(t *testing.T) {
	const hourly = "groups: [{name: g, interval: 1h, limit: 1, rules: [{alert: A, expr: 'bad > 1'}, " +
		"{record: r, expr: other}]}]"
	for _, tt := range []struct {
		name, from, to string
		was, source    string // of the group before, and corrected
		fails, asked   int    // after the reload, before anything is evaluated; questions at once
	}{
		{name: "nothing changed", source: Local, fails: 1},
		{name: "nothing changed, and a server records", was: Prometheus, source: Prometheus, fails: 1},
		{name: "its expression", from: "bad > 1", to: "good > 1", source: Local, asked: 2},
		{name: "its annotations", from: "expr: 'bad > 1'", to: "expr: 'bad > 1', annotations: {a: b}", source: Local,
			fails: 1},
		{name: "another rule's expression", from: "other", to: "another", source: Local, fails: 1, asked: 2},
		{name: "the limit of its group", from: "limit: 1", to: "limit: 2", source: Local, asked: 2},
		{name: "the source of its group", source: Prometheus, asked: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now, asked, fail := start, 0, errors.New("many-to-many matching not allowed")
			ask := func(_ context.Context, expr string, _ time.Time) ([]promql.Point, error) {
				asked++
				if strings.HasPrefix(expr, "bad") {
					return nil, fail
				}
				return nil, nil
			}
			m := newManager(t, Options{Local: ask, Remote: ask, Now: func() time.Time { return now }, Target: byLabel})
			load := func(file, source string) {
				groups, err := ParseFile("r.yaml", []byte(file), source)
				if err == nil {
					_, err = m.Update(Config{Groups: groups})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			load(hourly, cmp.Or(tt.was, Local))
			m.EvalDue(t.Context())
			if f := m.Failing(); len(f) != 1 {
				t.Fatalf("before it is corrected: %+v", f)
			}
			load(strings.Replace(hourly, tt.from, tt.to, 1), tt.source)
			if f := m.Failing(); len(f) != tt.fails {
				t.Errorf("want %d failures, got %+v", tt.fails, f)
			}
			now, asked = now.Add(time.Second), 0
			if left := m.UntilDue(); (left == 0) != (tt.asked > 0) {
				t.Errorf("the next turn is in %s", left)
			}
			m.EvalDue(t.Context())
			if asked != tt.asked {
				t.Errorf("asked %d questions at once, want %d", asked, tt.asked)
			}
		})
	}
}

// That one source did not answer a group says nothing of another that it asks now.
func TestAGroupThatAsksAnotherSourceIsNotBlindYet(t *testing.T) {
	now := start
	clock := func() time.Time { return now }
	ask := func(context.Context, string, time.Time) ([]promql.Point, error) { return nil, promql.ErrSource }
	m := newManager(t, Options{Local: ask, Remote: ask, Now: clock, Target: byLabel})
	for _, source := range []string{Local, Prometheus} {
		groups, err := ParseFile("r.yaml", []byte("groups: [{name: g, rules: [{alert: A, expr: x}]}]"), source)
		if err == nil {
			_, err = m.Update(Config{Groups: groups})
		}
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
		if blind, why := m.Blind(); blind {
			t.Errorf("blind before %s was asked: %s", source, why)
		}
		if e := m.LastEvaluation(); e.Group == "g" && source == Prometheus && !e.At.Equal(now.Add(-time.Hour)) {
			t.Errorf("the new group is taken for evaluated at %s", e.At)
		}
		m.EvalDue(t.Context())
		if blind, _ := m.Blind(); !blind {
			t.Errorf("%s did not answer, and it is not blind", source)
		}
	}
}

// The same of a threshold: a bound is none of its questions.
func TestACorrectedThresholdFailsNoMore(t *testing.T) {
	for _, tt := range []struct {
		name    string
		correct func(*Threshold)
		fails   int
	}{
		{name: "its bound", correct: func(c *Threshold) { c.Bound, c.Clear = 100, 100 }, fails: 1},
		{name: "its targets", correct: func(c *Threshold) { c.Targets = []string{"a", "b"} }, fails: 1},
		{name: "its expression", correct: func(c *Threshold) { c.Expr = "y" }},
		{name: "its source", correct: func(c *Threshold) { c.Source = Prometheus }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ask := func(context.Context, string, time.Time) ([]promql.Point, error) {
				return nil, errors.New("many-to-many matching not allowed")
			}
			m := newManager(t, Options{Local: ask, Remote: ask})
			c := level("x", "a")
			if _, err := m.Update(Config{Thresholds: []Threshold{c}}); err != nil {
				t.Fatal(err)
			}
			m.EvalThresholds(t.Context())
			if f := m.Failing(); len(f) != 1 {
				t.Fatalf("before it is corrected: %+v", f)
			}
			tt.correct(&c)
			if _, err := m.Update(Config{Thresholds: []Threshold{c}}); err != nil {
				t.Fatal(err)
			}
			if f := m.Failing(); len(f) != tt.fails {
				t.Errorf("want %d failures, got %+v", tt.fails, f)
			}
		})
	}
}

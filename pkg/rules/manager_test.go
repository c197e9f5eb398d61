package rules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// mixed is a manager of a threshold, a rule file and an objective, over one
// store, with a clock of its own.
type mixed struct {
	*Manager
	t     *testing.T
	now   time.Time
	store *storage.Store
	fail  map[string]error // what questions that contain the text answer
}

const mixedFile = `groups: [{name: queue, rules: [{alert: QueueTooLong, expr: queue_length > 10, labels: {severity: ` +
	`critical}}, {record: twice, expr: queue_length * 2}]}]`

func newMixed(t *testing.T, registerer prometheus.Registerer) *mixed {
	t.Helper()
	m := &mixed{t: t, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), fail: map[string]error{}}
	m.store = storeAt(&m.now, storage.Options{})
	local := promql.NewLocal(m.store, promql.LocalOptions{})
	m.Manager = newManager(t, Options{
		Registerer: registerer, Append: m.store.Append, Target: byLabel, Interval: 15 * time.Second,
		Now: func() time.Time { return m.now },
		Local: func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
			for text, err := range m.fail {
				if strings.Contains(expr, text) {
					return nil, err
				}
			}
			return local(ctx, expr, at)
		},
	})
	m.load(mixedFile)
	return m
}

func (m *mixed) load(file string) (removed []Alert) {
	m.t.Helper()
	groups, err := ParseFile("queue.yaml", []byte(file), Local)
	if err != nil {
		m.t.Fatal(err)
	}
	slo := SLO{Name: "orders", Objective: 0.99, Window: time.Hour, Bad: "orders_bad", All: "orders", Source: Local,
		File: "watchdog.yaml"}
	x := level("load", "a")
	x.For = 0
	removed, err = m.Update(Config{File: "watchdog.yaml", Thresholds: []Threshold{x},
		Groups: append(groups, slo.Groups()...)})
	if err != nil {
		m.t.Fatal(err)
	}
	return removed
}

// step moves the clock by 15s, takes values of the target a, and evaluates.
func (m *mixed) step(load, queue float64) {
	m.now = m.now.Add(15 * time.Second)
	m.store.Append([]*model.Sample{one(m.now, load, "load", "target", "a"),
		one(m.now, queue, "queue_length", "target", "a"), one(m.now, 0, "orders_bad", "target", "a"),
		one(m.now, 1, "orders", "target", "a")})
	m.EvalThresholds(m.t.Context())
	m.EvalDue(m.t.Context())
}

func (m *mixed) firing() (all []string) {
	for _, a := range m.Alerts() {
		if a.State == Firing {
			all = append(all, a.Target+": "+a.Rule)
		}
	}
	return all
}

// Whoever asks what fires is told of thresholds and of rules alike.
func TestTheManagerSpeaksForThresholdsAndRules(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMixed(t, reg)
	m.step(11, 11)
	m.step(11, 11)
	if d := cmp.Diff([]string{"a: load", "a: QueueTooLong"}, m.firing()); d != "" {
		t.Error(d)
	}
	if got := m.AlertsOf("a"); len(got) != 2 || got[0].Rule != "load" || got[1].Rule != "QueueTooLong" {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff([]string{"a"}, m.Unhealthy()); d != "" {
		t.Error(d)
	}
	now, err := m.EvalNow(t.Context(), "a")
	if err != nil || len(now) != 2 || now[0].Verdict != Breach || now[1].Verdict != Breach {
		t.Errorf("%+v, %v", now, err)
	}
	if _, err := m.EvalNow(t.Context(), "nobody"); err == nil {
		t.Error("a target of which no rule says anything has an answer")
	}
	var names []string
	for _, s := range m.Series() {
		names = append(names, fmt.Sprintf("%s %s %s", s["alertname"], s["alertstate"], s["verdict"]))
	}
	if d := cmp.Diff([]string{"load firing BREACH", "QueueTooLong firing BREACH"}, names); d != "" {
		t.Error(d)
	}
	var groups []string
	for _, g := range m.Report() {
		groups = append(groups, fmt.Sprintf("%s in %s: %d rules", g.Name, g.File, len(g.Rules)))
	}
	if d := cmp.Diff([]string{"thresholds in watchdog.yaml: 1 rules", "queue in queue.yaml: 2 rules",
		"slo orders in watchdog.yaml: 3 rules", "slo orders over days in watchdog.yaml: 3 rules"}, groups); d != "" {
		t.Error(d)
	}
	if r := m.Report()[0].Rules[0]; r.Alert != "load" || !strings.HasSuffix(r.Expr, " > 10") || len(r.Alive) != 1 ||
		r.Alive[0].State != Firing {
		t.Errorf("the threshold is reported as %+v", r)
	}
}

// watchdog_alerts counts the alerts of rule files too, over a reload and after their end.
func TestAlertsOfRulesAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMixed(t, reg)
	count := func(rule, state string) float64 {
		return testutil.ToFloat64(m.metrics.alerts.WithLabelValues(rule, state))
	}
	m.step(11, 11)
	m.step(11, 11)
	if count("load", "firing") != 1 || count("QueueTooLong", "firing") != 1 {
		t.Errorf("%v, %v", count("load", "firing"), count("QueueTooLong", "firing"))
	}
	m.load(strings.Replace(mixedFile, "queue_length > 10", "queue_length > 9", 1))
	if count("QueueTooLong", "firing") != 1 || count("load", "firing") != 1 {
		t.Errorf("after a reload: %v, %v", count("QueueTooLong", "firing"), count("load", "firing"))
	}
	m.step(11, 1)
	m.step(11, 1)
	if count("QueueTooLong", "firing") != 0 {
		t.Errorf("after its end: %v", count("QueueTooLong", "firing"))
	}
	m.step(11, 11)
	m.step(11, 11)
	if removed := m.load("groups: []"); len(removed) != 1 || removed[0].Rule != "QueueTooLong" {
		t.Errorf("removed: %+v", removed)
	}
	// of load and of the three pairs of windows
	if n, err := testutil.GatherAndCount(reg, "watchdog_alerts"); err != nil || n != 8 {
		t.Errorf("%d series are left, %v", n, err)
	}
}

// An alert that a restart brings back is counted at once, whether its rule is in force or
// comes later.
func TestAlertsThatAreBroughtBackAreCounted(t *testing.T) {
	m := newMixed(t, prometheus.NewRegistry())
	m.Restore([]Alert{{Rule: "QueueTooLong", Target: "a", State: Firing}, {Rule: "Later", Target: "a", State: Firing}})
	firing := func(rule string) float64 {
		return testutil.ToFloat64(m.metrics.alerts.WithLabelValues(rule, "firing"))
	}
	if firing("QueueTooLong") != 1 {
		t.Errorf("in force: %v", firing("QueueTooLong"))
	}
	m.load(strings.ReplaceAll(mixedFile, "QueueTooLong", "Later"))
	if firing("Later") != 1 {
		t.Errorf("it came later: %v", firing("Later"))
	}
}

// A server that hangs does not hold up the groups that ask watchdog's own store.
func TestSlowGroupsOfOneSourceDoNotDelayTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ string, _ time.Time) ([]promql.Point, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		answer := func(context.Context, string, time.Time) ([]promql.Point, error) { return nil, nil }
		m := newManager(t, Options{Registerer: prometheus.NewRegistry(), Local: answer, Remote: hang, Target: byLabel})
		local, err := ParseFile("l.yaml", []byte("groups: [{name: local, interval: 2s, rules: [{alert: L, expr: y}]}]"),
			Local)
		if err != nil {
			t.Fatal(err)
		}
		groups := local
		for k := range groupConcurrency + 2 {
			remote, err := ParseFile(fmt.Sprintf("r%d.yaml", k), []byte("groups: [{name: r, interval: 10s, rules: "+
				"[{alert: R, expr: x}]}]"), Prometheus)
			if err != nil {
				t.Fatal(err)
			}
			groups = append(remote, groups...)
		}
		if _, err := m.Update(Config{Groups: groups}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); m.Run(ctx, func([]string) {}) }()
		for range 60 {
			time.Sleep(time.Second) // the bubble's clock: no real time passes
			synctest.Wait()
			all := m.Report()
			if at := all[len(all)-1].At; time.Since(at) > 2*time.Second {
				t.Fatalf("the local group was evaluated %s ago", time.Since(at))
			}
		}
		if n := testutil.ToFloat64(m.groupMetrics.missed.WithLabelValues(local[0].File + ";local")); n != 0 {
			t.Errorf("it missed %v turns", n)
		}
		cancel()
		<-done
	})
}

// watchdog_monitoring_blind is 1 also while a source answers no group of a rule file.
func TestThatGroupsSeeNothingIsShown(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMixed(t, reg)
	blind := func() float64 { return testutil.ToFloat64(m.metrics.blind.WithLabelValues(Local)) }
	m.load(mixedFile)
	m.step(1, 1)
	down := fmt.Errorf("ask: %w", promql.ErrSource)
	m.fail["queue_length"], m.fail["orders"] = down, down
	for range 21 { // until the objective's slow group has been asked
		m.step(1, 1)
	}
	if is, why := m.Blind(); !is || blind() != 1 {
		t.Errorf("blind %v (%s), the metric says %v", is, why, blind())
	}
	clear(m.fail)
	m.step(1, 1)
	if is, why := m.Blind(); is || blind() != 0 {
		t.Errorf("blind %v (%s), the metric says %v", is, why, blind())
	}
}

// What is furthest behind decides when the rules were last evaluated, be it a group of a
// file or of an objective.
func TestTheLastEvaluationIsThatOfTheGroupThatLags(t *testing.T) {
	m := newMixed(t, nil)
	for range 8 {
		m.step(1, 1)
	}
	if e := m.LastEvaluation(); m.now.Sub(e.At) > 2*e.Interval {
		t.Fatalf("%s was evaluated %s ago", e.Group, m.now.Sub(e.At))
	}
	for range 12 { // the thresholds and the groups go on, but for one that hangs
		m.mu.Lock()
		for _, g := range m.groups {
			g.running = g.Name == "queue"
		}
		m.mu.Unlock()
		m.step(1, 1)
	}
	if e := m.LastEvaluation(); e.Group != "queue" || m.now.Sub(e.At) < 3*time.Minute {
		t.Errorf("%s was evaluated %s ago", e.Group, m.now.Sub(e.At))
	}
	// A reload is no evaluation.
	m.load(mixedFile)
	if e := m.LastEvaluation(); e.Group != "queue" {
		t.Errorf("after a reload it is %s", e.Group)
	}
}

// A rule that cannot be evaluated is named, whoever it belongs to, from the first failure in
// a row on; what a blind source does not answer is told as blindness.
func TestARuleThatFailsIsNamed(t *testing.T) {
	m := newMixed(t, nil)
	groups, err := ParseFile("queue.yaml", []byte(mixedFile), Local)
	if err == nil {
		// one that is lost of two is no blindness
		_, err = m.Update(Config{Thresholds: []Threshold{level("load", "a"), level("orders", "a")}, Groups: groups})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.step(1, 1)
	if f := m.Failing(); len(f) != 0 {
		t.Fatalf("%+v", f)
	}
	m.fail["queue_length"], m.fail["load"] = errors.New("many-to-many"), errors.New("too many samples")
	m.step(1, 1)
	since := m.now
	m.step(1, 1)
	var got []string
	for _, f := range m.Failing() {
		got = append(got, fmt.Sprintf("%s %s: %v", f.Group, f.Rule, f.Err))
		if since.Sub(f.Since).Abs() > 15*time.Second {
			t.Errorf("%s since %s, want about %s", f.Rule, f.Since, since)
		}
	}
	if d := cmp.Diff([]string{"queue QueueTooLong: many-to-many", "queue twice: many-to-many",
		"thresholds load: too many samples"}, got); d != "" {
		t.Error(d)
	}
	m.fail["orders"] = errors.New("too many samples")
	m.step(1, 1)
	if blind, _ := m.Blind(); !blind || len(m.Failing()) != 0 {
		t.Errorf("blind: %v, and beside it %+v", blind, m.Failing())
	}
	clear(m.fail)
	m.step(1, 1)
	m.step(1, 1)
	if f := m.Failing(); len(f) != 0 {
		t.Errorf("they are evaluated again: %+v", f)
	}
}

// With one error nothing of a configuration is taken over: neither thresholds nor groups.
func TestAConfigurationIsTakenAsAWhole(t *testing.T) {
	m := newMixed(t, nil)
	before := len(m.Report())
	for name, c := range map[string]Config{
		"a threshold": {Thresholds: []Threshold{{Name: "bad", Expr: "sum("}},
			Groups: []Group{{Name: "new", File: "f", Source: Local}}},
		"a rule": {Thresholds: []Threshold{level("z", "a")},
			Groups: []Group{{Name: "new", File: "f", Source: Local, Rules: []Rule{{Alert: "A", Expr: "sum("}}}}},
	} {
		if _, err := m.Update(c); err == nil {
			t.Errorf("%s: no error", name)
		}
		if r := m.Report(); len(r) != before || r[0].Rules[0].Alert != "load" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

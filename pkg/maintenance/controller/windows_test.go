package controller

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/timeinterval"
)

// hand is a clock that a test moves.
type hand struct{ at time.Time }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (h *hand) now() time.Time { return h.at }

func windowsOf(clock *hand, targets ...string) *Windows {
	w := NewWindows(slog.New(slog.DiscardHandler), clock.now)
	w.Use(nil, slices.Sorted(slices.Values(targets)))
	return w
}

func storedWindow(name string, from, until time.Time, e maintenance.Effects, targets ...string) kube.StoredWindow {
	return kube.StoredWindow{Name: name, Version: "1", Spec: maintenance.Spec{From: from, Until: until,
		Targets: targets, Effects: e, By: "alice", Reason: "move"}}
}

var holdAll = maintenance.Effects{Page: maintenance.PageHold, Remediate: maintenance.RemediateOff,
	SLA: maintenance.SLAExclude}

func TestWhatWindowsMeanForATarget(t *testing.T) {
	clock := &hand{noon}
	w := windowsOf(clock, "shop", "cart")
	safe := holdAll
	safe.Remediate = maintenance.RemediateSafe
	w.Take([]kube.StoredWindow{storedWindow("db", noon.Add(-time.Hour), noon.Add(42*time.Minute), holdAll, "shop"),
		storedWindow("web", noon.Add(time.Hour), noon.Add(2*time.Hour), safe),
		storedWindow("bad", noon, noon, holdAll)}, nil, nil)
	const text = "in maintenance until 2026-03-01 12:42 UTC, by alice: move"
	for _, c := range []struct {
		name, target string
		after        time.Duration
		m            incident.Maintenance
		s            remediate.Suspension
		expected     bool
	}{
		{"in the window", "shop", 0, incident.Maintenance{Window: text, Held: text},
			remediate.Suspension{From: incident.C2, Why: "in maintenance until 12:42 UTC, 42m left, by alice: move",
				Until: noon.Add(42 * time.Minute)}, true},
		{"another target", "cart", 0, incident.Maintenance{}, remediate.Suspension{}, false},
		{"at its end", "shop", 42 * time.Minute, incident.Maintenance{}, remediate.Suspension{}, false},
		{"what is no target, in a window of all", "not watched: DiskFull", time.Hour, incident.Maintenance{},
			remediate.Suspension{}, false},
		{"watchdog itself, in a window of all", incident.Self, time.Hour, incident.Maintenance{},
			remediate.Suspension{}, false},
	} {
		clock.at = noon.Add(c.after)
		if m, s := w.Mean(c.target); m != c.m || s != c.s || w.Expected(c.target) != c.expected {
			t.Errorf("%s: %+v, %+v", c.name, m, s)
		}
	}
	clock.at = noon.Add(time.Hour)
	if _, s := w.Mean("cart"); s.From != incident.C3 || w.Expected("cart") {
		t.Errorf("safe_only: %+v", s)
	}
	// While the API server does not answer, windows end by the clock.
	w.Take(nil, nil, errors.New("down"))
	if _, s := w.Mean("cart"); s.Why == "" {
		t.Error("what was known is forgotten")
	}
	if clock.at = noon.Add(2 * time.Hour); w.Expected("cart") {
		t.Error("the window does not end")
	}
}

func TestExcludedTimeIsSaidAndThenTakenBack(t *testing.T) {
	clock := &hand{noon}
	w := windowsOf(clock, "shop", "cart")
	w.Take([]kube.StoredWindow{storedWindow("db", noon, noon.Add(time.Hour), holdAll, "shop")}, nil, nil)
	for _, want := range []string{"[1]", "[0]", "[0]"} {
		var got []string
		for _, s := range w.Samples() {
			got = append(got, s.Value.String())
		}
		if fmt.Sprint(got) != want {
			t.Errorf("at %s: %s, want %s", clock.at, got, want)
		}
		clock.at = clock.at.Add(time.Hour)
	}
}

func TestWindowsAreMetrics(t *testing.T) {
	clock := &hand{noon}
	w := windowsOf(clock, "shop", "cart")
	w.Take([]kube.StoredWindow{storedWindow("db", noon, noon.Add(time.Hour), holdAll)}, nil, nil)
	w.holds(map[string]int{"db": 3})
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(windowMetrics{w})
	want := `
# HELP watchdog_maintenance_active 1 while the target is in the maintenance window.
# TYPE watchdog_maintenance_active gauge
watchdog_maintenance_active{target="cart",window="db"} 1
watchdog_maintenance_active{target="shop",window="db"} 1
# HELP watchdog_maintenance_ends_timestamp_seconds End of the active maintenance window.
# TYPE watchdog_maintenance_ends_timestamp_seconds gauge
watchdog_maintenance_ends_timestamp_seconds{window="db"} ` + fmt.Sprintf("%g", float64(noon.Add(time.Hour).Unix())) + `
# HELP watchdog_maintenance_held_pages Incidents whose notifications are held by the maintenance window; exported by the leader.
# TYPE watchdog_maintenance_held_pages gauge
watchdog_maintenance_held_pages{window="db"} 3
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	clock.at = noon.Add(time.Hour)
	if err := testutil.GatherAndCompare(r, strings.NewReader(""), "watchdog_maintenance_active",
		"watchdog_maintenance_ends_timestamp_seconds"); err != nil {
		t.Error("a window that is over leaves series behind:", err)
	}
}

func TestAlarmsFireAndEnd(t *testing.T) {
	clock := &hand{noon}
	w := windowsOf(clock, "shop")
	w.Take([]kube.StoredWindow{storedWindow("db", noon, noon.Add(100*time.Minute), holdAll, "shop")}, nil, nil)
	firing := func(after time.Duration) string {
		clock.at = noon.Add(after)
		var all []string
		for _, a := range w.Alarms(func(string) string { return "" }) {
			if a.Firing {
				all = append(all, fmt.Sprintf("%s %s %d", a.Rule, a.Severity, len(a.Ladder)))
			} else if a.Verdict != incident.OK || !a.ActiveAt.IsZero() {
				t.Errorf("%+v", a)
			}
		}
		return strings.Join(all, ", ")
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{79 * time.Minute, ""}, {80 * time.Minute, "maintenance_ending P3 0"},
		{100 * time.Minute, "maintenance_overrun P2 1"}, {30 * time.Hour, "maintenance_overrun P2 1"}} {
		if got := firing(c.after); got != c.want {
			t.Errorf("after %s: %q, want %q", c.after, got, c.want)
		}
	}
	done := storedWindow("db", noon, noon.Add(100*time.Minute), holdAll, "shop")
	done.Spec.Ended = &maintenance.Word{At: noon.Add(30 * time.Hour), By: "alice"}
	w.Take([]kube.StoredWindow{done}, nil, nil)
	if got := firing(30 * time.Hour); got != "" {
		t.Errorf("ended, and %s", got)
	}
}

// outage is trouble of one target for a while.
type outage struct {
	target      string
	from, until time.Duration
}

// Generated schedules of windows and outages: each page that a window holds is told once
// nothing holds it, if the trouble is still there, and is about what is well again if it
// is not told; and trouble that no window covers is told at once.
func TestEveryHeldPageIsAccountedFor(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	const schedules = 1000
	targets := []string{"a", "b", "c", "d"}
	held, delivered, resolved, atOnce := 0, 0, 0, 0
	for n := range schedules {
		clock := &hand{noon}
		w := windowsOf(clock, targets...)
		var stored []kube.StoredWindow
		for k := range 1 + rnd.IntN(3) {
			from := noon.Add(time.Duration(rnd.IntN(180)) * time.Minute)
			e := maintenance.Effects{Page: maintenance.PageHold}
			if rnd.IntN(4) == 0 {
				e.Page = maintenance.PageNormal
			}
			of := append([]string(nil), targets[:rnd.IntN(len(targets)+1)]...)
			s := storedWindow(fmt.Sprint("w", k), from, from.Add(time.Duration(1+rnd.IntN(90))*time.Minute), e, of...)
			if rnd.IntN(5) == 0 {
				s.Spec.Ended = &maintenance.Word{At: from.Add(time.Duration(rnd.IntN(60)) * time.Minute)}
			}
			stored = append(stored, s)
		}
		if n%3 == 0 {
			c, err := timeinterval.New([]timeinterval.Interval{{Times: []timeinterval.Times{{StartTime: "13:00",
				EndTime: "13:20"},
				{StartTime: "14:00", EndTime: "14:45"}}}})
			if err != nil {
				t.Fatal(err)
			}
			w.Use([]maintenance.Window{{Name: "r", Recurs: c, Targets: targets[:2],
				Effects: maintenance.Effects{Page: maintenance.PageHold}}}, targets)
		}
		w.Take(stored, nil, nil)
		var outages []outage
		for range 1 + rnd.IntN(6) {
			from := time.Duration(rnd.IntN(240)) * time.Minute
			outages = append(outages, outage{targets[rnd.IntN(len(targets))], from, from +
				time.Duration(1+rnd.IntN(60))*time.Minute})
		}
		all := map[string]incident.Incident{} // by id
		open := map[string]string{}           // id by target
		told, kept := map[string]bool{}, map[string]bool{}
		accounts := map[string]maintenance.Account{}
		policy := incident.DefaultPolicy()
		for m := range 6 * 60 {
			clock.at = noon.Add(time.Duration(m) * time.Minute)
			for _, x := range targets {
				bad := slices.ContainsFunc(outages, func(o outage) bool {
					return o.target == x && time.Duration(m)*time.Minute >= o.from &&
						time.Duration(m)*time.Minute < o.until
				})
				if open[x] == "" && !bad {
					continue
				}
				if open[x] == "" {
					open[x] = fmt.Sprint(x, m)
					all[open[x]] = incident.New(open[x], incident.Target{Name: x}, clock.at)
				}
				a := incident.Alert{Rule: "down", Severity: incident.P0, Firing: bad, Verdict: incident.OK,
					EvaluatedAt: clock.at, Ladder: []incident.Rung{{Action: "page", Class: incident.C1}}}
				if bad {
					a.Verdict = incident.Breach
				}
				means, _ := w.Mean(x)
				i, _ := incident.Step(all[open[x]], incident.Tick{At: clock.at, Alerts: []incident.Alert{a},
					Maintenance: means}, policy)
				if i.Phase == incident.Resolved {
					delete(open, x)
				} else if i.Silenced() == "" && !told[i.ID] { // what the outbox asks
					told[i.ID] = true
					i.Receipts = map[string]incident.Receipt{"pager": {Ref: i.ID, State: "triggered"}}
					if !kept[i.ID] {
						if !i.OpenedAt.Equal(clock.at) {
							t.Fatalf("schedule %d: %s is told %s late, and no window held it", n, i.ID,
								clock.at.Sub(i.OpenedAt))
						}
						atOnce++
					}
				} else if !told[i.ID] {
					kept[i.ID] = true
					if means.Held == "" {
						t.Fatalf("schedule %d: %s is kept from people by no window", n, i.ID)
					}
				}
				all[i.ID] = i
			}
			var incidents []incident.Incident
			for _, i := range all {
				incidents = append(incidents, i)
			}
			file, cluster, _ := w.all()
			for _, x := range slices.Concat(file, cluster) {
				accounts[x.Name] = account(accounts[x.Name], x, x.PhaseAt(clock.at), incidents)
			}
		}
		if len(open) > 0 {
			t.Fatalf("schedule %d: %v never end", n, open)
		}
		for id := range kept {
			if !told[id] && all[id].Phase != incident.Resolved {
				t.Errorf("schedule %d: the page of %s is lost", n, id)
			}
			held++
			if told[id] {
				delivered++
			} else {
				resolved++
			}
		}
		sum := 0
		for name, a := range accounts {
			if len(a.Held) > 0 {
				t.Errorf("schedule %d: window %s still holds %v", n, name, a.Held)
			}
			sum += a.All()
		}
		if sum < len(kept) {
			t.Errorf("schedule %d: the windows account for %d pages, %d were held", n, sum, len(kept))
		}
	}
	t.Logf("%d schedules: %d pages held, %d of them delivered and %d about what was well again; %d told at once",
		schedules, held, delivered, resolved, atOnce)
	if held != delivered+resolved || delivered < 200 || resolved < 200 || atOnce < 200 {
		t.Errorf("%d held, %d delivered, %d resolved, %d at once", held, delivered, resolved, atOnce)
	}
}

// Half of everything is in a maintenance window: that is no storm, and hides none.
func TestExpectedTroubleSaysNothingOfTheOthers(t *testing.T) {
	clock := &hand{noon}
	w := windowsOf(clock, "a", "b", "c", "d")
	loose := holdAll
	loose.Remediate = maintenance.RemediateNormal
	w.Take([]kube.StoredWindow{storedWindow("db", noon, noon.Add(time.Hour), holdAll, "a", "b"),
		storedWindow("web", noon, noon.Add(time.Hour), loose, "c")}, nil, nil)
	targets := []string{"a", "b", "c", "d"}
	for _, c := range []struct {
		bad       []string
		watched   int
		unhealthy int
	}{{nil, 2, 0}, {[]string{"a", "b"}, 2, 0}, {[]string{"a", "c", "d", "not watched: x"}, 2, 2}} {
		if watched, unhealthy := w.Trouble(targets, c.bad); watched != c.watched || unhealthy != c.unhealthy {
			t.Errorf("%v: %d of %d, want %d of %d", c.bad, unhealthy, watched, c.unhealthy, c.watched)
		}
	}
}

package backtest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/history"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/promql"
)

// aDay is one day of a measured world, and a small policy.
func aDay(t *testing.T) Options {
	t.Helper()
	// app1 has 30 % errors and more from 05:00 to 06:00, and says nothing from 07:00 to 07:30.
	value := func(k int, at time.Time) (float64, bool) {
		since, hour := at.Sub(t0).Seconds(), at.Sub(t0).Hours()
		switch {
		case k/3 == 1 && hour >= 7 && hour < 7.5:
			return 0, false
		case k%3 == 0:
			return 0.5, true
		case k == 4 && hour >= 5:
			return 900 + min(since-5*3600, 3600)*6, true
		case k%3 == 1:
			return since * 0.05, true
		}
		return since * 10, true
	}
	dir := writeBlocks(t, t0, 1, time.Minute, shopSeries(4), value)
	source, err := history.OpenBlocks(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return Options{Config: policyOf(t, 4, 1, 1), Source: source, Begin: t0.Add(time.Hour), End: t0.Add(24 * time.Hour)}
}

func played(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheSameHistoryGivesTheSameReport(t *testing.T) {
	var texts [2]bytes.Buffer
	day := aDay(t)
	for k := range texts {
		r := played(t, day)
		for _, write := range []func() error{func() error { return r.WriteText(&texts[k]) },
			func() error { return r.WriteJSON(&texts[k]) }, func() error { return r.WriteHTML(&texts[k]) }} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(texts[0].Bytes(), texts[1].Bytes()) {
		t.Errorf("%s\n\n%s", texts[0].Bytes(), texts[1].Bytes())
	}
}

// A history of another time, or one that cannot be read, is an error: every bound
// would hold on nothing.
func TestNothingIsNoResult(t *testing.T) {
	o := aDay(t)
	o.Begin, o.End = o.Begin.AddDate(-1, 0, 0), o.End.AddDate(-1, 0, 0)
	if r, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "it holds 2026-09-01T00:00:00Z") {
		t.Errorf("%+v, %v", r, err)
	}
	down := func(context.Context, string, time.Time) ([]promql.Point, error) { return nil, promql.ErrSource }
	o.Source = &history.Source{Query: down, Range: func(context.Context, string, time.Time, time.Time,
		time.Duration) ([]promql.Line, error) {
		return nil, promql.ErrSource
	}}
	if r, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no question could be answered") {
		t.Errorf("%+v, %v", r, err)
	}
}

// The hour of errors is one incident of one target; the half hour of silence is time
// in which nothing is known of it, and told as that (X11).
func TestReport(t *testing.T) {
	r := played(t, aDay(t))
	if len(r.Incidents) != 2 || r.Incidents[0].Target != "app1" || r.Incidents[0].Opened.Hour() != 5 ||
		r.Incidents[0].Resolved.IsZero() || len(r.Pages) != 2 || r.Failures != 0 ||
		!slices.Equal(r.Incidents[1].Rules, []string{"unseen"}) || r.Incidents[1].Severity != "P3" ||
		r.Incidents[1].Resolved.IsZero() {
		t.Fatalf("%+v, %+v, %d failures", r.Incidents, r.Pages, r.Failures)
	}
	rule := byRule(r)["t0"]
	if silent := time.Duration(rule.Unknown); rule.Firings != 0 || silent < 25*time.Minute || silent > 40*time.Minute {
		t.Errorf("%+v", rule)
	}
	if rule := byRule(r)["A0"]; rule.Firings != 1 || time.Duration(rule.Firing).Round(10*time.Minute) != time.Hour {
		t.Errorf("%+v", rule)
	}
	for _, p := range r.Pages {
		if p.At.Before(r.Begin) || p.At.After(r.End) || p.Severity == "" || p.Reason == "" {
			t.Errorf("%+v", p)
		}
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"RULE ", "t0 ", "A0 ", "INCIDENTS", "restart", "PAGES", "per_target",
		"History goes on as it was"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, b.String())
		}
	}
}

// What a mode kept from being done is known, and not read from a sentence in which names
// stand, too: a target called like an action once changed the report and let --assert fail.
func TestWhatIsNamedLikeAnActionIsNone(t *testing.T) {
	for name, change := range map[string]func(*config.Target){
		"a namespace": func(t *config.Target) { t.Namespace = "rollback-tests" },
		"a workload":  func(t *config.Target) { t.Workload = "deployment/rollback-scale-api" },
		"both":        func(t *config.Target) { t.Namespace, t.Workload = "scale", "deployment/rollback" },
	} {
		t.Run(name, func(t *testing.T) {
			o := aDay(t)
			for k := range o.Config.Targets {
				o.Config.Targets[k].Mode = incident.Suggest
				change(&o.Config.Targets[k])
			}
			r := played(t, o)
			if len(r.Actions) != 1 || r.count(incident.ActionRestart, true) != 1 {
				t.Errorf("want one restart that would have been done: %+v", r.Actions)
			}
			for _, text := range []string{`would{action="restart"} == 1`, `would{action="rollback"} == 0`,
				`would{action="scale"} == 0`} {
				a, err := ParseAssertion(text)
				if err != nil {
					t.Fatal(err)
				}
				if wrong := a.Check(r); wrong != "" {
					t.Error(wrong)
				}
			}
		})
	}
}

func TestAssertions(t *testing.T) {
	r := &Report{
		Rules: []Rule{{Rule: "errors", Firings: 3, Firing: Span(time.Hour), Unknown: Span(10 * time.Minute)}},
		Pages: []Page{{Severity: incident.P0, Target: "shop"}, {Severity: incident.P1, Target: "shop"}},
		Actions: []Action{{Action: "restart", Target: "shop"}, {Action: "rollback", Target: "shop", Would: true},
			{Action: incident.ActionRevert}},
		Guards: []Guard{{Guard: "budget per target", Hold: incident.Wait, Count: 4}},
	}
	for text, want := range map[string]string{
		"pages <= 2":                                       "",
		"pages < 2":                                        "it is 2",
		`pages{severity="P0"} == 0`:                        "it is 1",
		`pages{severity="P3"} == 0`:                        "",
		`actions == 1`:                                     "",
		`actions{action="rollback"} > 0`:                   "it is 0",
		`would{action="rollback"} == 1`:                    "",
		`firings{rule="errors"} != 3`:                      "it is 3",
		`firings{rule="erors"} == 0`:                       `no rule is called "erors"`,
		`unknown{rule="errors"} < 5m`:                      "it is 10m",
		`firing < 2h`:                                      "",
		`held{guard="budget per target",hold="wait"} >= 4`: "",
		"failures == 0":                                    "",
		"incidents == 0":                                   "",
	} {
		a, err := ParseAssertion(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := a.Check(r); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", "pages", "pages <= many", "pagers <= 1", `pages{rule="x"} == 1`,
		`pages{severity=P0} == 1`, "pages <= 5m",
		`actions{action="rolback"} == 0`, `held{guard="budget"} == 0`} {
		if _, err := ParseAssertion(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestCompare(t *testing.T) {
	old := &Report{Budget: []Budget{{Limit: "cluster", Of: 10}},
		Rules: []Rule{{Rule: "a", Firings: 1}, {Rule: "gone", Firings: 2}}}
	same := Compare(old, old)
	if len(same.Differ) != 0 {
		t.Errorf("%+v", same.Differ)
	}
	next := &Report{Budget: []Budget{{Limit: "cluster", Of: 10, Peak: 3}},
		Rules: []Rule{{Rule: "a", Firings: 4}, {Rule: "new"}}, Pages: []Page{{Severity: incident.P1}}}
	var b strings.Builder
	if err := Compare(old, next).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"firings of a", "rule gone", "rule new", "pages P1", "peak of budget cluster"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing:\n%s", want, b.String())
		}
	}
}

// Text of the history and the configuration cannot become markup.
func TestHTMLIsEscaped(t *testing.T) {
	r := &Report{Config: "<script>", End: t0.Add(time.Hour), Begin: t0,
		Incidents: []Incident{{ID: "1", Target: "<img src=x>", Rules: []string{"<b>"}, Opened: t0}},
		Pages:     []Page{{At: t0, Target: "<img src=x>", Reason: "</svg><script>"}}}
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "<img", "<b>&"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%s is in the page", bad)
		}
	}
}

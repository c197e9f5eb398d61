package rules

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// TestSilenceOfWhatIsUpIsRecovery_X12: kube-state-metrics writes a series only while something is
// bad. That it is gone is good news if what wrote it is up, and no news otherwise.
func TestSilenceOfWhatIsUpIsRecovery_X12(t *testing.T) {
	const bad = 20 * time.Minute // how long it is bad
	for _, tc := range []struct {
		name string
		// up is what `up` of the exporter says after the end; -1: nothing.
		up    func(after time.Duration) float64
		job   string // of up
		other bool   // another exporter of the job, at another instance, is up all the while
		ends  time.Duration
		never bool
		// outage: for a while nothing can be known.
		outage bool
	}{
		{name: "the exporter is up", up: func(time.Duration) float64 { return 1 }, ends: 10 * time.Minute},
		{name: "the exporter is down", up: func(time.Duration) float64 { return 0 }, never: true},
		{name: "the exporter is gone", up: func(time.Duration) float64 { return -1 }, never: true},
		{name: "its instance is gone, and another one is up", up: func(time.Duration) float64 { return -1 },
			other: true, ends: 10 * time.Minute},
		{name: "its instance is down, and another one is up", up: func(time.Duration) float64 { return 0 }, other: true,
			never: true},
		{name: "the exporter of another job is up", up: func(time.Duration) float64 { return 1 }, job: "other",
			never: true},
		{name: "the exporter was down for two minutes", up: func(after time.Duration) float64 {
			if after < 2*time.Minute {
				return 0
			}
			return 1
		}, ends: 10 * time.Minute, outage: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now := start
			store := storeAt(&now, storage.Options{})
			ask := promql.NewLocal(store, promql.LocalOptions{})
			clock := func() time.Time { return now }
			groups, err := NewManager(Options{Remote: ask, Now: clock, Target: byLabel})
			if err != nil {
				t.Fatal(err)
			}
			file := "groups: [{name: g, rules: [{alert: Waiting, expr: " +
				"'max_over_time(waiting{reason=\"CrashLoopBackOff\",job=\"ksm\"}[5m]) >= 1', for: 1m}]}]"
			parsed, err := ParseFile("r.yaml", []byte(file), Prometheus)
			if err == nil {
				_, err = groups.Update(Config{Groups: parsed})
			}
			if err != nil {
				t.Fatal(err)
			}
			judge := newManager(t, Options{Remote: ask, Now: clock})
			if _, err := judge.Update(Config{Thresholds: []Threshold{{Name: "waiting",
				Expr: `sum by (target) (waiting{job="ksm"})`, Source: Prometheus, Above: true, For: time.Minute,
				ClearFor: time.Minute, Targets: []string{"a"}}}}); err != nil {
				t.Fatal(err)
			}
			job := tc.job
			if job == "" {
				job = "ksm"
			}
			var ended [2]time.Duration
			for at := time.Duration(0); at < bad+30*time.Minute; at += 15 * time.Second {
				now = start.Add(at)
				up, after := 1.0, at-bad
				if after >= 0 {
					up = tc.up(after)
				}
				put := func(v float64, name string, pairs ...string) {
					store.Append([]*model.Sample{one(now, v, name, pairs...)})
				}
				if up >= 0 {
					put(up, "up", "job", job, "instance", "1")
				} else if after == 0 {
					put(endMark(), "up", "job", job, "instance", "1")
				}
				if tc.other {
					put(1, "up", "job", job, "instance", "2")
				}
				if after < 0 {
					put(1, "waiting", "target", "a", "job", "ksm", "instance", "1", "reason", "CrashLoopBackOff")
				} else if after == 0 {
					put(endMark(), "waiting", "target", "a", "job", "ksm", "instance", "1", "reason",
						"CrashLoopBackOff")
				}
				groups.EvalGroups(context.Background(), now)
				judge.EvalThresholds(context.Background())
				if blind, why := judge.Blind(); blind && !tc.never && !tc.outage {
					t.Fatalf("%s after the end it is blindness: %s", after, why)
				}
				for k, alerts := range [][]Alert{groups.AlertsOf("a"), judge.AlertsOf("a")} {
					if fires := slices.ContainsFunc(alerts,
						func(a Alert) bool { return a.State == Firing }); after > 0 && !fires && ended[k] == 0 {
						ended[k] = after
					}
					for _, a := range alerts {
						// The verdict on what was done about it needs to know that it is over.
						if after > 12*time.Minute && !tc.never && a.Verdict.Unknown() {
							t.Fatalf("%s after the end the verdict of %s is %s: %s", after, a.Rule, a.Verdict, a.Reason)
						}
					}
				}
			}
			for k, what := range []string{"the alert of a rule file", "the threshold"} {
				switch {
				// A threshold asks for the job alone: it has no instance to ask for.
				case tc.never && ended[k] > 0:
					t.Errorf("%s ended after %s of silence that proves nothing", what, ended[k])
				case !tc.never && (ended[k] == 0 || ended[k] > tc.ends):
					t.Errorf("%s ended after %s, want at most %s", what, ended[k], tc.ends)
				}
			}
		})
	}
}

func TestWhoWritesASeries_X12(t *testing.T) {
	for _, tc := range []struct {
		selector string
		series   labels.Labels
		want     []string
	}{
		{`waiting{job="ksm",reason="x"}`, labels.EmptyLabels(), []string{`up{job="ksm"}`}},
		{`waiting{job=~"ksm|k",cluster="c"}`, labels.EmptyLabels(), []string{`up{cluster="c",job=~"ksm|k"}`}},
		{`waiting`, labels.FromStrings("job", "ksm", "instance", "1"),
			[]string{`up{instance="1",job="ksm"}`, `up{job="ksm"}`}},
		{`waiting{job="ksm"}`, labels.FromStrings("instance", "1"),
			[]string{`up{instance="1",job="ksm"}`, `up{job="ksm"}`}},
		{`waiting{job!="ksm"}`, labels.EmptyLabels(), nil},
		{`waiting`, labels.EmptyLabels(), nil},
	} {
		got := writers(tc.selector, tc.series)
		for k := range got {
			tree, err := promql.NewParser().ParseExpr(got[k])
			if err != nil {
				t.Errorf("%s is no PromQL: %v", got[k], err)
				continue
			}
			got[k] = tree.String()
		}
		want := slices.Clone(tc.want)
		for k := range want {
			tree, err := promql.NewParser().ParseExpr(want[k])
			if err != nil {
				t.Fatal(err)
			}
			want[k] = tree.String()
		}
		if len(got) != len(want) {
			t.Errorf("%s of %s: %q, want %q", tc.selector, tc.series, got, want)
		}
	}
}

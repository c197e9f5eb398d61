//go:build integration

package promapi

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// liveRules are evaluated by a real Prometheus every second. The offset leaves every
// scrape time to be there, so that the same moment can be asked about again later.
const liveRules = `
groups:
- name: live
  interval: 1s
  query_offset: 3s
  rules:
  - {record: turn, expr: vector(1)}
  - {record: "m:avg", expr: "avg by (target) (m)"}
  - {alert: Now, expr: "m > 5"}
  - {alert: Pending, expr: "m > 4", for: 3s, labels: {severity: "{{ if gt $value 6.0 }}high{{ else }}low{{ end }}"}}
  - {alert: Kept, expr: "m > 6", keep_firing_for: 4s}
  - {alert: Recorded, expr: "m:avg > 4", for: 2s, annotations: {summary: "{{ $labels.target }} is at {{ $value }}"}}
  - {alert: Counter, expr: "rate(c[10s]) > 3", for: 2s}
  - {alert: Gone, expr: "absent(flicker)", for: 1s}
- name: many
  interval: 1s
  query_offset: 3s
  limit: 4
  rules:
  - {record: turn_many, expr: vector(1)}
  - {alert: TooMany, expr: "m > 3"}
`

// TestAlertsOfARealPrometheus: Prometheus scrapes and judges for half a minute;
// watchdog judges the same samples at the same moments by the same file, and has the
// same alerts, pending and firing, with the same labels since the same moment.
func TestAlertsOfARealPrometheus(t *testing.T) {
	dir := t.TempDir()
	url, evaluated := judging(t, dir, 35*time.Second)
	groups, err := rules.ReadFile(filepath.Join(dir, "rules.yaml"), rules.Prometheus)
	if err != nil {
		t.Fatal(err)
	}
	ask, err := promql.NewRemote(promql.RemoteOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	g, err := rules.NewManager(rules.Options{Remote: ask, AsPrometheus: true,
		Target: func(l labels.Labels) (string, bool) { return l.Get("target"), true }})
	if err == nil {
		_, err = g.Update(rules.Config{Groups: groups})
	}
	if err != nil {
		t.Fatal(err)
	}
	compared, differences := 0, 0
	for _, name := range []string{"live", "many"} {
		for k, at := range evaluated[name] {
			g.EvalGroups(t.Context(), at)
			if k < 3 {
				continue // Prometheus writes no ALERTS until it has looked for those of before its start
			}
			want := theirAlerts(t, url, at.Add(-3*time.Second), name)
			got := map[string]bool{}
			for _, r := range g.Report() {
				if r.Name != name {
					continue
				}
				for _, x := range r.Rules {
					for _, a := range x.Alive {
						l := labels.NewBuilder(a.Labels)
						l.Set("alertstate", string(a.State))
						got[l.Labels().String()] = true
					}
				}
			}
			compared += len(want)
			if !maps.Equal(got, want) {
				differences++
				t.Errorf("%s at %s:\nwatchdog   %v\nPrometheus %v", name, at, slices.Sorted(maps.Keys(got)),
					slices.Sorted(maps.Keys(want)))
			}
		}
	}
	t.Logf("%d evaluations, %d alerts, %d differences", len(evaluated["live"])+len(evaluated["many"]), compared,
		differences)
	if compared < 100 {
		t.Error("too little happened to show anything")
	}
}

// theirAlerts are Prometheus' alerts at one evaluation: those with a sample of that very moment.
func theirAlerts(t *testing.T, url string, at time.Time, group string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for l, points := range raw(t, url, "ALERTS", at, time.Second) {
		for _, p := range points {
			if p.Timestamp == model.TimeFromUnixNano(at.UnixNano()) &&
				(l.Get("alertname") == "TooMany") == (group == "many") {
				all[labels.NewBuilder(l).Del("__name__").Labels().String()] = true
			}
		}
	}
	return all
}

// raw asks for the samples themselves.
func raw(t *testing.T, url, selector string, at time.Time, back time.Duration) map[labels.Labels][]model.SamplePair {
	t.Helper()
	c, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	v, _, _, err := promv1.NewAPI(c).Query(t.Context(), fmt.Sprintf("%s[%dms]", selector, back.Milliseconds()), at)
	if err != nil {
		t.Fatal(err)
	}
	all := map[labels.Labels][]model.SamplePair{}
	for _, s := range v.(model.Matrix) {
		b := labels.NewScratchBuilder(len(s.Metric))
		for n, v := range s.Metric {
			b.Add(string(n), string(v))
		}
		b.Sort()
		all[b.Labels()] = s.Values
	}
	return all
}

// judging runs a Prometheus over an application until it has judged for d, and returns
// its URL and the moments at which each group was evaluated.
func judging(t *testing.T, dir string, d time.Duration) (string, map[string][]time.Time) {
	t.Helper()
	began := time.Now()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		second := uint64(time.Since(began) / time.Second)
		for k := range uint64(6) {
			dice := rand.New(rand.NewPCG(k, second/(2+k)))
			fmt.Fprintf(w, "m{target=\"t%d\"} %d\nc{target=\"t%d\"} %d\n", k, dice.IntN(8), k, second*k)
		}
		if second%7 < 4 {
			fmt.Fprintln(w, "flicker 1")
		}
	}))
	t.Cleanup(app.Close)
	for name, text := range map[string]string{
		"rules.yaml": liveRules,
		"prometheus.yml": fmt.Sprintf("global: {scrape_interval: 1s}\nrule_files: [rules.yaml]\nscrape_configs: "+
			"[{job_name: app, static_configs: [{targets: [%q]}]}]\n",
			strings.TrimPrefix(app.URL, "http://")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr := address(t)
	cmd := exec.Command("../../bin/prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url := "http://" + addr
	ready(t, addr)
	tick, late := time.NewTicker(time.Second), time.NewTimer(4*d)
	defer tick.Stop()
	defer late.Stop()
	for enough := false; !enough; {
		select {
		case <-late.C:
			t.Fatalf("Prometheus has not judged %d times in %s", int(d/time.Second), 4*d)
		case <-tick.C:
			for _, points := range raw(t, url, "turn_many", time.Now(), 10*d) {
				enough = len(points) >= int(d/time.Second)
			}
		}
	}
	moments := map[string][]time.Time{}
	for group, selector := range map[string]string{"live": "turn", "many": "turn_many"} {
		seen := map[time.Time]bool{}
		for _, points := range raw(t, url, selector, time.Now(), 10*d) {
			for _, p := range points {
				seen[p.Timestamp.Time().UTC().Add(3*time.Second)] = true
			}
		}
		moments[group] = slices.SortedFunc(maps.Keys(seen), time.Time.Compare)
		if len(moments[group]) < 5 {
			t.Fatalf("Prometheus evaluated %s %d times in %s", group, len(moments[group]), d)
		}
	}
	return url, moments
}

package rules

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promengine "github.com/prometheus/prometheus/promql"
	prom "github.com/prometheus/prometheus/rules"
	promstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// TestGroupsAgreeWithPrometheus evaluates random groups over random series with
// watchdog's code and with Prometheus' own, and compares every alert and every
// recorded series after each evaluation. DIFF_WORLDS sets how many groups.
func TestGroupsAgreeWithPrometheus(t *testing.T) {
	worlds := uint64(3)
	if n, err := strconv.ParseUint(os.Getenv("DIFF_WORLDS"), 10, 32); err == nil {
		worlds = n
	}
	total := tally{}
	for seed := range worlds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { differ(t, seed, &total) })
	}
	t.Logf("%d evaluations of rules, %d of them with alerts; %d began to fire, %d ended, %d recorded series "+
		"compared; no difference", total.evaluations, total.active, total.fired, total.ended, total.recorded)
	if total.fired < int(worlds) || total.ended < int(worlds) || total.recorded < int(worlds) {
		t.Error("too little happened to prove anything")
	}
}

type tally struct{ evaluations, active, fired, ended, recorded int }

// expressions of which rules are made; $n is a number.
var expressions = []string{
	`m > $n`, `m < $n`, `$n > m`, `-m < -$n`, `(m >= $n)`, `m == $n`, `m != $n`, `m > bool $n`,
	`sum by (target) (m) > $n`, `avg without (pod) (m) > $n`, `rate(c[2m]) > $n / 10`, `increase(c[3m]) > $n`,
	`avg_over_time(m[1m]) > $n`, `max_over_time(m[2m:15s]) > $n`, `m > $n and on (target, pod) k > 2`,
	`m > $n or k > 4`,
	`m unless on (target) k > 3`, `absent(nothing)`, `m offset 1m > $n`, `m - k > 0`, `m > on (target, pod) k`,
	`recorded > $n`,
	`topk(2, m) > $n`, `count by (target) (m > $n) > 1`, `quantile by (target) (0.9, m) > $n`, `m{pod="a"} > $n`, `$n`,
	`m > scalar(count(k))`, `histogram_quantile(0.5, m)`,
}

func differ(t *testing.T, seed uint64, total *tally) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	interval := []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second}[rnd.IntN(3)]
	group := Group{Name: "g", File: "random.yaml", Source: Local, Interval: interval}
	if rnd.IntN(3) == 0 {
		group.QueryOffset = time.Duration(rnd.IntN(60)) * time.Second
	}
	if rnd.IntN(4) == 0 {
		group.Limit = 1 + rnd.IntN(6)
	}
	for i := range 10 {
		group.Rules = append(group.Rules, randomRule(rnd, i, interval))
	}

	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := base
	// Watchdog's side.
	store := storeAt(&now, storage.Options{Retention: 12 * time.Hour, MaxSamples: 1 << 20})
	ours, err := NewManager(Options{
		Local: promql.NewLocal(store, promql.LocalOptions{}), Append: store.Append,
		Now:    func() time.Time { return now },
		Target: byLabel,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Update(Config{Groups: []Group{group}}); err != nil {
		t.Fatal(err)
	}
	// Prometheus' side.
	db := teststorage.New(t)
	theirs := promGroup(t, group, db)

	walks := newWalks(rnd)
	known := map[string]bool{} // alerts that fired
	for range 200 {
		for now.Sub(base) == 0 || now.Sub(base)%interval != 0 {
			now = now.Add(5 * time.Second)
			feed(t, walks.step(now), store, db)
			if now.Sub(base)%interval == 0 {
				break
			}
		}
		ours.EvalGroups(t.Context(), now)
		theirs.Eval(t.Context(), now)
		for i, r := range ours.groups[0].rules {
			total.evaluations++
			want, bad := "", error(nil)
			if pr, ok := theirs.Rules()[i].(*prom.AlertingRule); ok {
				want, bad = promAlerts(pr), pr.LastError()
			} else {
				bad = theirs.Rules()[i].LastError()
			}
			if (bad != nil) != (r.err != nil) {
				t.Fatalf("seed %d, %s, rule %d %s: watchdog's error: %v, Prometheus': %v", seed, now.Sub(base), i,
					r.Expr, r.err, bad)
			}
			if r.Alert == "" {
				continue
			}
			if d := cmp.Diff(want, ourAlerts(r)); d != "" {
				t.Fatalf("seed %d, %s, rule %d %s for %s keep %s (-Prometheus +watchdog):\n%s", seed, now.Sub(base), i,
					r.Expr, r.For, r.KeepFiringFor, d)
			}
			firing := map[string]bool{}
			for _, a := range r.active {
				if a.State == Firing {
					firing[fmt.Sprint(i, " ", a.Labels)] = true
				}
			}
			for k := range firing {
				if !known[k] {
					total.fired++
				}
				known[k] = true
			}
			for k := range known {
				if strings.HasPrefix(k, fmt.Sprint(i, " {")) && !firing[k] {
					total.ended++
					delete(known, k)
				}
			}
			if want != "" {
				total.active++
			}
		}
		if d := cmp.Diff(recordedIn(t, db, now), recordedIn(t, store, now)); d != "" {
			t.Fatalf("seed %d, %s: recorded series (-Prometheus +watchdog):\n%s", seed, now.Sub(base), d)
		}
		total.recorded += len(recordedIn(t, store, now))
		now = now.Add(5 * time.Second)
		feed(t, walks.step(now), store, db)
	}
}

// byLabel takes the label target for the target, if there is one.
func byLabel(l labels.Labels) (string, bool) {
	return l.Get(storage.TargetLabel), l.Has(storage.TargetLabel)
}

func randomRule(rnd *rand.Rand, i int, interval time.Duration) Rule {
	expr := strings.ReplaceAll(expressions[rnd.IntN(len(expressions))], "$n", fmt.Sprint(1+rnd.IntN(6)))
	if i == 0 || rnd.IntN(6) == 0 {
		name := "recorded"
		if i > 0 {
			name = fmt.Sprint("other", i)
		}
		return Rule{Record: name, Expr: []string{"m * 2", "sum by (target) (m)", "m > 3", "k or m", expr}[rnd.IntN(5)],
			Labels: labels.FromStrings("from", fmt.Sprint("r", i))}
	}
	r := Rule{Alert: fmt.Sprint("A", i), Expr: expr, For: time.Duration(rnd.IntN(5)) * interval}
	if rnd.IntN(2) == 0 {
		r.KeepFiringFor = time.Duration(1+rnd.IntN(4)) * interval
	}
	switch rnd.IntN(3) {
	case 0:
		r.Labels = labels.FromStrings("severity", "critical")
	case 1:
		r.Labels = labels.FromStrings("level", `{{ if gt $value 4.0 }}high{{ else }}low{{ end }}`,
			"of", "{{ $labels.pod }}")
	}
	r.Annotations = labels.FromStrings("summary",
		`{{ $labels.target }} has {{ $value | humanize }}, {{ with query "count(m)" }}{{ . | first | value }}{{ end }} series`)
	return r
}

func promGroup(t *testing.T, g Group, db *teststorage.TestStorage) *prom.Group {
	t.Helper()
	engine := promengine.NewEngine(promengine.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute,
		LookbackDelta: promql.Lookback, EnableAtModifier: true, EnableNegativeOffset: true, Parser: promql.NewParser(),
		NoStepSubqueryIntervalFn: func(int64) int64 { return (15 * time.Second).Milliseconds() }})
	opts := &prom.ManagerOptions{
		QueryFunc: prom.EngineQueryFunc(engine, db), Context: t.Context(), Appendable: db, Queryable: db,
		ExternalURL: &url.URL{}, Logger: slog.New(slog.DiscardHandler), Parser: promql.NewParser(),
		NotifyFunc: func(context.Context, string, ...*prom.Alert) {},
	}
	var rs []prom.Rule
	for _, r := range g.Rules {
		tree, err := promql.NewParser().ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		if r.Record != "" {
			rs = append(rs, prom.NewRecordingRule(r.Record, tree, r.Labels))
			continue
		}
		rs = append(rs, prom.NewAlertingRule(r.Alert, tree, r.For, r.KeepFiringFor, r.Labels, r.Annotations,
			labels.EmptyLabels(), "", true, opts.Logger))
	}
	return prom.NewGroup(prom.GroupOptions{Name: g.Name, File: g.File, Interval: g.Interval, Limit: g.Limit, Rules: rs,
		QueryOffset: &g.QueryOffset, Opts: opts})
}

func promAlerts(r *prom.AlertingRule) string {
	var lines []string
	for _, a := range r.ActiveAlerts() {
		if a.State != prom.StateInactive {
			lines = append(lines, line(a.Labels, a.Annotations, a.State.String(), a.Value, a.ActiveAt, a.FiredAt))
		}
	}
	return sorted(lines)
}

func ourAlerts(r *ruleState) string {
	var lines []string
	for _, a := range r.active {
		v := a.Value
		lines = append(lines, line(a.Labels, a.Annotations, string(a.State), v, a.ActiveAt, a.FiredAt))
	}
	return sorted(lines)
}

func line(l, notes labels.Labels, state string, v float64, active, fired time.Time) string {
	return fmt.Sprintf("%s %s %s active %s fired %s", l, notes, state, active.Format(time.TimeOnly),
		fired.Format(time.TimeOnly))
}

func sorted(lines []string) string {
	for i := range lines {
		for j := range i {
			if lines[i] < lines[j] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}

// recordedIn are the recorded series as a query sees them now.
func recordedIn(t *testing.T, q promstorage.Queryable, at time.Time) map[string]float64 {
	t.Helper()
	points, err := promql.NewLocal(q, promql.LocalOptions{})(t.Context(), `{__name__=~"recorded|other.*"}`, at)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, p := range points {
		all[p.Labels.String()] = p.Value
	}
	return all
}

// walks are series that wander: gauges m and k, and a counter c, for three
// targets with three pods each. One pod comes and goes; there is always data of
// every target, as watchdog does not take its end for recovery.
type walks struct {
	rnd    *rand.Rand
	values map[string]float64
	gone   bool
}

func newWalks(rnd *rand.Rand) *walks { return &walks{rnd: rnd, values: map[string]float64{}} }

func (w *walks) step(at time.Time) []*model.Sample {
	var all []*model.Sample
	left := w.rnd.IntN(40) == 0
	if left {
		w.gone = !w.gone
	}
	for _, target := range []string{"x", "y", "z"} {
		for _, pod := range []string{"a", "b", "c"} {
			for _, name := range []string{"m", "k", "c"} {
				id := name + target + pod
				v := w.values[id]
				if name == "c" {
					v += float64(w.rnd.IntN(4))
				} else {
					v = math.Round(max(0, min(8, v+w.rnd.NormFloat64()*1.2))*2) / 2
				}
				w.values[id] = v
				if pod == "c" && target == "z" && name == "m" && w.gone {
					if !left {
						continue
					}
					v = math.Float64frombits(staleNaN)
				}
				all = append(all, one(at, v, name, "target", target, "pod", pod))
			}
		}
	}
	return all
}

// staleNaN is the mark that ends a series, in Prometheus' encoding.
const staleNaN uint64 = 0x7ff0000000000002

func feed(t *testing.T, samples []*model.Sample, store *storage.Store, db *teststorage.TestStorage) {
	t.Helper()
	store.Append(samples)
	app := db.Appender(t.Context())
	for _, s := range samples {
		if _, err := app.Append(0, storage.LabelsOf(s.Metric), int64(s.Timestamp), float64(s.Value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

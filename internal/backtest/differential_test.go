package backtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/internal/history"
	"watchdog.io/watchdog/internal/replay"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/storage"
)

// lived is everything that was decided in one life: each alert at each evaluation
// with news, what was told, what was done.
type lived struct {
	lines       []string
	evaluations int
}

func (l *lived) options(o replay.Options, alerts int) replay.Options {
	o.Judged = func(at time.Time, targets []string, m *rules.Manager) {
		l.evaluations += alerts
		for _, t := range targets {
			for _, a := range m.AlertsOf(t) {
				l.lines = append(l.lines, fmt.Sprintf("%s %s %s %s %s %.12g %s", at.Format(time.RFC3339Nano), a.Rule,
					a.Target, a.State, a.Verdict, a.Value, a.Reason))
			}
		}
	}
	o.Notified = func(at time.Time, i incident.Incident) {
		b, err := json.Marshal(i)
		l.lines = append(l.lines, fmt.Sprintf("%s told %s %v", at.Format(time.RFC3339Nano), b, err))
	}
	o.Did = func(at time.Time, id string, p incident.Plan) {
		l.lines = append(l.lines, fmt.Sprintf("%s did %s %s %s", at.Format(time.RFC3339Nano), id, p.Action, p.Summary))
	}
	return o
}

// noise is a world of samples that jump, end and come back.
func noise(seed uint64) func(k int, at time.Time) (float64, bool) {
	return func(k int, at time.Time) (float64, bool) {
		minute := uint64(at.Sub(t0) / (7 * time.Minute))
		dice := rand.New(rand.NewPCG(seed+uint64(k), minute))
		mood, sample := dice.Float64(), rand.New(rand.NewPCG(seed+uint64(k), uint64(at.UnixMilli()))).Float64()
		since := at.Sub(t0).Seconds()
		switch {
		case mood < 0.05:
			return 0, false // silence
		case mood < 0.06:
			return math.NaN(), true
		}
		switch k % 3 {
		case 0:
			if mood > 0.8 {
				return 0.95 + 0.05*sample, true
			}
			return 0.4 + 0.3*sample, true
		case 1:
			if mood > 0.85 {
				return since*6 + sample, true
			}
			return since*0.02 + sample, true
		}
		return since * 10, true
	}
}

// The live rules, asked at each moment over a store that samples arrive in, and the
// backtest, which reads ranges of blocks ahead, decide the same: every alert at every
// evaluation, every incident as it is told, every action. (PEERS W1)
func TestLiveAndBacktestAgree(t *testing.T) {
	evaluations, seeds, hours := 0, uint64(1), 2
	if os.Getenv("DIFF_WORLDS") != "" { // make differential
		seeds, hours = 3, 19
	}
	for seed := range seeds {
		const days, targets, every = 1, 6, 15 * time.Second
		series := shopSeries(targets)
		value := noise(seed)
		dir := writeBlocks(t, t0, days, every, series, value)
		source, err := history.OpenBlocks(dir)
		if err != nil {
			t.Fatal(err)
		}
		cfg := policyOf(t, targets, 4, 4)
		policy, err := policy.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := t0.Add(time.Hour), t0.Add(time.Duration(1+hours)*time.Hour)
		groups := slices.Concat(policy.Groups, policy.SLOs)

		past := source.Relive(groups, time.Hour, end)
		var fast lived
		life, err := replay.New(fast.options(replay.Options{Config: cfg, Begin: begin, Local: past.Local,
			Remote: past.Remote, Pages: past.Pages, Append: past.Append}, 4*targets))
		if err != nil {
			t.Fatal(err)
		}
		life.Until(end)
		past.Wait()
		if err := source.Close(); err != nil {
			t.Fatal(err)
		}

		var slow lived
		now, fed := t0, t0
		store := storage.New(storage.Options{Now: func() time.Time { return now }, Retention: time.Hour})
		ask := promql.NewLocal(store, promql.LocalOptions{})
		var mu sync.Mutex
		live := func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
			mu.Lock()
			defer mu.Unlock()
			for ; !fed.After(at); fed = fed.Add(every) {
				now = fed
				var arrived []*model.Sample
				for k, l := range series {
					if v, ok := value(k, fed); ok {
						arrived = append(arrived, modelSample(l, v, fed))
					}
				}
				store.Append(arrived)
			}
			now = at
			return ask(ctx, expr, at)
		}
		life, err = replay.New(slow.options(replay.Options{Config: cfg, Begin: begin, Local: live, Remote: live,
			Append: func([]*model.Sample) {}, EveryPass: true}, 4*targets))
		if err != nil {
			t.Fatal(err)
		}
		life.Until(end)

		if len(fast.lines) < 500 || fast.evaluations != slow.evaluations {
			t.Fatalf("seed %d: %d lines, %d and %d evaluations", seed, len(fast.lines), fast.evaluations,
				slow.evaluations)
		}
		differences := 0
		for k := range max(len(fast.lines), len(slow.lines)) {
			if k >= len(fast.lines) || k >= len(slow.lines) || fast.lines[k] != slow.lines[k] {
				differences++
				if differences <= 3 && k < len(fast.lines) && k < len(slow.lines) {
					t.Errorf("seed %d, line %d:\nbacktest %.600s\nlive     %.600s", seed, k, fast.lines[k],
						slow.lines[k])
				}
			}
		}
		evaluations += fast.evaluations
		acted := slices.ContainsFunc(fast.lines, func(l string) bool { return strings.Contains(l, " did ") })
		if differences > 0 || !acted {
			t.Fatalf("seed %d: %d differences in %d lines; acted: %v", seed, differences, len(fast.lines), acted)
		}
	}
	t.Logf("%d evaluations, 0 differences", evaluations)
	if hours == 19 && evaluations < 100_000 {
		t.Errorf("%d evaluations are too few to show anything", evaluations)
	}
}

func modelSample(l labels.Labels, v float64, at time.Time) *model.Sample {
	m := model.Metric{}
	l.Range(func(l labels.Label) { m[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return &model.Sample{Metric: m, Value: model.SampleValue(v), Timestamp: model.TimeFromUnixNano(at.UnixNano())}
}

package rules

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
)

// foreseen is a source whose answers are known in pages of some length.
type foreseen struct {
	rows   map[string][]promql.Row // by expression
	start  time.Time
	length int
	pages  map[string]*promql.Page
	broken func(at time.Time) bool
}

const every = 15 * time.Second

func (f *foreseen) ask(_ context.Context, expr string, at time.Time) ([]promql.Point, error) {
	if f.broken(at) {
		return nil, promql.ErrSource
	}
	k := int(at.Sub(f.start) / every)
	p := &promql.Page{Start: f.start, Step: every, Steps: k + 1, Rows: f.rows[expr]}
	return p.Points(k), nil
}

func (f *foreseen) page(_, expr string, at time.Time) (*promql.Page, *promql.Condition) {
	n := int(at.Sub(f.start)/every) / f.length
	from := f.start.Add(time.Duration(n*f.length) * every)
	for k := range f.length {
		if f.broken(from.Add(time.Duration(k) * every)) {
			return nil, nil
		}
	}
	key := fmt.Sprint(expr, n)
	if f.pages[key] == nil {
		p := &promql.Page{Start: from, Step: every, Steps: f.length}
		for _, r := range f.rows[expr] {
			part := promql.Row{Labels: r.Labels, Values: r.Values[n*f.length : (n+1)*f.length]}
			if slices.ContainsFunc(part.Values, func(v float64) bool { return !promql.IsNone(v) }) {
				p.Rows = append(p.Rows, part)
			}
		}
		f.pages[key] = p
	}
	return f.pages[key], nil
}

// A threshold that is judged by pages has, at each moment at which anybody may look, the state,
// the news and the blindness of one that is judged moment by moment: with breaches and gaps of
// any length, at the edges of pages too, and `for` that spans pages.
func TestPagesAreJudgedAsMoments(t *testing.T) {
	const pages, length, targets = 6, 80, 8
	names := make([]string, targets)
	for k := range names {
		names[k] = fmt.Sprint("app", k)
	}
	exprs := []string{"load", "rps", "max by (target) (timestamp(load))", "max by (target) (timestamp(rps))", "unknown",
		"max by (target) (timestamp(unknown))"}
	rested := 0
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 9))
		f := &foreseen{start: start, length: length, rows: map[string][]promql.Row{}, pages: map[string]*promql.Page{}}
		outage := dice.IntN(4 * pages)
		f.broken = func(at time.Time) bool { return int(at.Sub(start)/every)/length == outage }
		for _, e := range exprs {
			for k, name := range names {
				if strings.Contains(e, "unknown") && k%2 == 0 || k == 0 && seed%3 == 0 {
					continue
				}
				r := promql.Row{Labels: labels.FromStrings("target", name), Values: make([]float64, pages*length)}
				good := func(i int) float64 {
					switch at := float64(start.Add(time.Duration(i)*every).UnixMilli()) / 1000; {
					case strings.Contains(e, "timestamp"):
						return at - float64(i%2)*15
					case e == "load":
						return 0.5 + 0.2*dice.Float64()
					case e == "rps":
						return 10
					}
					return 0
				}
				for i := range r.Values {
					r.Values[i] = good(i)
				}
				bad := []float64{promql.None, math.NaN(), 0.95, 0.8, 1000, 0}
				for range dice.IntN(6) {
					from, n := dice.IntN(pages*length), 1+dice.IntN(3*length)
					switch dice.IntN(3) {
					case 0:
						from, n = from/length*length, 1+dice.IntN(3) // at a page's beginning
					case 1:
						from, n = max(0, from/length*length-1), 1 // at its end
					}
					v := bad[dice.IntN(len(bad))]
					for i := from; i < min(from+n, pages*length); i++ {
						r.Values[i] = v
						if strings.Contains(e, "timestamp") && v > 0.9 {
							r.Values[i] = good(i) - v // stale
						}
					}
				}
				f.rows[e] = append(f.rows[e], r)
			}
		}
		config := Config{Thresholds: []Threshold{
			{Name: "above", Expr: "load", Above: true, Bound: 0.9, Clear: 0.7, For: 10 * time.Minute,
				ClearFor: 2 * time.Minute, Targets: names},
			{Name: "soon", Expr: "load", Above: true, Bound: 0.75, Clear: 0.75, For: every, Targets: names,
				Source: []string{Local, Prometheus}[seed%2]},
			{Name: "below", Expr: "load", Bound: 0.4, Clear: 0.4, For: time.Minute, Targets: names[2:]},
			{Name: "floored", Expr: "load", Above: true, Bound: 0.9, Clear: 0.9, For: time.Minute, Targets: names,
				Floor: []FloorSpec{{Expr: "rps", Min: 5, Text: "rate"}}},
			{Name: "missing", Expr: "missing", Above: true, Bound: 1, Clear: 1, For: time.Minute, Targets: names},
			{Name: "unseen", Expr: "unknown", Above: true, Aside: true, Unseen: true, For: 5 * time.Minute,
				Targets: names},
		}}
		now := start
		var judges [2]*Manager
		for i := range judges {
			o := Options{Local: f.ask, Remote: f.ask, Now: func() time.Time { return now }, Interval: every}
			if i == 0 {
				o.Pages = f.page
			}
			m, err := NewManager(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Update(config); err != nil {
				t.Fatal(err)
			}
			judges[i] = m
		}
		look := 1 + dice.IntN(100)
		for i := range pages * length {
			now = start.Add(time.Duration(i) * every)
			if i > 0 && dice.IntN(200) == 0 {
				continue // nobody looked in time
			}
			a, b := judges[0].EvalThresholds(t.Context()), judges[1].EvalThresholds(t.Context())
			if !slices.Equal(a, b) {
				t.Fatalf("seed %d, moment %d: news of %v, want %v", seed, i, a, b)
			}
			blind, why := judges[0].Blind()
			if should, reason := judges[1].Blind(); blind != should || why != reason {
				t.Fatalf("seed %d, moment %d: blind %v %s, want %v %s", seed, i, blind, why, should, reason)
			}
			if !slices.Equal(judges[0].Unhealthy(), judges[1].Unhealthy()) {
				t.Fatalf("seed %d, moment %d: unhealthy %v, want %v", seed, i, judges[0].Unhealthy(),
					judges[1].Unhealthy())
			}
			for k, c := range judges[0].thresholds {
				for n, x := range c.cells {
					if x.rest.how != awake {
						rested++
					}
					if dice.IntN(look) > 0 {
						continue
					}
					x.settle()
					y := judges[1].thresholds[k].cells[n]
					if !reflect.DeepEqual(spelledOut(x.state()), spelledOut(y.state())) || x.seen != y.seen || x.lost != y.lost ||
						!reflect.DeepEqual(x.samples, y.samples) {
						t.Fatalf("seed %d, moment %d, %s on %s (%v):\n%+v\nwant\n%+v", seed, i, c.Name, x.target, x.rest,
							x.state(), y.state())
					}
				}
			}
		}
	}
	if all := 20 * pages * length * 6 * targets; rested < all/3 {
		t.Errorf("of %d judgements %d were left out", all, rested)
	}
}

// spelledOut is a state whose history is written in the one way that all have.
func spelledOut(s State) State {
	all := s.well.all()
	s.well.same, s.well.values = 0, &all
	return s
}

// How old the samples behind an alert of a group are is known from pages as it is from answers,
// and nothing is asked for what a page knows.
func TestTheNewestSamplesOfGroupsAreReadFromPages(t *testing.T) {
	const pages, length = 3, 20
	const value, newest = "load > 0.9", "max by (%s) (timestamp(load))"
	times := fmt.Sprintf(newest, targetLabels)
	f := &foreseen{start: start, length: length, rows: map[string][]promql.Row{}, pages: map[string]*promql.Page{},
		broken: func(time.Time) bool { return false }}
	for k := range 4 {
		load := promql.Row{Labels: labels.FromStrings("target", fmt.Sprint("app", k)), Values: make([]float64, pages*length)}
		at := promql.Row{Labels: load.Labels, Values: make([]float64, pages*length)}
		for i := range load.Values {
			load.Values[i], at.Values[i] = promql.None, float64(start.Add(time.Duration(i)*every).UnixMilli())/1000
			if i%(7+k) > 1 {
				load.Values[i] = 1
			}
			switch {
			case i%length > 10+k:
				at.Values[i] -= float64(200 * k) // more and more of them are too old
			case i%13 == k:
				at.Values[i] = promql.None
			}
		}
		f.rows[value] = append(f.rows[value], load)
		f.rows[times] = append(f.rows[times], at)
	}
	now, verdicts := start, map[Verdict]int{}
	var managers [2]*Manager
	for i := range managers {
		o := Options{Remote: f.ask, Now: func() time.Time { return now }, Interval: every,
			Target: func(l labels.Labels) (string, bool) { return l.Get("target"), true }}
		if i == 0 {
			o.Pages = func(source, expr string, at time.Time) (*promql.Page, *promql.Condition) {
				if expr != times {
					return nil, nil
				}
				return f.page(source, expr, at)
			}
			o.Remote = func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
				if expr == times {
					t.Errorf("%s is asked for", expr)
				}
				return f.ask(ctx, expr, at)
			}
		}
		m, err := NewManager(o)
		if err == nil {
			_, err = m.Update(Config{Groups: []Group{{Name: "g", File: "g.yaml", Source: Prometheus, Interval: every,
				Rules: []Rule{{Alert: "High", Expr: value}}}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		managers[i] = m
	}
	for i := range pages * length {
		now = start.Add(time.Duration(i) * every)
		var seen [2][]Alert
		for k, m := range managers {
			m.EvalGroups(t.Context(), now)
			seen[k] = m.Alerts()
		}
		if !reflect.DeepEqual(seen[0], seen[1]) {
			t.Fatalf("step %d: with pages\n%+v\nwithout\n%+v", i, seen[0], seen[1])
		}
		for _, a := range seen[0] {
			verdicts[a.Verdict]++
		}
	}
	if verdicts[Breach] == 0 || verdicts[Stale] == 0 {
		t.Errorf("not all was seen: %v", verdicts)
	}
}

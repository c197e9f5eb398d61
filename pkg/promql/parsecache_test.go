package promql

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/storage"
)

// everyNode has each kind of node, and each field that the engine writes.
var everyNode = []string{
	`x{a="b", c=~"d|e"} offset 5m`,
	`x @ start()`,
	`sum by (z, a) (rate(x[5m])) > bool 2`,
	`topk(3, x)`,
	`count_values without (b, a) ("v", x)`,
	`x / on (b, a) group_left (z, y) y`,
	`-(x + 1) * 2`,
	`max_over_time(rate(x[1m])[5m:30s] offset 1m)`,
	`max_over_time(x[5m:] @ end())`,
	`label_replace(x, "to", "$1", "from", "(.*)")`,
	`time() - 3`,
	`absent(x{a="b"})`,
	`histogram_quantile(.9, sum by (le) (rate(x[5m])))`,
}

func TestAKeptTreeIsCopiedWhole(t *testing.T) {
	for _, expr := range everyNode {
		tree := parsed(t, expr)
		c, ok := copyTree(tree)
		if !ok || !reflect.DeepEqual(tree, c) {
			t.Errorf("%s: the copy is %s, known %t", expr, c, ok)
		}
		seen := map[parser.Node]bool{}
		each(tree, func(n parser.Node) { seen[n] = true })
		each(c, func(n parser.Node) {
			if seen[n] {
				t.Errorf("%s: the copy shares the node %s", expr, n)
			}
		})
	}
}

// The engine changes the tree that it evaluates: wraps what does not change, sorts names of
// labels, leaves series in selectors. With -race this also finds what copies share.
func TestAnExpressionIsAnsweredAlikeEachTime(t *testing.T) {
	now := start
	s := storage.New(storage.Options{Now: func() time.Time { return now }})
	for i := range 20 {
		now = start.Add(time.Duration(i) * 15 * time.Second)
		for _, a := range []string{"b", "q"} {
			for _, name := range []string{"x", "y"} {
				s.Append([]*model.Sample{{Timestamp: model.TimeFromUnixNano(now.UnixNano()), Value: model.SampleValue(i),
					Metric: model.Metric{"__name__": model.LabelValue(name), "a": model.LabelValue(a), "target": "t"}}})
			}
		}
	}
	kept := NewLocal(s, LocalOptions{})
	for _, expr := range everyNode {
		want, wrong := NewLocal(s, LocalOptions{})(t.Context(), expr, now)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for range 3 {
					got, err := kept(t.Context(), expr, now)
					if !reflect.DeepEqual(got, want) || (err == nil) != (wrong == nil) {
						t.Errorf("%s: %v %v, and at first %v %v", expr, got, err, want, wrong)
					}
				}
			})
		}
		all.Wait()
	}
}

// A question for some targets does not change what the same question finds for all.
func TestQuestionsForSomeTargets(t *testing.T) {
	now := start
	s := storage.New(storage.Options{Now: func() time.Time { return now }})
	for _, target := range []string{"a", "b", "c", `a"} or x{z="`} {
		s.Append([]*model.Sample{{Timestamp: model.TimeFromUnixNano(now.UnixNano()), Value: 1,
			Metric: model.Metric{"__name__": "x", "target": model.LabelValue(target)}}})
	}
	ask := NewLocal(s, LocalOptions{})
	for _, tc := range []struct {
		targets []string
		want    int
	}{{[]string{"a"}, 1}, {nil, 4}, {[]string{"a", "c", "none"}, 2}, {[]string{`a"} or x{z="`}, 1}, {[]string{".*"}, 0},
		{[]string{"a", "b.*"}, 1}, {make([]string, MaxTargets+1), 4}} {
		ctx := t.Context()
		if tc.targets != nil {
			ctx = ForTargets(ctx, tc.targets)
		}
		got, err := ask(ctx, "max by (target) (x)", now)
		if err != nil || len(got) != tc.want {
			t.Errorf("%q: %d targets, %v, want %d", tc.targets, len(got), err, tc.want)
		}
		if got, err = ask(ForAll(ctx), "max by (target) (x)", now); err != nil || len(got) != 4 {
			t.Errorf("%q, and then all: %d targets, %v, want 4", tc.targets, len(got), err)
		}
	}
}

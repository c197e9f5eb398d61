package history

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	promstorage "github.com/prometheus/prometheus/storage"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/storage"
)

// Source is where the past is read from.
type Source struct {
	Name  string
	Query promql.QueryFunc
	Range promql.RangeFunc
	// Raw gives the samples themselves, for expressions that need them beside what
	// rules of this run have recorded.
	Raw promstorage.Queryable
	// Begin and End are what it is known to hold; zero: unknown.
	Begin, End time.Time
	Close      func() error

	rows rowsFunc // nil: Range is asked
}

// Extent says what the source holds, as far as that is known, in parentheses.
func (s *Source) Extent() string {
	if s.Begin.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (it holds %s to %s)", s.Begin.Format(time.RFC3339), s.End.Format(time.RFC3339))
}

// From makes a source of samples.
func From(name string, raw promstorage.Queryable) *Source {
	o := promql.LocalOptions{Timeout: 2 * time.Minute}
	over := promql.NewLocalRange(raw, o)
	return &Source{Name: name, Raw: raw, Query: promql.NewLocal(raw, o), Range: over,
		Close: func() error { return nil }, rows: ownRows(raw, over)}
}

// Past is a source together with what rules record while it is lived through again.
type Past struct {
	Local, Remote promql.QueryFunc
	// Pages are the answers of both that are known ahead.
	Pages  rules.PageFunc
	Append func([]*model.Sample)
	// Wait waits for what is being read ahead; the source can be closed then.
	Wait func()
}

// Relive prepares a source to be asked from begin until until by the given groups.
func (s *Source) Relive(groups []rules.Group, keep time.Duration, until time.Time) Past {
	ahead := NewAhead(s.Query, s.Range, until)
	if s.rows != nil {
		ahead = newAhead(s.Query, s.rows, until)
		ahead.wide = true
	}
	p := Past{Local: ahead.Query, Remote: ahead.Query, Append: func([]*model.Sample) {}, Wait: ahead.Wait}
	p.Pages = func(_, expr string, at time.Time) (*promql.Page, *promql.Condition) { return ahead.Page(expr, at) }
	recorded := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Record != "" && g.Source == rules.Local {
				recorded[r.Record] = true
			}
		}
	}
	if len(recorded) == 0 {
		return p
	}
	var now atomic.Int64 // of the last recorded sample, in milliseconds
	store := storage.New(storage.Options{Now: func() time.Time { return time.UnixMilli(now.Load()) }, Retention: keep})
	own := promql.NewLocal(store, promql.LocalOptions{})
	both := promql.NewLocal(merged{store, s.Raw}, promql.LocalOptions{Timeout: 2 * time.Minute})
	var mu sync.Mutex
	kinds := map[string]reads{}
	kind := func(expr string) reads {
		mu.Lock()
		defer mu.Unlock()
		k, known := kinds[expr]
		if !known {
			k = readsOf(expr, recorded)
			kinds[expr] = k
		}
		return k
	}
	p.Local = func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
		switch kind(expr) {
		case onlyRecorded:
			return own(ctx, expr, at)
		case mixed:
			return both(ctx, expr, at)
		}
		return ahead.Query(ctx, expr, at)
	}
	p.Pages = func(source, expr string, at time.Time) (*promql.Page, *promql.Condition) {
		if source == rules.Local && kind(expr) != onlyMeasured {
			return nil, nil // what is recorded is not known ahead
		}
		return ahead.Page(expr, at)
	}
	p.Append = func(samples []*model.Sample) {
		for _, x := range samples {
			now.Store(max(now.Load(), int64(x.Timestamp)))
		}
		store.Append(samples)
	}
	return p
}

// reads says which samples an expression reads.
type reads int

const (
	onlyMeasured reads = iota
	onlyRecorded
	mixed
)

func readsOf(expr string, recorded map[string]bool) reads {
	names, unnamed := promql.Metrics(expr)
	own, others := unnamed, unnamed
	for _, n := range names {
		own, others = own || recorded[n], others || !recorded[n]
	}
	switch {
	case own && others:
		return mixed
	case own:
		return onlyRecorded
	}
	return onlyMeasured
}

// merged reads several places as one.
type merged []promstorage.Queryable

func (m merged) Querier(mint, maxt int64) (promstorage.Querier, error) {
	var all []promstorage.Querier
	for _, q := range m {
		x, err := q.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return promstorage.NewMergeQuerier(all, nil, promstorage.ChainedSeriesMerge), nil
}

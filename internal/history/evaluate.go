package history

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"
	promstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/kahansum"

	"watchdog.io/watchdog/pkg/promql"
)

// rowsFunc evaluates an expression at every step from start to end, both included.
type rowsFunc func(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]row, error)

// rowsFrom asks a RangeFunc.
func rowsFrom(over promql.RangeFunc) rowsFunc {
	return func(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]row, error) {
		lines, err := over(ctx, expr, start, end, step)
		if err != nil {
			return nil, err
		}
		g := gridOf(start, end, step)
		return rowsOf(lines, g.start, g.step, g.n), nil
	}
}

// ownRows evaluates the usual expressions over samples by itself, row by row, and leaves the
// others to the engine, which goes through a range step by step.
func ownRows(raw promstorage.Queryable, engine promql.RangeFunc) rowsFunc {
	others := rowsFrom(engine)
	return func(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]row, error) {
		rows, err := evaluateRows(ctx, raw, expr, gridOf(start, end, step))
		if err != nil {
			return others(ctx, expr, start, end, step) // also to give the error in the engine's words
		}
		return rows, nil
	}
}

// errOther marks what is left to the engine: it is none of the usual, or it is an error.
var errOther = errors.New("left to the engine")

func evaluateRows(ctx context.Context, raw promstorage.Queryable, expr string, g grid) ([]row, error) {
	tree, err := promql.NewParser().ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	return evaluateTree(ctx, raw, tree, g)
}

// evaluateTree is evaluateRows for what is parsed already. It does not change the tree.
func evaluateTree(ctx context.Context, raw promstorage.Queryable, tree parser.Expr, g grid) ([]row, error) {
	e := &rowEvaluator{ctx: ctx, raw: raw, grid: g}
	v, err := e.eval(tree)
	if err != nil {
		return nil, err
	}
	if v.rows == nil && v.scalar {
		return nil, errOther
	}
	sortRows(v.rows)
	return v.rows, nil
}

// vector is what a part of an expression gives: rows, or the same number at each step.
type vector struct {
	rows   []row
	scalar bool
	number float64
}

type rowEvaluator struct {
	grid
	ctx context.Context
	raw promstorage.Queryable
}

func (e *rowEvaluator) eval(tree parser.Expr) (vector, error) {
	if err := e.ctx.Err(); err != nil {
		return vector{}, err
	}
	switch x := tree.(type) {
	case *parser.ParenExpr:
		return e.eval(x.Expr)
	case *parser.NumberLiteral:
		return vector{scalar: true, number: x.Val}, nil
	case *parser.UnaryExpr:
		return e.negative(x)
	case *parser.VectorSelector:
		return e.selected(x, false)
	case *parser.Call:
		return e.call(x)
	case *parser.AggregateExpr:
		return e.aggregate(x)
	case *parser.BinaryExpr:
		return e.binary(x)
	}
	return vector{}, errOther
}

func (e *rowEvaluator) negative(x *parser.UnaryExpr) (vector, error) {
	v, err := e.eval(x.Expr)
	if err != nil || x.Op != parser.SUB {
		return v, err
	}
	v.number = -v.number
	for i := range v.rows {
		v.rows[i].Labels = unnamed(v.rows[i].Labels)
		for k, f := range v.rows[i].Values {
			if !isNone(f) {
				v.rows[i].Values[k] = -f
			}
		}
	}
	return distinct(v)
}

func unnamed(l labels.Labels) labels.Labels { return l.DropReserved(schema.IsMetadataLabel) }

// distinct leaves rows of the same labels to the engine: at one moment they are an error, at
// different ones the same series.
func distinct(v vector) (vector, error) {
	seen := make(map[uint64]struct{}, len(v.rows))
	for i := range v.rows {
		h := v.rows[i].Labels.Hash()
		if _, twice := seen[h]; twice {
			return vector{}, errOther
		}
		seen[h] = struct{}{}
	}
	return v, nil
}

func plain(x *parser.VectorSelector) bool {
	return x.Timestamp == nil && x.StartOrEnd == 0 && !x.Anchored && !x.Smoothed && x.OriginalOffsetExpr == nil
}

// selected gives the newest values of a selector, or the times of their samples.
func (e *rowEvaluator) selected(x *parser.VectorSelector, times bool) (vector, error) {
	if !plain(x) {
		return vector{}, errOther
	}
	offset, lookback := x.OriginalOffset.Milliseconds(), promql.Lookback.Milliseconds()
	all, err := e.samples(x.LabelMatchers, offset, lookback)
	if err != nil {
		return vector{}, err
	}
	v := vector{}
	for i := range all {
		r := row{Labels: all[i].labels, Values: make([]float64, e.n)}
		if times {
			r.Labels = unnamed(r.Labels)
		}
		if instant(&all[i], e.grid, offset, lookback, times, r.Values) {
			v.rows = append(v.rows, r)
		}
	}
	return distinct(v)
}

func (e *rowEvaluator) call(x *parser.Call) (vector, error) {
	if len(x.Args) != 1 {
		return vector{}, errOther
	}
	if s, ok := x.Args[0].(*parser.VectorSelector); ok && x.Func.Name == "timestamp" {
		return e.selected(s, true)
	}
	m, ok := x.Args[0].(*parser.MatrixSelector)
	if !ok || m.RangeExpr != nil || m.Range <= 0 {
		return vector{}, errOther
	}
	s, ok := m.VectorSelector.(*parser.VectorSelector)
	if !ok || !plain(s) {
		return vector{}, errOther
	}
	name := x.Func.Name
	fn := ofValues[name]
	if fn == nil && name != "rate" && name != "increase" && name != "delta" {
		return vector{}, errOther
	}
	offset, length := s.OriginalOffset.Milliseconds(), m.Range.Milliseconds()
	all, err := e.samples(s.LabelMatchers, offset, length)
	if err != nil {
		return vector{}, err
	}
	v := vector{}
	for _, from := range all {
		from = from.withoutMarks()
		r := row{Labels: from.labels, Values: make([]float64, e.n)}
		if name != "last_over_time" {
			r.Labels = unnamed(r.Labels)
		}
		any := false
		if fn != nil {
			any = overTime(&from, e.grid, offset, length, fn, r.Values)
		} else {
			any = change(&from, e.grid, offset, length, name != "delta", name == "rate", m.Range.Seconds(), r.Values)
		}
		if any {
			v.rows = append(v.rows, r)
		}
	}
	return distinct(v)
}

// samples reads what a selector needs: from before the first step on, up to the last one.
func (e *rowEvaluator) samples(matchers []*labels.Matcher, offset, before int64) ([]series, error) {
	mint, maxt := e.start-offset-before+1, e.start+int64(e.n-1)*e.step-offset
	q, err := e.raw.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	set := q.Select(e.ctx, false, &promstorage.SelectHints{Start: mint, End: maxt, Step: e.step}, matchers...)
	var all []series
	var it chunkenc.Iterator
	usual := 0 // most series have as many samples as the one before
	for set.Next() {
		x := set.At()
		it = x.Iterator(it)
		s := series{labels: x.Labels(), at: make([]int64, 0, usual), values: make([]float64, 0, usual)}
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if kind != chunkenc.ValFloat {
				return nil, errOther
			}
			at, v := it.At()
			if at < mint || at > maxt {
				continue
			}
			s.at, s.values = append(s.at, at), append(s.values, v)
			s.stale = s.stale || isNone(v)
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		usual = len(s.at)
		all = append(all, s)
	}
	if err := set.Err(); err != nil {
		return nil, err
	}
	if len(set.Warnings()) > 0 {
		return nil, errOther
	}
	return all, nil
}

// aggregate adds up rows by their labels, step by step in the order of the rows.
func (e *rowEvaluator) aggregate(x *parser.AggregateExpr) (vector, error) {
	if x.Param != nil {
		return vector{}, errOther
	}
	add, known := aggregations[x.Op]
	if !known {
		return vector{}, errOther
	}
	in, err := e.eval(x.Expr)
	if err != nil {
		return vector{}, err
	}
	if in.scalar {
		return vector{}, errOther
	}
	grouping := slices.Sorted(slices.Values(x.Grouping))
	groups, index := [][]int{}, map[uint64]int{}
	out := vector{}
	var buf []byte
	for i := range in.rows {
		var key uint64
		l := in.rows[i].Labels
		switch {
		case x.Without:
			key, buf = l.HashWithoutLabels(buf, grouping...)
		case len(grouping) > 0:
			key, buf = l.HashForLabels(buf, grouping...)
		}
		g, known := index[key]
		if !known {
			g = len(groups)
			index[key] = g
			groups = append(groups, nil)
			out.rows = append(out.rows, row{Labels: groupLabels(l, x.Without, grouping)})
		}
		groups[g] = append(groups[g], i)
	}
	one := make([]float64, 1)
	for g, members := range groups {
		if len(members) == 1 {
			// The input is nobody else's.
			values := in.rows[members[0]].Values
			for k, v := range values {
				if !isNone(v) {
					one[0] = v
					values[k] = add(one)
				}
			}
			out.rows[g].Values = values
			continue
		}
		values := make([]float64, e.n)
		gather := make([]float64, 0, len(members))
		for k := range values {
			gather = gather[:0]
			for _, i := range members {
				if v := in.rows[i].Values[k]; !isNone(v) {
					gather = append(gather, v)
				}
			}
			if values[k] = none; len(gather) > 0 {
				values[k] = add(gather)
			}
		}
		out.rows[g].Values = values
	}
	return distinct(out)
}

func groupLabels(l labels.Labels, without bool, grouping []string) labels.Labels {
	b := labels.NewBuilder(l)
	switch {
	case without:
		b.Del(grouping...)
		b.Del(model.MetricNameLabel)
	case len(grouping) > 0:
		b.Keep(grouping...)
	default:
		return labels.EmptyLabels()
	}
	return b.Labels()
}

var aggregations = map[parser.ItemType]func(values []float64) float64{
	parser.SUM: func(values []float64) float64 {
		v, c := values[0], 0.
		for _, f := range values[1:] {
			v, c = kahansum.Inc(f, v, c)
		}
		return v + c
	},
	parser.AVG: average,
	parser.MIN: func(values []float64) float64 {
		v := values[0]
		for _, f := range values[1:] {
			if v > f || math.IsNaN(v) {
				v = f
			}
		}
		return v
	},
	parser.MAX: func(values []float64) float64 {
		v := values[0]
		for _, f := range values[1:] {
			if v < f || math.IsNaN(v) {
				v = f
			}
		}
		return v
	},
	parser.COUNT: func(values []float64) float64 { return float64(len(values)) },
	parser.GROUP: func([]float64) float64 { return 1 },
}

func (e *rowEvaluator) binary(x *parser.BinaryExpr) (vector, error) {
	l, err := e.eval(x.LHS)
	if err != nil {
		return vector{}, err
	}
	r, err := e.eval(x.RHS)
	if err != nil {
		return vector{}, err
	}
	do, keeps := arithmetic[x.Op], comparisons[x.Op]
	switch {
	case x.Op == parser.LOR && !l.scalar && !r.scalar:
		return e.either(x.VectorMatching, l, r)
	case do == nil && keeps == nil:
		return vector{}, errOther
	case l.scalar && r.scalar && do != nil:
		return vector{scalar: true, number: do(l.number, r.number)}, nil
	case l.scalar && r.scalar:
		return vector{scalar: true, number: oneOr0(keeps(l.number, r.number))}, nil
	case l.scalar || r.scalar:
		return withNumber(x, l, r, do, keeps)
	}
	return e.matched(x, l, r, do, keeps)
}

var arithmetic = map[parser.ItemType]func(a, b float64) float64{
	parser.ADD: func(a, b float64) float64 { return a + b },
	parser.SUB: func(a, b float64) float64 { return a - b },
	parser.MUL: func(a, b float64) float64 { return a * b },
	parser.DIV: func(a, b float64) float64 { return a / b },
	parser.POW: math.Pow,
	parser.MOD: math.Mod,
}

var comparisons = map[parser.ItemType]func(a, b float64) bool{
	parser.EQLC: func(a, b float64) bool { return a == b },
	parser.NEQ:  func(a, b float64) bool { return a != b },
	parser.GTR:  func(a, b float64) bool { return a > b },
	parser.LSS:  func(a, b float64) bool { return a < b },
	parser.GTE:  func(a, b float64) bool { return a >= b },
	parser.LTE:  func(a, b float64) bool { return a <= b },
}

func oneOr0(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// withNumber is an operation of rows and a number, on either side.
func withNumber(x *parser.BinaryExpr, l, r vector, do func(a, b float64) float64,
	keeps func(a, b float64) bool) (vector, error) {
	v, number, swap := l, r.number, false
	if l.scalar {
		v, number, swap = r, l.number, true
	}
	for i := range v.rows {
		if do != nil || x.ReturnBool {
			v.rows[i].Labels = unnamed(v.rows[i].Labels)
		}
		for k, f := range v.rows[i].Values {
			if isNone(f) {
				continue
			}
			a, b := f, number
			if swap {
				a, b = b, a
			}
			switch {
			case do != nil:
				f = do(a, b)
			case x.ReturnBool:
				f = oneOr0(keeps(a, b))
			case !keeps(a, b):
				f = none
			}
			v.rows[i].Values[k] = f
		}
	}
	return distinct(v)
}

// matched is an operation of rows that are alike in the labels asked for, one of each side.
func (e *rowEvaluator) matched(x *parser.BinaryExpr, l, r vector, do func(a, b float64) float64,
	keeps func(a, b float64) bool) (vector, error) {
	m := x.VectorMatching
	if m.Card != parser.CardOneToOne || m.FillValues.LHS != nil || m.FillValues.RHS != nil || len(m.Include) > 0 {
		return vector{}, errOther
	}
	key := keyOf(m)
	right := make(map[string]int, len(r.rows))
	for i := range r.rows {
		k := key(r.rows[i].Labels)
		if _, twice := right[k]; twice {
			return vector{}, errOther // an error if both are there at one moment
		}
		right[k] = i
	}
	out, taken := vector{}, map[int]bool{}
	for i := range l.rows {
		j, ok := right[key(l.rows[i].Labels)]
		switch {
		case !ok:
			continue
		case taken[j]:
			return vector{}, errOther
		}
		taken[j] = true
		a, b := l.rows[i].Values, r.rows[j].Values
		o := row{Labels: matchedLabels(l.rows[i].Labels, m, do != nil || x.ReturnBool), Values: make([]float64, e.n)}
		for k := range o.Values {
			o.Values[k] = none
			if isNone(a[k]) || isNone(b[k]) {
				continue
			}
			switch {
			case do != nil:
				o.Values[k] = do(a[k], b[k])
			case x.ReturnBool:
				o.Values[k] = oneOr0(keeps(a[k], b[k]))
			case keeps(a[k], b[k]):
				o.Values[k] = a[k]
			}
		}
		out.rows = append(out.rows, o)
	}
	return distinct(out)
}

// either has all of l, and of r what l has nothing alike to at that moment.
func (e *rowEvaluator) either(m *parser.VectorMatching, l, r vector) (vector, error) {
	key := keyOf(m)
	alike, same := map[string][]int{}, map[uint64]int{}
	for i := range l.rows {
		k := key(l.rows[i].Labels)
		alike[k] = append(alike[k], i)
		same[l.rows[i].Labels.Hash()] = i
	}
	given := make([][]float64, len(l.rows)) // l as it is, as rows of the same labels are filled
	for i := range l.rows {
		given[i] = slices.Clone(l.rows[i].Values)
	}
	for j := range r.rows {
		o := r.rows[j]
		i, merges := same[o.Labels.Hash()]
		into := o.Values
		if merges {
			into = l.rows[i].Values
		}
		for k, v := range o.Values {
			taken := slices.ContainsFunc(alike[key(o.Labels)], func(i int) bool { return !isNone(given[i][k]) })
			switch {
			case !taken:
				into[k] = v
			case !merges:
				into[k] = none
			}
		}
		if !merges && slices.ContainsFunc(into, func(v float64) bool { return !isNone(v) }) {
			l.rows = append(l.rows, o)
		}
	}
	return distinct(l)
}

// keyOf tells by labels which rows of two sides are alike.
func keyOf(m *parser.VectorMatching) func(labels.Labels) string {
	names := slices.Clone(m.MatchingLabels)
	if !m.On {
		names = append(names, model.MetricNameLabel)
	}
	slices.Sort(names)
	var buf []byte
	return func(l labels.Labels) string {
		if m.On {
			buf = l.BytesWithLabels(buf, names...)
		} else {
			buf = l.BytesWithoutLabels(buf, names...)
		}
		return string(buf)
	}
}

func matchedLabels(l labels.Labels, m *parser.VectorMatching, unname bool) labels.Labels {
	b := labels.NewBuilder(l)
	if unname {
		schema.Metadata{}.SetToLabels(b)
	}
	if m.On {
		b.Keep(m.MatchingLabels...)
	} else {
		b.Del(m.MatchingLabels...)
	}
	return b.Labels()
}

package promql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	promstorage "github.com/prometheus/prometheus/storage"

	"watchdog.io/watchdog/pkg/storage"
)

// Line is a series over a range: its points at the steps at which it has any.
type Line struct {
	Labels labels.Labels
	Points []Dot
}

// Dot is one point of a Line.
type Dot struct {
	At        int64 // milliseconds since 1970
	Value     float64
	Histogram bool // Value is then meaningless
}

// RangeFunc evaluates an expression at every step from start to end, both
// included: at each step it gives what a QueryFunc would at that moment.
type RangeFunc func(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]Line, error)

// ErrTooLarge marks an answer that does not fit: a shorter range may.
var ErrTooLarge = errTooLarge

// NewLocalRange is NewLocal for ranges.
func NewLocalRange(q promstorage.Queryable, opts LocalOptions) RangeFunc {
	engine := NewEngine(opts)
	return func(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]Line, error) {
		query, err := engine.NewRangeQuery(ctx, q, nil, expr, start, end, step)
		return execute(ctx, expr, query, err, func(matrix promql.Matrix) []Line {
			lines := make([]Line, len(matrix))
			for i, s := range matrix {
				l := newLine(s.Metric, len(s.Floats), len(s.Histograms))
				for _, p := range s.Floats {
					l.Points = append(l.Points, Dot{At: p.T, Value: p.F})
				}
				for _, p := range s.Histograms {
					l.Points = append(l.Points, Dot{At: p.T, Histogram: true})
				}
				lines[i] = l.inOrder()
			}
			return lines
		})
	}
}

func newLine(l labels.Labels, floats, histograms int) Line {
	return Line{Labels: l, Points: make([]Dot, 0, floats+histograms)}
}

// inOrder sorts the points: numbers and histograms come apart.
func (l Line) inOrder() Line {
	byTime := func(a, b Dot) int { return cmp.Compare(a.At, b.At) }
	if !slices.IsSortedFunc(l.Points, byTime) {
		slices.SortFunc(l.Points, byTime)
	}
	return l
}

// NewRemoteRange is NewRemote for ranges. An answer beyond 8 MiB is ErrTooLarge.
func NewRemoteRange(opts RemoteOptions) (RangeFunc, error) {
	r, err := dial(opts)
	if err != nil {
		return nil, err
	}
	return r.queryRange, nil
}

func (r *remote) queryRange(ctx context.Context, expr string, start, end time.Time,
	step time.Duration) ([]Line, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	value, warnings, _, err := r.api.QueryRange(ctx, expr, promv1.Range{Start: start, End: end, Step: step},
		promv1.WithTimeout(r.timeout))
	if err != nil {
		if errors.Is(err, errTooLarge) {
			return nil, fmt.Errorf("ask prometheus for %s: %w", Brief(expr), err)
		}
		return nil, remoteError(expr, err)
	}
	if partial := slices.ContainsFunc(warnings,
		func(w string) bool { return !strings.HasPrefix(w, "PromQL ") }); partial {
		return nil, fmt.Errorf("ask prometheus for %s: %w: %.200s", Brief(expr), ErrPartial,
			strings.Join(warnings, "; "))
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, WrongType(expr, typeName(value))
	}
	lines := make([]Line, 0, len(matrix))
	for _, s := range matrix {
		l := newLine(storage.LabelsOf(s.Metric), len(s.Values), len(s.Histograms))
		for _, p := range s.Values {
			l.Points = append(l.Points, Dot{At: int64(p.Timestamp), Value: float64(p.Value)})
		}
		for _, p := range s.Histograms {
			l.Points = append(l.Points, Dot{At: int64(p.Timestamp), Histogram: true})
		}
		lines = append(lines, l.inOrder())
	}
	if len(warnings) > 0 {
		return lines, fmt.Errorf("ask prometheus for %s: %w: %w: %.200s", Brief(expr), ErrPartial, errAnnotated,
			strings.Join(warnings, "; "))
	}
	return lines, nil
}

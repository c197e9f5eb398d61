package history

import (
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
)

// none is what a row holds where its series has no value.
var none = promql.None

func isNone(v float64) bool { return promql.IsNone(v) }

type row = promql.Row

// rowsOf turns series over time into rows of n steps. What lies between the steps is left out.
func rowsOf(lines []promql.Line, start, step int64, n int) []row {
	rows := make([]row, 0, len(lines))
	for _, l := range lines {
		r := row{Labels: l.Labels, Values: make([]float64, n)}
		for k := range r.Values {
			r.Values[k] = none
		}
		for _, d := range l.Points {
			k := (d.At - start) / step
			if d.At < start || k >= int64(n) {
				continue
			}
			r.Values[k] = d.Value
			if d.Histogram {
				if r.Histograms == nil {
					r.Histograms = make([]bool, n)
				}
				r.Values[k], r.Histograms[k] = 0, true
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// series are the samples of one series.
type series struct {
	labels labels.Labels
	at     []int64 // milliseconds since 1970
	values []float64
	stale  bool // some values mark the end of the series
}

// withoutMarks leaves out the marks of the series' end.
func (s series) withoutMarks() series {
	if !s.stale {
		return s
	}
	out := series{labels: s.labels, at: make([]int64, 0, len(s.at)), values: make([]float64, 0, len(s.values))}
	for k, v := range s.values {
		if !isNone(v) {
			out.at, out.values = append(out.at, s.at[k]), append(out.values, v)
		}
	}
	return out
}

// grid are the steps of a range.
type grid struct {
	start, step int64
	n           int
}

func gridOf(start, end time.Time, step time.Duration) grid {
	from, by := start.UnixMilli(), step.Milliseconds()
	return grid{start: from, step: by, n: int((end.UnixMilli()-from)/by) + 1}
}

func sortRows(rows []row) {
	slices.SortStableFunc(rows, func(a, b row) int { return labels.Compare(a.Labels, b.Labels) })
}

package promql

import (
	"math"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"watchdog.io/watchdog/pkg/storage"
)

// None is what a Row holds where its series has no value: the mark of a stale series, which
// PromQL never gives as a value.
var None = math.Float64frombits(value.StaleNaN)

// IsNone reports whether v is None.
func IsNone(v float64) bool { return value.IsStaleNaN(v) }

// Page holds the answers to one question at equal steps, which are known before they are
// asked for. Nobody changes it.
type Page struct {
	Start time.Time
	Step  time.Duration
	Steps int
	Rows  []Row

	once    sync.Once
	bounds  []Bounds
	targets map[string][]int
}

// Row is a series at the steps of a page.
type Row struct {
	Labels labels.Labels
	Values []float64
	// Histograms says at which steps the series is a histogram; nil: at none.
	Histograms []bool
}

// Bounds sum up the values of a row.
type Bounds struct {
	// Min and Max are those of the numbers; +Inf and -Inf if there are none.
	Min, Max float64
	// MinAge and MaxAge are those of values that are times, in seconds before their step.
	MinAge, MaxAge float64
	// Whole: there is a value at each step. Numbers: each value is a finite number.
	Whole, Numbers bool
}

// Index returns which step of the page a moment is; false: none.
func (p *Page) Index(at time.Time) (int, bool) {
	d := at.Sub(p.Start)
	if d < 0 || d%p.Step != 0 || int(d/p.Step) >= p.Steps {
		return 0, false
	}
	return int(d / p.Step), true
}

// At is the moment of a step.
func (p *Page) At(k int) time.Time { return p.Start.Add(time.Duration(k) * p.Step) }

// Points is the answer at one step.
func (p *Page) Points(k int) []Point {
	there := 0
	for i := range p.Rows {
		if !IsNone(p.Rows[i].Values[k]) {
			there++
		}
	}
	if there == 0 {
		return nil
	}
	points := make([]Point, 0, there)
	for i := range p.Rows {
		points = p.Rows[i].appendTo(points, k)
	}
	return points
}

// PointsWhere is the part of the answer at one step whose values pass.
func (p *Page) PointsWhere(k int, holds func(v float64) bool) (points []Point) {
	for i := range p.Rows {
		r := &p.Rows[i]
		if v := r.Values[k]; !IsNone(v) && (r.Histograms == nil || !r.Histograms[k]) && holds(v) {
			points = append(points, Point{Labels: r.Labels, Value: v})
		}
	}
	return points
}

// appendTo adds the row's point at a step, if there is one.
func (r *Row) appendTo(points []Point, k int) []Point {
	if IsNone(r.Values[k]) {
		return points
	}
	return append(points, Point{Labels: r.Labels, Value: r.Values[k],
		Histogram: r.Histograms != nil && r.Histograms[k]})
}

// PointsOf is the part of the answer at one step that has one of the given values of label
// target, or has no such label.
func (p *Page) PointsOf(targets []string, k int) (points []Point) {
	p.index()
	for _, t := range targets {
		for _, i := range p.targets[t] {
			points = p.Rows[i].appendTo(points, k)
		}
	}
	for _, i := range p.targets[""] {
		points = p.Rows[i].appendTo(points, k)
	}
	return points
}

// Of returns the rows of a target; of "" those without the label target.
func (p *Page) Of(target string) []int {
	p.index()
	return p.targets[target]
}

// Bounds of a row.
func (p *Page) Bounds(i int) Bounds {
	p.index()
	return p.bounds[i]
}

func (p *Page) index() {
	p.once.Do(func() {
		p.bounds, p.targets = make([]Bounds, len(p.Rows)), make(map[string][]int, len(p.Rows))
		for i := range p.Rows {
			p.bounds[i] = p.sum(&p.Rows[i])
			t := p.Rows[i].Labels.Get(storage.TargetLabel)
			p.targets[t] = append(p.targets[t], i)
		}
	})
}

func (p *Page) sum(r *Row) Bounds {
	b := Bounds{Min: math.Inf(1), Max: math.Inf(-1), MinAge: math.Inf(1), MaxAge: math.Inf(-1), Whole: true,
		Numbers: r.Histograms == nil}
	at, step := p.Start.UnixNano(), p.Step.Nanoseconds()
	for k, v := range r.Values {
		switch {
		case v >= -math.MaxFloat64 && v <= math.MaxFloat64:
		case IsNone(v):
			b.Whole = false
			continue
		default:
			b.Numbers = false
		}
		if v < b.Min {
			b.Min = v
		}
		if v > b.Max {
			b.Max = v
		}
		age := float64((at+int64(k)*step)/1e6)/1000 - v
		if age < b.MinAge {
			b.MinAge = age
		}
		if age > b.MaxAge {
			b.MaxAge = age
		}
	}
	return b
}

package rules

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// reading is what one question gave for one target.
type reading struct {
	value     float64
	n         int
	histogram bool
	labels    labels.Labels
}

// observe asks the rule's questions at one moment for the targets in index and
// returns their observations by position. The error, if any, is already in the
// observations; it is returned for the caller's own account.
func (c *compiled) observe(ctx context.Context, ask promql.QueryFunc, index map[string]int,
	at time.Time) ([]Observation, error) {
	a := &answers{index: index}
	err := a.gather(ctx, ask, c, at)
	out := make([]Observation, len(index))
	for i := range out {
		if err != nil {
			out[i] = Observation{Unknown: Error, Reason: err.Error()}
			continue
		}
		out[i] = a.judge(c, i, at)
	}
	return out, err
}

// answers collects what the questions of one rule gave.
type answers struct {
	index   map[string]int
	value   []reading
	strange int // series of the value without the label target
	floors  [][]reading
	fresh   [][]float64 // seconds since the epoch by position; NaN: none
	global  []float64   // the same for series without the label target
	silent  []bool      // by selector: what writes it is up; nil: nobody wanted to know
}

func (a *answers) gather(ctx context.Context, ask promql.QueryFunc, c *compiled, at time.Time) error {
	points, err := ask(ctx, c.value, at)
	if err != nil {
		return err
	}
	a.value, a.strange = a.sort(points)
	for _, expr := range c.floors {
		if points, err = ask(ctx, expr, at); err != nil {
			return err
		}
		floor, _ := a.sort(points)
		a.floors = append(a.floors, floor)
	}
	for _, expr := range c.fresh {
		if points, err = ask(ctx, expr, at); err != nil {
			return err
		}
		a.addFresh(points)
	}
	return a.silence(ctx, ask, c, at)
}

// sort files points by target.
func (a *answers) sort(points []promql.Point) (sorted []reading, strange int) {
	sorted = make([]reading, len(a.index))
	for _, p := range points {
		i, ok := a.index[p.Labels.Get(storage.TargetLabel)]
		if !ok {
			if !p.Labels.Has(storage.TargetLabel) {
				strange++
			}
			continue
		}
		r := &sorted[i]
		r.n++
		r.value, r.labels, r.histogram = p.Value, p.Labels, r.histogram || p.Histogram
	}
	return sorted, strange
}

func (a *answers) addFresh(points []promql.Point) {
	fresh, global := make([]float64, len(a.index)), math.NaN()
	for i := range fresh {
		fresh[i] = math.NaN()
	}
	for _, p := range points {
		target := p.Labels.Get(storage.TargetLabel)
		if target == "" {
			global = p.Value
		} else if i, ok := a.index[target]; ok {
			fresh[i] = p.Value
		}
	}
	a.fresh, a.global = append(a.fresh, fresh), append(a.global, global)
}

// judge turns the readings of one target into its observation.
func (a *answers) judge(c *compiled, i int, at time.Time) Observation {
	v := a.value[i]
	if v.n == 0 {
		return Observation{Unknown: NoData, Reason: a.absent(c), Silent: a.quiet(i)}
	}
	if reason := v.fault(); reason != "" {
		return Observation{Unknown: Error, Reason: c.What + ": " + reason}
	}
	for k, f := range c.Floor {
		if a.floors[k][i].n == 0 {
			return Observation{Unknown: NoData, Reason: f.Text +
				": no series for this target, so the floor cannot be checked"}
		}
	}
	if o, bad := a.stale(c, i, at); bad {
		return o
	}
	for k, f := range c.Floor {
		if o, bad := f.below(a.floors[k][i]); bad {
			return o
		}
	}
	return Observation{Value: v.value, Labels: v.labels, Newest: a.newest(i)}
}

func (a *answers) absent(c *compiled) string {
	if a.strange > 0 {
		return fmt.Sprintf("%s: the expression gives %d series without the label target, and none for this target",
			c.What, a.strange)
	}
	return c.What + ": no series for this target"
}

// fault says why a reading cannot be judged; empty: it can.
func (r reading) fault() string {
	switch {
	case r.n > 1:
		return fmt.Sprintf("%d series for this target, expected one", r.n)
	case r.histogram:
		return "the value is a histogram, expected a number"
	case !finite(r.value):
		return fmt.Sprintf("the value is %v", r.value)
	}
	return ""
}

// stale checks the age of every selector's newest sample (INV-09).
func (a *answers) stale(c *compiled, i int, at time.Time) (Observation, bool) {
	for k := range a.fresh {
		newest := a.fresh[k][i]
		if math.IsNaN(newest) {
			newest = a.global[k]
		}
		age := math.Inf(1)
		if !math.IsNaN(newest) {
			age = float64(at.UnixMilli())/1000 - newest
		}
		switch {
		case math.IsInf(age, 0):
			return Observation{Unknown: Stale, Reason: c.What +
				": a part of the expression got no sample within the lookback: " + promql.Brief(c.fresh[k])}, true
		case age > c.Staleness.Seconds():
			return Observation{Unknown: Stale, Reason: fmt.Sprintf("%s: newest sample is %s old, limit %s", c.What,
				ago(age), short(c.Staleness))}, true
		case age < -storage.FutureLimit.Seconds():
			return Observation{Unknown: Error, Reason: fmt.Sprintf("%s: newest sample is %s ahead of the clock", c.What,
				ago(-age))}, true
		}
	}
	return Observation{}, false
}

// ago prints seconds; what a broken answer may hold is cut off at some years.
func ago(sec float64) string {
	return short(time.Duration(min(sec, 1e9) * float64(time.Second)))
}

// below compares a floor's reading with its minimum.
func (f FloorSpec) below(r reading) (Observation, bool) {
	unit := ""
	if f.Unit != "" {
		unit = " " + f.Unit
	}
	switch {
	case r.fault() != "":
		return Observation{Unknown: Error, Reason: f.Text + ": " + r.fault()}, true
	case r.value < f.Min:
		return Observation{Unknown: NoData, Quiet: true, Reason: fmt.Sprintf("%s%s is below the floor of %s%s",
			number(r.value), unit, number(f.Min), unit)}, true
	}
	return Observation{}, false
}

package rules

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// PageFunc returns the answers to a question of a source over many moments, if they are known
// ahead; nil: they are not. With a condition they are those to what it compares.
type PageFunc func(source, expr string, at time.Time) (*promql.Page, *promql.Condition)

// plan judges a threshold over the moments of a page. Where all answers are known, most of
// what Eval does need not be done: an alert that is inactive stays so until the first value
// that is in breach, missing or stale, and nobody asks for it meanwhile. Such a cell rests
// until then; settle does what Eval would have done if somebody asks all the same.
//
// It is guarded by Manager.mu.
type plan struct {
	start         time.Time
	step          time.Duration
	value         paged
	floors, fresh []paged
	steps         int // how many moments the pages know
	next          int // the moment to be judged next
	busy          []*cell
	index         map[string]int // of those in busy
	targets       []string
	until         int // the first moment at which a resting cell is to be judged
	well          int // resting cells with data
}

// paged is a page, and which of its steps is the plan's first.
type paged struct {
	*promql.Page
	first int
}

// resting is a cell that need not be judged.
type resting struct {
	how   rest
	from  int // the first moment that its state does not know of
	until int // the moment at which it is to be judged again
}

type rest uint8

const (
	awake rest = iota
	well       // there are values, none of them in breach
	void       // there never were any values
	zero       // no value of its own: that all others are seen is its value
)

// shortest is how many moments a rest is worth it.
const shortest = 4

func (p *plan) at(k int) time.Time { return p.start.Add(time.Duration(k) * p.step) }

// round is what the rules of one evaluation share.
type round struct {
	mu    sync.Mutex
	found news
	fault error
	// busy are the targets with an alert that is judged; all: that cannot be told.
	busy map[string]struct{}
	all  bool
}

// judgePaged evaluates a rule at a moment that a page knows, and reports whether there was one.
func (m *Manager) judgePaged(ctx context.Context, ask promql.QueryFunc, c *compiled, at time.Time, r *round) bool {
	if m.o.Pages == nil {
		return false
	}
	m.mu.Lock()
	p := m.planFor(c, at)
	if p == nil {
		m.mu.Unlock()
		r.all = true
		return false
	}
	blind := m.source(c.Source).breaker.open
	r.all = r.all ||
		c.Unseen && slices.ContainsFunc(m.thresholds, func(o *compiled) bool { return o.Source != c.Source })
	if p.until <= p.next || c.Unseen && (blind || r.all || len(r.busy) > 0) {
		p.wake(c, func(x *cell) bool {
			_, busy := r.busy[x.target]
			return x.rest.until <= p.next || c.Unseen && (blind || r.all || busy)
		})
	}
	m.mu.Unlock()
	if len(p.busy) == 0 {
		c.series.evaluations.Inc()
	} else {
		seen, err := c.ask(ctx, p.ask(c, ask), p.index, at)
		if err != nil {
			m.mu.Lock()
			c.unplan()
			m.mu.Unlock()
			r.all = true
			return false // all of the rule's targets are told
		}
		r.mu.Lock()
		m.apply(c, p.index, seen, at, r.found)
		r.mu.Unlock()
	}
	m.unanswered(c, nil, at)
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.plan != p {
		return true // replaced while it was judged
	}
	p.next++
	for _, x := range p.busy {
		if !c.Unseen {
			r.busy[x.target] = struct{}{}
		}
	}
	if len(p.busy) > 0 {
		p.layDown(c, func(x *cell) bool {
			_, busy := r.busy[x.target]
			return !c.Unseen || !blind && !r.all && !busy
		})
	}
	return true
}

// planFor returns the rule's plan for a moment; nil: there is none.
func (m *Manager) planFor(c *compiled, at time.Time) *plan {
	old := c.plan
	if old != nil && old.next < old.steps && at.Equal(old.at(old.next)) {
		return old
	}
	p := m.newPlan(c, at)
	joins := old != nil && at.Equal(old.at(old.next)) && p != nil && p.step == old.step
	for _, x := range c.cells {
		x.settle()
	}
	if c.plan = p; p == nil {
		for _, x := range c.cells {
			x.rest = resting{}
		}
		return nil
	}
	for _, x := range c.cells {
		how := x.rest.how
		x.rest = resting{}
		if !joins || how == awake || !p.lay(x, how) {
			p.busy = append(p.busy, x)
		}
	}
	p.reckon(c)
	return p
}

// newPlan finds the pages of a rule's questions.
func (m *Manager) newPlan(c *compiled, at time.Time) *plan {
	p := &plan{start: at, steps: math.MaxInt}
	page := func(expr string) (paged, bool) {
		x, condition := m.o.Pages(c.Source, expr, at)
		if x == nil || condition != nil || len(x.Of("")) > 0 {
			return paged{}, false
		}
		first, ok := x.Index(at)
		p.steps = min(p.steps, x.Steps-first)
		if p.step == 0 {
			p.step = x.Step
		}
		return paged{x, first}, ok && x.Step == p.step
	}
	all := func(exprs []string) (pages []paged, ok bool) {
		for _, e := range exprs {
			x, ok := page(e)
			if !ok {
				return nil, false
			}
			pages = append(pages, x)
		}
		return pages, true
	}
	var ok bool
	if p.value, ok = page(c.value); !ok {
		return nil
	}
	if p.floors, ok = all(c.floors); !ok {
		return nil
	}
	if p.fresh, ok = all(c.fresh); !ok {
		return nil
	}
	return p
}

// unplan lets all cells of the rule be judged at each moment again.
func (c *compiled) unplan() {
	if c.plan == nil {
		return
	}
	for _, x := range c.cells {
		x.settle()
		x.rest = resting{}
	}
	c.plan = nil
}

// unplan ends the plans of all thresholds: their states change by something else than Eval.
func (m *Manager) unplan() {
	for _, c := range m.thresholds {
		c.unplan()
	}
}

// ask answers about the cells that are judged from the pages.
func (p *plan) ask(c *compiled, others promql.QueryFunc) promql.QueryFunc {
	pages := map[string]paged{c.value: p.value}
	for k, expr := range c.floors {
		pages[expr] = p.floors[k]
	}
	for k, expr := range c.fresh {
		pages[expr] = p.fresh[k]
	}
	return func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
		if x, ok := pages[expr]; ok {
			return x.PointsOf(p.targets, x.first+p.next), nil
		}
		return others(ctx, expr, at)
	}
}

// wake lets those of the resting cells be judged again of which it is true.
func (p *plan) wake(c *compiled, due func(*cell) bool) {
	for _, x := range c.cells {
		if x.rest.how != awake && due(x) {
			x.settle()
			x.rest = resting{}
			p.busy = append(p.busy, x)
		}
	}
	p.reckon(c)
}

// layDown lets those that can rest do so.
func (p *plan) layDown(c *compiled, may func(*cell) bool) {
	left := p.busy[:0]
	for _, x := range p.busy {
		if how := x.restful(); how == awake || !may(x) || !p.lay(x, how) {
			left = append(left, x)
		}
	}
	if len(left) == len(p.busy) {
		return
	}
	clear(p.busy[len(left):])
	p.busy = left
	p.reckon(c)
}

// lay lets a cell rest from the next moment on, if that is for long enough.
func (p *plan) lay(x *cell, how rest) bool {
	until := p.restsUntil(x, how)
	if until < p.steps && until < p.next+shortest || until <= p.next {
		return false
	}
	x.rest = resting{how, p.next, until}
	return true
}

// reckon sums up the cells after some were woken or laid down.
func (p *plan) reckon(c *compiled) {
	p.until, p.well = p.steps, 0
	for _, x := range c.cells {
		if x.rest.how != awake {
			p.until = min(p.until, x.rest.until)
		}
		if x.rest.how == well || x.rest.how == zero {
			p.well++
		}
	}
	p.index = make(map[string]int, len(p.busy))
	p.targets = p.targets[:0]
	for i, x := range p.busy {
		p.index[x.target] = i
		p.targets = append(p.targets, x.target)
	}
}

// restful is how a cell can rest by what it is now; awake: it cannot.
func (c *cell) restful() rest {
	s := c.state()
	switch {
	case s.State != Inactive || s.Quiet || s.Silent || c.lost:
		return awake
	case s.Verdict == OK && (c.seen || c.rule.Aside):
		if c.rule.Unseen && len(c.rule.plan.value.Of(c.target)) == 0 {
			return zero
		}
		return well
	case s.Verdict == NoData && c.rule.Source == Local && !c.seen && s.LastDataAt.IsZero() &&
		s.Unknown == (&answers{}).absent(c.rule):
		return void
	}
	return awake
}

// restsUntil returns the first moment from the next one on at which the cell is to be judged.
func (p *plan) restsUntil(x *cell, how rest) int {
	values := p.value.Of(x.target)
	if how != well {
		if len(values) > 0 {
			return p.next
		}
		return p.steps
	}
	if len(values) != 1 {
		return p.next
	}
	c := x.rule
	low, high := math.Inf(-1), c.Bound
	if !c.Above {
		low, high = c.Bound, math.Inf(1)
	}
	until := p.within(p.value, values[0], low, high, p.steps)
	for k, f := range p.floors {
		rows := f.Of(x.target)
		if len(rows) != 1 {
			return p.next
		}
		until = p.within(f, rows[0], c.Floor[k].Min, math.Inf(1), until)
	}
	for _, f := range p.fresh {
		rows := f.Of(x.target)
		if len(rows) != 1 {
			return p.next
		}
		until = p.recent(f, rows[0], -storage.FutureLimit.Seconds(), c.Staleness.Seconds(), until)
	}
	return until
}

// within returns the first moment from the next one on at which a row has no number in bounds;
// at most limit.
func (p *plan) within(page paged, i int, low, high float64, limit int) int {
	if b := page.Bounds(i); b.Whole && b.Numbers && b.Min >= low && b.Max <= high {
		return limit
	}
	r := &page.Rows[i]
	if r.Histograms != nil {
		return p.next
	}
	for k := p.next; k < limit; k++ {
		if v := r.Values[page.first+k]; !finite(v) || v < low || v > high {
			return k
		}
	}
	return limit
}

// recent is within for the age of the times in a row.
func (p *plan) recent(page paged, i int, least, most float64, limit int) int {
	if b := page.Bounds(i); b.Whole && b.Numbers && b.MinAge >= least && b.MaxAge <= most {
		return limit
	}
	r := &page.Rows[i]
	if r.Histograms != nil {
		return p.next
	}
	for k := p.next; k < limit; k++ {
		v := r.Values[page.first+k]
		if age := float64(p.at(k).UnixMilli())/1000 - v; !finite(v) || age < least || age > most {
			return k
		}
	}
	return limit
}

// settle brings the state of a resting cell to where Eval would have brought it by now.
func (c *cell) settle() {
	p := c.rule.plan
	if c.rest.how == awake || c.rest.from >= p.next {
		return
	}
	from, last := c.rest.from, p.next-1
	c.rest.from = p.next
	s := c.state()
	s.EvaluatedAt = p.at(last)
	defer func() { c.set(s) }()
	switch c.rest.how {
	case void:
		return
	case zero:
		s.Value, s.LastDataAt = 0, s.EvaluatedAt
		s.well.addAll(from, last, p.at, p.step, func(int) float64 { return 0 })
		return
	}
	row := &p.value.Rows[p.value.Of(c.target)[0]]
	value := func(k int) float64 { return row.Values[p.value.first+k] }
	s.Value, s.Labels, s.LastDataAt = value(last), row.Labels, s.EvaluatedAt
	s.well.addAll(from, last, p.at, p.step, value)
	if c.rule.Source == Prometheus {
		for k := from; k <= last; k++ {
			c.saw(Observation{Newest: p.newest(c.target, k)}, p.at(k))
		}
	}
}

// newest is answers.newest of a resting cell.
func (p *plan) newest(target string, k int) time.Time {
	oldest := math.NaN()
	for _, f := range p.fresh {
		at := f.Rows[f.Of(target)[0]].Values[f.first+k]
		if math.IsNaN(oldest) || at < oldest {
			oldest = at
		}
	}
	if math.IsNaN(oldest) {
		return time.Time{}
	}
	return time.UnixMilli(int64(oldest * 1000))
}

// addAll adds the values of all moments from one to another.
func (h *history) addAll(from, last int, at func(int) time.Time, step time.Duration, value func(int) float64) {
	if step <= 0 {
		return
	}
	k := from
	for ; k <= last && h.tooSoon(at(k)); k++ {
	}
	if k > last {
		return
	}
	stride := int((historyStep + step - 1) / step)
	const size = historySize
	if kept := (last-k)/stride + 1; kept > size {
		// Only as many as there is room for are left in the end.
		k += (kept - size) * stride
		n := int(h.n) + kept - size
		if n >= 2*size {
			n = size + (n-size)%size
		}
		h.n, h.same, h.values = uint8(n), float32(value(k)), nil
	}
	for mine := false; k <= last; k += stride {
		mine = h.put(value(k), at(k), mine)
	}
}

package rules

import (
	"time"

	"watchdog.io/watchdog/pkg/promql"
)

// silence is a time in which a rule's expression is known to give nothing.
type silence struct {
	from, until time.Time // both included
	step        time.Duration
}

func (s silence) covers(at time.Time) bool {
	return s.step > 0 && !at.Before(s.from) && !at.After(s.until) && at.Sub(s.from)%s.step == 0
}

// nothing reports whether an alerting rule has no alerts, and its expression gives none at a
// moment: to evaluate it would change nothing.
func (m *Manager) nothing(r *ruleState, s *groupState, at time.Time) bool {
	if m.o.Pages == nil || r.Alert == "" {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.err != nil || len(r.active) > 0 || len(r.seeded) > 0 || len(r.ended) > 0 || len(r.alerts) > 0 {
		return false
	}
	asked := at.Add(-s.QueryOffset)
	if !r.silence.covers(asked) {
		r.silence = m.silentFrom(s.Source, r.expr, asked)
	}
	if !r.silence.covers(asked) {
		return false
	}
	r.at = at
	return true
}

// silentFrom returns for how long from a moment on an expression is known to give nothing.
func (m *Manager) silentFrom(source, expr string, at time.Time) silence {
	page, condition := m.o.Pages(source, expr, at)
	if page == nil {
		return silence{}
	}
	k, ok := page.Index(at)
	if !ok {
		return silence{}
	}
	first := page.Steps
	for i := range page.Rows {
		first = firstAnswer(page, i, condition, k, first)
	}
	if first <= k {
		return silence{}
	}
	return silence{at, page.At(first - 1), page.Step}
}

// firstAnswer returns the first step, from one on, at which a row has a value that the
// condition leaves; at most limit.
func firstAnswer(p *promql.Page, i int, c *promql.Condition, from, limit int) int {
	if b := p.Bounds(i); c != nil && c.Ordered && !c.Holds(b.Min) && !c.Holds(b.Max) {
		return limit
	}
	r := &p.Rows[i]
	for k := from; k < limit; k++ {
		if !promql.IsNone(r.Values[k]) && (c == nil || c.Holds(r.Values[k]) &&
			(r.Histograms == nil || !r.Histograms[k])) {
			return k
		}
	}
	return limit
}

// page is the page that knows the answer to a question, and at which step; nil: none does.
func (q *question) page(expr string) (*promql.Page, int) {
	if q.pages == nil {
		return nil, 0
	}
	at := q.at.Add(-q.offset)
	page, condition := q.pages(q.source, expr, at)
	if page == nil || condition != nil {
		return nil, 0
	}
	k, ok := page.Index(at)
	if !ok {
		return nil, 0
	}
	return page, k
}

// pageTargets are the targets of the rows of a page.
type pageTargets struct {
	page    *promql.Page
	targets []string
}

// targetsOn says of which target each row of a page is. All moments of a page have the same
// rows, so it finds that out once. Pages are for who evaluates by one goroutine.
func (r *ruleState) targetsOn(page *promql.Page, q *question, expr string) []string {
	known := r.seenOf[expr]
	if known.page == page {
		return known.targets
	}
	known = pageTargets{page, make([]string, len(page.Rows))}
	for i := range page.Rows {
		known.targets[i], _ = r.targetOf(q, page.Rows[i].Labels)
	}
	if r.seenOf == nil {
		r.seenOf = map[string]pageTargets{}
	}
	r.seenOf[expr] = known
	return known.targets
}

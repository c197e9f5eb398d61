package history

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/promql"
)

// window is how many steps are read at once; up to widest of them where samples are at hand
// and the page holds no more than so many values.
const (
	window     = 240
	widest     = 6 * window
	mostValues = 1 << 16
)

// Ahead answers a question that comes again in equal steps out of ranges that it
// reads ahead, the next one while the present one is used up. The answers are those
// of the moments asked for; every other question is passed on.
//
// It is safe for concurrent use.
type Ahead struct {
	ask   promql.QueryFunc
	over  rowsFunc
	until time.Time // nothing is read beyond
	wide  bool      // pages may be larger than window

	mu    sync.Mutex
	asked map[turn]*question
	// conditions are the expressions that end in a comparison; nil: it does not.
	conditions map[string]*promql.Condition
	under      sync.WaitGroup // readings under way
	places     chan struct{}  // for readings in the background
}

// NewAhead reads ahead over a source up to the given moment.
func NewAhead(ask promql.QueryFunc, over promql.RangeFunc, until time.Time) *Ahead {
	return newAhead(ask, rowsFrom(over), until)
}

func newAhead(ask promql.QueryFunc, over rowsFunc, until time.Time) *Ahead {
	return &Ahead{ask: ask, over: over, until: until, asked: map[turn]*question{},
		conditions: map[string]*promql.Condition{}, places: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// turn tells the same question of several groups of rules apart: each group has a
// share of its interval as its own moment.
type turn struct {
	expr string
	nano int
}

// question is one expression and how it has been asked for so far.
type question struct {
	mu         sync.Mutex
	last       time.Time
	answer     []promql.Point // to last, if it was asked for alone
	err        error
	step       time.Duration // between the last two
	never      bool          // it cannot be read ahead
	alone      bool          // answer is there
	steps      int           // of a window; fewer where answers are too large
	page, next *page
}

// page is the answer to one question over a range.
type page struct {
	promql.Page
	err  error
	done chan struct{}
}

// Query is a promql.QueryFunc. Expressions that compare the same with different
// numbers share one reading.
func (a *Ahead) Query(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
	if promql.IsLimited(ctx) {
		return a.ask(ctx, expr, at)
	}
	a.mu.Lock()
	c, known := a.conditions[expr]
	if !known {
		if x, ok := promql.ConditionOf(expr); ok {
			c = &x
		}
		a.conditions[expr] = c
	}
	a.mu.Unlock()
	if c == nil {
		return a.query(ctx, expr, at)
	}
	if p := a.known(c.Value, at); p != nil {
		k, _ := p.Index(at)
		return p.PointsWhere(k, c.Holds), nil
	}
	points, err := a.query(ctx, c.Value, at)
	var left []promql.Point
	for _, p := range points {
		if !p.Histogram && c.Holds(p.Value) {
			left = append(left, p)
		}
	}
	return left, err
}

// Page returns the answers to a question that are known at a moment; nil: none are. Of an
// expression that ends in a comparison they are those to what is compared, and c is the
// comparison.
func (a *Ahead) Page(expr string, at time.Time) (p *promql.Page, c *promql.Condition) {
	a.mu.Lock()
	if c = a.conditions[expr]; c != nil {
		expr = c.Value
	}
	a.mu.Unlock()
	return a.known(expr, at), c
}

// known is Page for an expression as it is.
func (a *Ahead) known(expr string, at time.Time) *promql.Page {
	a.mu.Lock()
	q := a.asked[turn{expr, at.Nanosecond()}]
	a.mu.Unlock()
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.page.ready(at) {
		if !q.next.ready(at) {
			return nil
		}
		q.page = q.next
		q.next = a.read(context.Background(), expr, a.widened(q), q.page.end(), q.page.Step)
	}
	q.last, q.step, q.alone, q.answer = at, q.page.Step, false, nil
	return &q.page.Page
}

func (a *Ahead) query(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
	a.mu.Lock()
	k := turn{expr, at.Nanosecond()}
	q := a.asked[k]
	if q == nil {
		q = &question{steps: window, never: fixed(expr)}
		a.asked[k] = q
	}
	a.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.never {
		return a.ask(ctx, expr, at)
	}
	if points, ok := q.page.at(at); ok {
		q.last, q.step, q.alone, q.answer = at, q.page.Step, false, nil
		return points, nil
	}
	if q.next.covers(at) {
		q.page, q.next = q.next, nil
		return a.turn(ctx, expr, q, at)
	}
	if at.Equal(q.last) && q.alone {
		return q.answer, q.err
	}
	step := at.Sub(q.last)
	equal := !q.last.IsZero() && step > 0 && step == q.step && step%time.Millisecond == 0
	q.last, q.step = at, step
	if !equal {
		return a.one(ctx, expr, q, at)
	}
	q.page, q.next = a.read(ctx, expr, q.steps, at, step), nil
	return a.turn(ctx, expr, q, at)
}

// turn answers from a page that was just begun, and begins the one after it. When
// it could not be read the moment is asked for alone.
func (a *Ahead) turn(ctx context.Context, expr string, q *question, at time.Time) ([]promql.Point, error) {
	q.last, q.alone, q.answer = at, false, nil
	if points, ok := q.page.at(at); ok {
		q.next = a.read(ctx, expr, a.widened(q), q.page.end(), q.page.Step)
		return points, nil
	}
	if q.page != nil {
		q.shrink(q.page.err)
		q.page = nil
	}
	return a.one(ctx, expr, q, at)
}

// widened is how many steps the page after the present one has.
func (a *Ahead) widened(q *question) int {
	if a.wide {
		q.steps = max(window, min(widest, mostValues/max(1, len(q.page.Rows))))
	}
	return q.steps
}

// one asks for a moment alone.
func (a *Ahead) one(ctx context.Context, expr string, q *question, at time.Time) ([]promql.Point, error) {
	q.answer, q.err = a.ask(ctx, expr, at)
	q.alone = true
	return q.answer, q.err
}

// fixed: the expression means the ends of the range that it is asked over.
func fixed(expr string) bool { return strings.Contains(expr, "@") }

// read begins to read a page; nil if there is nothing to read.
func (a *Ahead) read(ctx context.Context, expr string, steps int, start time.Time, step time.Duration) *page {
	end := start.Add(time.Duration(steps-1) * step)
	if end.After(a.until) {
		end = start.Add(a.until.Sub(start) / step * step)
	}
	if !end.After(start) {
		return nil
	}
	p := &page{done: make(chan struct{})}
	p.Start, p.Step, p.Steps = start, step, int(end.Sub(start)/step)+1
	ctx = context.WithoutCancel(ctx) // it outlives the evaluation that it is begun in
	a.under.Go(func() {
		defer close(p.done)
		a.places <- struct{}{}
		defer func() { <-a.places }()
		p.Rows, p.err = a.over(ctx, expr, start, end, step)
	})
	return p
}

// Wait waits for what is being read: a source must not be closed before.
func (a *Ahead) Wait() { a.under.Wait() }

func (p *page) covers(at time.Time) bool {
	if p == nil {
		return false
	}
	_, ok := p.Index(at)
	return ok
}

// ready waits until the page is read; false if it does not cover the moment or could not be read.
func (p *page) ready(at time.Time) bool {
	if !p.covers(at) {
		return false
	}
	<-p.done
	return p.err == nil
}

// at returns the page's answer at a moment; false if it has none.
func (p *page) at(at time.Time) ([]promql.Point, bool) {
	if !p.ready(at) {
		return nil, false
	}
	k, _ := p.Index(at)
	return p.Points(k), true
}

// end is the first moment after the page.
func (p *page) end() time.Time { return p.At(p.Steps) }

// shrink halves the window of a question whose answers are too large.
func (q *question) shrink(err error) {
	switch {
	case err == nil:
	case errors.Is(err, promql.ErrTooLarge) && q.steps > 4:
		q.steps /= 2
	default:
		q.never = true // each moment by itself gives each its own error
	}
}

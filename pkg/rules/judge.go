package rules

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/promql"
)

// Options say what a Judge asks and how often.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Local answers rules with source Local, Remote those with source
	// Prometheus. A rule whose source is nil does not load.
	Local  promql.QueryFunc
	Remote promql.QueryFunc
	// Interval between two rounds over all rules. Default 15s.
	Interval time.Duration
	// Now is the clock of the judgements. Default time.Now. Run waits by the real
	// clock: who sets another one calls Round.
	Now func() time.Time
}

// Judge evaluates rules and holds the alerts. It is safe for concurrent use.
type Judge struct {
	log      *slog.Logger
	metrics  *metrics
	interval time.Duration
	now      func() time.Time
	sources  []*source

	mu       sync.Mutex
	rules    []*compiled
	byTarget map[string][]*cell
	restored map[key]Alert
}

// key names an alert.
type key struct{ rule, target string }

// NewJudge returns a Judge without rules.
func NewJudge(opts Options) *Judge {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Interval <= 0 {
		opts.Interval = 15 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	j := &Judge{
		log:      opts.Logger,
		metrics:  newMetrics(opts.Registerer),
		interval: opts.Interval,
		now:      opts.Now,
		byTarget: map[string][]*cell{},
		restored: map[key]Alert{},
	}
	for name, ask := range map[string]promql.QueryFunc{Local: opts.Local, Prometheus: opts.Remote} {
		if ask != nil {
			j.sources = append(j.sources, newSource(name, ask))
		}
	}
	slices.SortFunc(j.sources, func(a, b *source) int { return cmp.Compare(a.name, b.name) })
	return j
}

// Set replaces the rules. On an error nothing changes. An alert of an unchanged
// rule goes on as it was. An alert that fires goes on firing even if its rule
// changed, until the new rule clears it: a reload is not a recovery. Firing
// alerts whose rule or target is gone are returned: their end is to be recorded
// as "rule removed", not as recovery.
func (j *Judge) Set(rules []Rule) (removed []Alert, err error) {
	swap, err := j.Prepare(rules)
	if err != nil {
		return nil, err
	}
	return swap(), nil
}

// Prepare does all of Set that can fail; swap does the rest.
func (j *Judge) Prepare(rules []Rule) (swap func() (removed []Alert), err error) {
	next, err := j.compileAll(rules)
	if err != nil {
		return nil, err
	}
	return func() (removed []Alert) {
		j.mu.Lock()
		removed = j.carryOver(next)
		j.index(next)
		j.mu.Unlock()
		for _, s := range j.sources {
			poke(s.kick)
		}
		return removed
	}, nil
}

func (j *Judge) compileAll(rules []Rule) ([]*compiled, error) {
	var errs []error
	names := map[string]bool{}
	next := make([]*compiled, 0, len(rules))
	for _, r := range rules {
		c, err := compile(r)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case names[c.Name]:
			errs = append(errs, fmt.Errorf("rule %q: a second rule has this name", c.Name))
		case j.source(c.Source) == nil:
			errs = append(errs, fmt.Errorf("rule %q: source %s is not configured", c.Name, c.Source))
		}
		names[c.Name] = true
		next = append(next, c)
	}
	return next, errors.Join(errs...)
}

// carryOver takes the states of the present rules into the next ones.
func (j *Judge) carryOver(next []*compiled) (removed []Alert) {
	names := map[string]*compiled{}
	for _, c := range next {
		names[c.Name] = c
	}
	for _, old := range j.rules {
		c := names[old.Name]
		if c == nil {
			j.metrics.forget(old.Name)
		}
		for _, cell := range old.cells {
			if !c.inherit(cell) && cell.state.State == Firing {
				removed = append(removed, cell.alert())
			}
		}
	}
	return removed
}

// inherit takes over the state of a cell of the rule's former self. It reports
// false when the rule no longer judges that target.
func (c *compiled) inherit(old *cell) bool {
	if c == nil {
		return false
	}
	i, ok := c.index[old.target]
	if !ok {
		return false
	}
	switch {
	case judgesAlike(c.Rule, old.rule.Rule):
		c.cells[i].state, c.cells[i].seen, c.cells[i].lost, c.cells[i].samples = old.state, old.seen, old.lost, old.samples
	case old.state.State == Firing:
		c.cells[i].state = awaiting(old.state, "the rule changed and was not evaluated yet")
	}
	return true
}

// awaiting is a firing state of which nothing is known now.
func awaiting(s State, why string) State {
	return State{
		State: Firing, Verdict: NoData, Unknown: why, Value: s.Value, Labels: s.Labels,
		ActiveAt: s.ActiveAt, FiredAt: s.FiredAt, EvaluatedAt: s.EvaluatedAt, Held: s.Held,
	}
}

// index makes next the rules in force.
func (j *Judge) index(next []*compiled) {
	j.rules = next
	j.byTarget = map[string][]*cell{}
	for _, c := range next {
		c.series = j.metrics.of(c.Rule)
		c.series.pending.Set(0)
		c.series.firing.Set(0)
		for _, cell := range c.cells {
			j.byTarget[cell.target] = append(j.byTarget[cell.target], cell)
			c.series.move(Inactive, cell.state.State)
			j.seed(cell)
		}
	}
	for _, s := range j.sources {
		s.due = map[*cell]time.Time{}
	}
}

// Restore brings back alerts that fired before a restart: they fire again at
// once, with verdict NO_DATA until there is data, so that a restart is neither a
// recovery nor a new alert. It may be called before or after the first Set;
// alerts of unknown rules wait for a Set that brings them.
func (j *Judge) Restore(alerts []Alert) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range alerts {
		if a.State == Firing {
			j.restored[key{a.Rule, a.Target}] = a
		}
	}
	for _, c := range j.rules {
		for _, cell := range c.cells {
			j.seed(cell)
		}
	}
}

func (j *Judge) seed(c *cell) {
	a, ok := j.restored[key{c.rule.Name, c.target}]
	if !ok {
		return
	}
	delete(j.restored, key{c.rule.Name, c.target})
	if c.state.State == Firing {
		return
	}
	c.rule.series.move(c.state.State, Firing)
	c.restored = j.now()
	c.state = awaiting(State{Value: a.Value, ActiveAt: a.ActiveAt, FiredAt: a.FiredAt}, "it fired before the restart and was not evaluated yet")
}

// Alerts returns every alert but those aside, inactive ones too, by target and rule.
func (j *Judge) Alerts() []Alert {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []Alert
	for _, cells := range j.byTarget {
		for _, c := range cells {
			if !c.rule.Aside {
				all = append(all, c.alert())
			}
		}
	}
	slices.SortFunc(all, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

// AlertsOf returns the alerts of one target, inactive ones too, in the order of
// the rules.
func (j *Judge) AlertsOf(target string) []Alert {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]Alert, 0, len(j.byTarget[target]))
	for _, c := range j.byTarget[target] {
		all = append(all, c.alert())
	}
	return all
}

// Unhealthy returns the targets of which some rule fires on what it sees, in no order.
func (j *Judge) Unhealthy() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var targets []string
	for t, cells := range j.byTarget {
		if slices.ContainsFunc(cells, func(c *cell) bool { return c.state.State == Firing && c.state.Verdict == Breach && !c.rule.Aside }) {
			targets = append(targets, t)
		}
	}
	return targets
}

// Blind reports whether what the rules say cannot be trusted now, and why: more
// than half of what a source showed in the round before is gone without the
// targets themselves being in trouble, or the remote source failed. It opens
// within one round and closes after two good ones.
func (j *Judge) Blind() (bool, string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.sources {
		if s.breaker.open {
			return true, s.name + ": " + s.breaker.reason
		}
	}
	return false, ""
}

func (j *Judge) source(name string) *source {
	for _, s := range j.sources {
		if s.name == name {
			return s
		}
	}
	return nil
}

// of returns the rules in force of one source.
func (j *Judge) of(source string) []*compiled {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.rules), func(c *compiled) bool { return c.Source != source })
}

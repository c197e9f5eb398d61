package probes

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// Options are a Scheduler's.
type Options struct {
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are kept to itself
	// Workers is how many checks run at once as a rule (default 32). While checks
	// have to wait because all of those are busy, more are added, up to
	// MaxInFlight (default 1,024). Checks that were slow the last time leave Workers of
	// them free: thousands of targets that hang delay no other.
	Workers     int
	MaxInFlight int
	// Append takes the samples of one check. It is called from many goroutines
	// at once and must be quick; per probe, calls come in the order of the checks.
	Append func([]*model.Sample)
	// Fits returns the samples of one check for which there is room. An error says that the
	// application has used too many names. nil: all fit. It must be quick.
	Fits func([]*model.Sample) ([]*model.Sample, error)
	// Now is the time that checks and samples bear; default time.Now.
	Now func() time.Time
}

// patience is how long a check waits for one of the Workers before one more is added.
const patience = 100 * time.Millisecond

// slowAfter is how long a check takes that counts as slow the next time.
const slowAfter = time.Second

// Scheduler gives every entry its turn once per interval. One goroutine keeps
// the turns; workers check, and end when there is nothing left to check.
type Scheduler struct {
	opts    Options
	metrics *metrics
	wake    chan struct{}
	outside chan struct{} // bounds the checks of LookNow

	mu      sync.Mutex
	slots   map[key]*slot
	targets map[string][]*slot // by target, each in the order of the names
	turns   turns
	ready   []*slot // whose turn has come, first come first served
	slow    []*slot // the same, of those whose last check was slow
	working int
	slowly  int // of these, on slow ones
	running bool
	due     uint64 // turns that came
	skipped uint64 // of these, those skipped because this process did not keep up
	workers sync.WaitGroup
}

// NewScheduler returns a Scheduler without entries. It fails if the metrics
// cannot be registered.
func NewScheduler(opts Options) (*Scheduler, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Append == nil {
		opts.Append = func([]*model.Sample) {}
	}
	if opts.Fits == nil {
		opts.Fits = func(all []*model.Sample) ([]*model.Sample, error) { return all, nil }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Workers <= 0 {
		opts.Workers = 32
	}
	if opts.MaxInFlight <= 0 {
		opts.MaxInFlight = 1024
	}
	opts.MaxInFlight = max(opts.MaxInFlight, opts.Workers)
	metrics, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register probe metrics: %w", err)
	}
	return &Scheduler{
		opts:    opts,
		metrics: metrics,
		wake:    make(chan struct{}, 1),
		outside: make(chan struct{}, opts.Workers),
		slots:   map[key]*slot{},
	}, nil
}

// Set replaces the entries. Entries that are the same as before keep their
// turn, their state and their Probe; what is gone or changed is forgotten, and
// the outcome of its running check with it. An error changes nothing.
func (s *Scheduler) Set(entries []Entry) error {
	swap, err := s.Prepare(entries)
	if err != nil {
		return err
	}
	swap()
	return nil
}

// Prepare does all of Set that can fail; swap does the rest.
func (s *Scheduler) Prepare(entries []Entry) (swap func(), err error) {
	wanted, err := check(entries)
	if err != nil {
		return nil, fmt.Errorf("set probes: %w", err)
	}
	return func() { s.swap(wanted) }, nil
}

func (s *Scheduler) swap(wanted map[key]Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, old := range s.slots {
		if entry, ok := wanted[k]; ok && entry.same(old.entry) {
			delete(wanted, k)
			continue
		}
		old.forget()
		delete(s.slots, k)
	}
	stays := func(sl *slot) bool { return s.slots[sl.entry.key()] == sl }
	s.ready = slices.DeleteFunc(s.ready, func(sl *slot) bool { return !stays(sl) })
	s.slow = slices.DeleteFunc(s.slow, func(sl *slot) bool { return !stays(sl) })
	s.turns = slices.DeleteFunc(s.turns, func(sl *slot) bool { return !stays(sl) })
	now := s.opts.Now()
	for k, entry := range wanted {
		s.slots[k] = newSlot(entry, firstTurn(entry, now))
		s.turns = append(s.turns, s.slots[k])
	}
	heap.Init(&s.turns)
	s.targets = map[string][]*slot{}
	for _, sl := range s.slots {
		s.targets[sl.entry.Target] = append(s.targets[sl.entry.Target], sl)
	}
	for _, of := range s.targets {
		slices.SortFunc(of, func(a, b *slot) int { return cmp.Compare(a.entry.Name, b.entry.Name) })
	}
	s.metrics.entries.Set(float64(len(s.slots)))
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func check(entries []Entry) (map[key]Entry, error) {
	var errs []error
	wanted := make(map[key]Entry, len(entries))
	for _, entry := range entries {
		entry = entry.withDefaults()
		if _, twice := wanted[entry.key()]; twice {
			errs = append(errs, fmt.Errorf("duplicate probe %q of target %q", entry.Name, entry.Target))
		}
		errs = append(errs, entry.validate())
		wanted[entry.key()] = entry
	}
	return wanted, errors.Join(errs...)
}

// Run checks until ctx ends, then waits for the checks in flight, which end soon
// because their context has ended. What they found is dropped. It returns nil,
// or an error at once if it runs already.
func (s *Scheduler) Run(ctx context.Context) error {
	if !s.enter() {
		return errors.New("run probes: already running")
	}
	defer s.leave()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.turn(ctx, s.opts.Now()))
	}
}

func (s *Scheduler) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false
	}
	s.running = true
	return true
}

func (s *Scheduler) leave() {
	s.workers.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, waiting := range slices.Concat(s.ready, s.slow) {
		waiting.busy = idle
	}
	s.ready, s.slow, s.running = nil, nil, false
}

// turn gives every entry whose time has come its turn and returns how long
// nothing needs to be done.
func (s *Scheduler) turn(ctx context.Context, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.turns) > 0 && !s.turns[0].next.After(now) {
		s.queue(s.turns[0])
		s.advance(s.turns[0], now)
		heap.Fix(&s.turns, 0)
	}
	s.staff(ctx, now)
	sleep := time.Hour
	if len(s.turns) > 0 {
		sleep = s.turns[0].next.Sub(now)
	}
	if first := s.first(); first != nil {
		// Past patience only a worker that ends can help, and it helps itself.
		if wait := first.due.Add(patience).Sub(now); wait > 0 {
			sleep = min(sleep, wait)
		}
	}
	return sleep
}

func (s *Scheduler) queue(sl *slot) {
	s.due++
	if sl.busy != idle {
		s.metrics.skipped.WithLabelValues(string(sl.busy)).Inc()
		if sl.busy == waitingForWorker {
			s.skipped++
		}
		return
	}
	sl.busy, sl.due = waitingForWorker, sl.next
	if sl.slow {
		s.slow = append(s.slow, sl)
	} else {
		s.ready = append(s.ready, sl)
	}
}

// advance sets the next turn, leaving out those that were slept through.
func (s *Scheduler) advance(sl *slot, now time.Time) {
	missed := now.Sub(sl.next) / sl.entry.Interval
	s.metrics.skipped.WithLabelValues("late").Add(float64(missed))
	s.due, s.skipped = s.due+uint64(missed), s.skipped+uint64(missed)
	sl.next = sl.next.Add((missed + 1) * sl.entry.Interval)
}

// staff starts workers for checks that wait: freely up to Workers, beyond that
// only for those that have waited too long.
func (s *Scheduler) staff(ctx context.Context, now time.Time) {
	for s.working < s.opts.MaxInFlight {
		waiting := s.first()
		if waiting == nil || s.working >= s.opts.Workers && now.Sub(waiting.due) < patience {
			return
		}
		s.working++
		s.metrics.inFlight.Set(float64(s.working))
		first := s.take()
		s.workers.Go(func() {
			for sl := first; sl != nil; {
				s.metrics.delay.Observe(s.opts.Now().Sub(sl.due).Seconds())
				began := time.Now()
				s.check(ctx, sl, true)
				sl = s.release(ctx, sl, time.Since(began))
			}
		})
	}
}

// first returns what is to be checked next; nil: nothing, or only slow ones that have to
// wait for another slow one.
func (s *Scheduler) first() *slot {
	switch {
	case len(s.ready) > 0:
		return s.ready[0]
	case len(s.slow) > 0 && s.slowly < max(1, s.opts.MaxInFlight-s.opts.Workers):
		return s.slow[0]
	}
	return nil
}

// take takes what first returns.
func (s *Scheduler) take() *slot {
	sl, queue := s.first(), &s.ready
	if sl == nil {
		return nil
	}
	if sl.slow {
		queue = &s.slow
		s.slowly++
	}
	(*queue)[0] = nil
	*queue = (*queue)[1:]
	sl.busy = running
	return sl
}

// release ends a check and returns what its worker checks next, if anything.
func (s *Scheduler) release(ctx context.Context, done *slot, took time.Duration) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done.slow {
		s.slowly--
	}
	done.busy, done.slow = idle, took >= slowAfter
	if ctx.Err() == nil {
		if next := s.take(); next != nil {
			return next
		}
	}
	s.working--
	s.metrics.inFlight.Set(float64(s.working))
	return nil
}

// Skipped returns how many turns of entries came since the start, and how many of them were
// skipped because this process did not keep up. That a check takes longer than its interval
// is the target's fault and does not count.
func (s *Scheduler) Skipped() (skipped, due uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.skipped, s.due
}

// Status is the last check of one entry.
type Status struct {
	Target string `json:"target"`
	Probe  string `json:"probe"`
	Kind   string `json:"kind"`
	// State is the last check's, Damped what N-of-M makes of the last ones.
	State  State             `json:"state"`
	Damped State             `json:"damped"`
	Detail string            `json:"detail"`
	Facts  map[string]string `json:"facts,omitempty"`
	Usage  []Usage           `json:"-"`
	// At is when the check began; zero: not checked yet.
	At       time.Time     `json:"at,omitzero"`
	Duration time.Duration `json:"duration,omitempty"`
}

// States returns the last state of every entry, by target and probe.
func (s *Scheduler) States() []Status { return lasts(s.all()) }

// StatesOf returns the last states of one target's entries, by probe.
func (s *Scheduler) StatesOf(target string) []Status { return lasts(s.of(target)) }

func lasts(slots []*slot) []Status {
	states := make([]Status, len(slots))
	for i, sl := range slots {
		states[i] = sl.last()
	}
	return states
}

// all returns every slot, by target and probe.
func (s *Scheduler) all() []*slot {
	s.mu.Lock()
	targets := s.targets
	s.mu.Unlock()
	var slots []*slot
	for _, t := range slices.Sorted(maps.Keys(targets)) {
		slots = append(slots, targets[t]...)
	}
	return slots
}

// unordered returns every slot, for who sorts what it makes of them.
func (s *Scheduler) unordered() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.slots))
}

// of returns the slots of a target. Set makes new lists and leaves old ones alone.
func (s *Scheduler) of(target string) []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targets[target]
}

// LookNow performs all probes of one target at once, appends their samples and
// returns what they saw. These checks are evidence of this moment: they leave
// the damped states alone, which are made of checks an interval apart. It fails
// if the target has no probes or ctx ends first.
func (s *Scheduler) LookNow(ctx context.Context, target string) ([]Status, error) {
	slots := s.of(target)
	if len(slots) == 0 {
		return nil, fmt.Errorf("probe target %q: no probes", target)
	}
	seen := make([]Status, len(slots))
	var looks sync.WaitGroup
	for i, sl := range slots {
		looks.Go(func() {
			select {
			case s.outside <- struct{}{}:
				seen[i] = s.check(ctx, sl, false)
				<-s.outside
			case <-ctx.Done():
			}
		})
	}
	looks.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("probe target %q: %w", target, err)
	}
	return seen, nil
}

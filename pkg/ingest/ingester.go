package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrClosed is returned by Accept after Close.
var ErrClosed = errors.New("the alert ingester is closed")

// Options are the edges of an ingester.
type Options struct {
	Dir        string // of the journal; made if need be
	Limits     Limits
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Changed takes the alerts whose state is another: firing, resolved, lost. It is
	// called by Run, one call at a time and outside of every lock; of an alert that
	// changed again meanwhile it gets the last state only. What changed while nothing
	// ran is not reported: read Store.Firing when starting.
	Changed func([]AlertState)
}

const (
	maxCommit   = 20_000 // alerts in one fsync, which bounds its size; at least one request
	expireEvery = 10 * time.Second
	// A journal is compacted when it is this many times larger than its content;
	// below one segment that gains nothing.
	compactFactor = 4
)

// Ingester accepts alerts durably and knows their present state.
type Ingester struct {
	o       Options
	store   *Store
	journal *journal
	metrics *metrics
	damage  []damage  // found by Open
	opened  time.Time // when Open was called

	// turn is held by the one that changes store and journal.
	turn chan struct{}

	mu      sync.Mutex
	waiting []*request
	news    map[Key]AlertState // not told yet
	poke    chan struct{}
}

// request is one call of Accept.
type request struct {
	alerts []Alert
	done   chan struct{} // closed when err is set
	err    error
}

// Open reads the journal in o.Dir, which becomes this process's own until Close. What
// is damaged is left out and reported: see Damage.
func Open(o Options) (*Ingester, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	b := NewStore(o.Limits)
	now := o.Now()
	j, found, err := openJournal(o.Dir, o.Now, func(line []byte) error { return b.restore(line, now) })
	if err != nil {
		return nil, err
	}
	i := &Ingester{o: o, store: b, journal: j, damage: found.damage, opened: now, metrics: newMetrics(o.Registerer, b),
		turn: make(chan struct{}, 1), news: map[Key]AlertState{}, poke: make(chan struct{}, 1)}
	firing, over := b.Counts()
	o.Logger.Info("journal of accepted alerts read", "dir", o.Dir, "firing", firing, "over", over)
	if found.torn > 0 {
		i.metrics.torn.Add(float64(found.torn))
		o.Logger.Warn("removed an incomplete record at the end of the journal of accepted alerts, left by a crash; none "+
			"of it had been acknowledged", "dir", o.Dir, "bytes", found.torn)
	}
	i.metrics.damaged.Add(float64(len(found.damage)))
	logDamage(o.Logger, found.damage)
	return i, nil
}

// Store is the present state.
func (i *Ingester) Store() *Store { return i.store }

// Accept returns nil once the alerts are on disk. All that wait at the same time
// share one fsync. ErrFull and ErrNotWritable mean that none of these alerts was
// accepted; when ctx ends first, nobody knows, and the sender may send them again.
func (i *Ingester) Accept(ctx context.Context, alerts []Alert) error {
	r := &request{alerts: alerts, done: make(chan struct{})}
	i.mu.Lock()
	i.waiting = append(i.waiting, r)
	i.mu.Unlock()
	for {
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return ctx.Err()
		case i.turn <- struct{}{}:
			i.commit()
			<-i.turn
		}
	}
}

// commit puts what waits on disk and answers it. The caller has the turn.
func (i *Ingester) commit() {
	batch := i.next()
	if len(batch) == 0 {
		return
	}
	d := newDraft(i.store, i.o.Now())
	for _, r := range batch {
		if r.err = d.takeAll(i.store, r.alerts); r.err != nil {
			i.metrics.alerts.WithLabelValues(string(refusedFull)).Add(float64(len(r.alerts)))
		}
	}
	if err := i.save(d); err != nil {
		i.refuse(batch, err)
		return
	}
	i.store.put(d.changed)
	for o, n := range d.outcomes {
		i.metrics.alerts.WithLabelValues(string(o)).Add(float64(n))
	}
	i.tell(d.news)
	for _, r := range batch {
		close(r.done)
	}
}

// save puts what the draft changes into the journal, if that is anything.
func (i *Ingester) save(d *draft) error {
	if len(d.unsaved) == 0 {
		return nil
	}
	began := time.Now()
	if err := i.journal.append(d.lines()); err != nil {
		return err
	}
	i.metrics.sync.Observe(time.Since(began).Seconds())
	return nil
}

// refuse answers all requests of a batch that could not be put on disk.
func (i *Ingester) refuse(batch []*request, err error) {
	i.metrics.failures.Inc()
	for _, r := range batch {
		if r.err == nil {
			r.err = err
			i.metrics.alerts.WithLabelValues(string(refusedUnwritable)).Add(float64(len(r.alerts)))
		}
		close(r.done)
	}
}

// next takes the requests that the next fsync is for.
func (i *Ingester) next() []*request {
	i.mu.Lock()
	defer i.mu.Unlock()
	n, alerts := 0, 0
	for n < len(i.waiting) && (n == 0 || alerts+len(i.waiting[n].alerts) <= maxCommit) {
		alerts += len(i.waiting[n].alerts)
		n++
	}
	batch := i.waiting[:n:n]
	i.waiting = i.waiting[n:]
	return batch
}

// tell leaves the changes for Run.
func (i *Ingester) tell(news []AlertState) {
	if len(news) == 0 || i.o.Changed == nil {
		return
	}
	i.mu.Lock()
	for _, h := range news {
		i.news[h.Key()] = h
	}
	i.mu.Unlock()
	select {
	case i.poke <- struct{}{}:
	default:
	}
}

// Run reports what changed, notices what was lost, and compacts the journal, until
// ctx ends. Accept works without it.
func (i *Ingester) Run(ctx context.Context) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	i.compact() // or a process that ends again and again would have ever more to read
	for {
		i.deliver()
		select {
		case <-ctx.Done():
			return nil
		case <-i.poke:
		case <-tick.C:
			i.expire()
			i.compact()
		}
	}
}

func (i *Ingester) deliver() {
	i.mu.Lock()
	news := i.news
	i.news = map[Key]AlertState{}
	i.mu.Unlock()
	if len(news) == 0 {
		return
	}
	all := make([]AlertState, 0, len(news))
	for _, h := range news {
		all = append(all, h)
	}
	i.o.Changed(all)
}

func (i *Ingester) expire() {
	i.turn <- struct{}{}
	lost := i.store.expire(i.o.Now())
	<-i.turn
	i.metrics.lost.Add(float64(len(lost)))
	i.tell(lost)
}

// compact writes a snapshot when the journal was damaged, so that the next start finds
// a whole one, and when it has grown far beyond its content. Only
// its beginning takes the turn; alerts are accepted meanwhile.
func (i *Ingester) compact() {
	i.turn <- struct{}{}
	through, lines, err := i.snapshot()
	<-i.turn
	if err == nil && through == 0 {
		return
	}
	if err == nil {
		err = i.journal.compact(through, lines)
	}
	if err != nil {
		i.metrics.snapshots.WithLabelValues("failed").Inc()
		i.o.Logger.Warn("cannot compact the journal of accepted alerts; it keeps growing", "dir", i.o.Dir,
			"err", err)
		return
	}
	i.metrics.snapshots.WithLabelValues("ok").Inc()
}

// snapshot returns what a snapshot is to hold, and the segment through which it
// stands; 0 if none is needed yet.
func (i *Ingester) snapshot() (through int, lines [][]byte, err error) {
	if i.journal.damaged {
		through, err = i.journal.begin()
		return through, i.store.lines(), err
	}
	if i.journal.logged < maxSegment {
		return 0, nil, nil
	}
	lines = i.store.lines()
	live := 0
	for _, l := range lines {
		live += len(l)
	}
	if i.journal.logged < int64(compactFactor*live) {
		return 0, nil, nil
	}
	through, err = i.journal.begin()
	return through, lines, err
}

// Close ends the ingester. What was accepted is on disk.
func (i *Ingester) Close() error {
	i.turn <- struct{}{}
	defer func() { <-i.turn }()
	return i.journal.close()
}

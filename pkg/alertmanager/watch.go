package alertmanager

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// WatchOptions are a Watch's edges.
type WatchOptions struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	// Ignore says which silences silence nothing; nil: each counts.
	Ignore func(Silence) bool
}

// Watch knows which silences are in force. The zero of everything is silence about
// nothing: while no Alertmanager is given, or none answers for too long, nothing
// is silenced.
type Watch struct {
	o       WatchOptions
	metrics *metrics
	renewed chan struct{}
	looked  chan struct{} // closed once the first look is over, well or not
	once    sync.Once

	mu       sync.RWMutex
	client   *Client
	interval time.Duration
	keep     time.Duration
	silences []Silence // those that last longest first
	at       time.Time // of the last answer
	failing  bool
	odd      string
}

// NewWatch returns a Watch that asks nobody yet.
func NewWatch(o WatchOptions) *Watch {
	w := &Watch{o: o, renewed: make(chan struct{}, 1), looked: make(chan struct{})}
	w.metrics = newMetrics(o.Registerer, func() float64 { return float64(w.count()) })
	return w
}

// Use says whom to ask, how often, and for how long what was last known counts
// while nobody answers. A nil client: there is no Alertmanager.
func (w *Watch) Use(c *Client, interval, keep time.Duration) {
	w.mu.Lock()
	if w.client == nil || c == nil || !slices.Equal(w.client.peers, c.peers) {
		w.silences, w.at, w.failing = nil, time.Time{}, false // of another Alertmanager
	}
	w.client, w.interval, w.keep = c, interval, keep
	w.mu.Unlock()
	select {
	case w.renewed <- struct{}{}:
	default:
	}
}

// Run asks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.RLock()
		c, wait := w.client, w.interval
		w.mu.RUnlock()
		if c == nil {
			wait = time.Hour
		} else {
			w.look(ctx, c)
		}
		w.once.Do(func() { close(w.looked) })
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.renewed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Await returns when Run has looked for the first time, or after the given time.
// Who decides before that takes a silenced alert for one that is not.
func (w *Watch) Await(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-w.looked:
	}
}

// look asks once. What the answer does not understand is said once.
func (w *Watch) look(ctx context.Context, c *Client) {
	silences, odd, err := c.Silences(ctx)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != c {
		return // another one is asked by now
	}
	if err != nil {
		w.metrics.failures.Inc()
		if !w.failing {
			w.o.Logger.Warn("cannot read silences from Alertmanager; using the last known ones for a while, then "+
				"none", "known", len(w.silences), "for", w.keep, "err", err)
		}
		w.failing = true
		return
	}
	if w.failing || w.at.IsZero() {
		w.o.Logger.Info("reading silences from Alertmanager", "silences", len(silences))
	}
	said := ""
	if odd != nil {
		said = odd.Error()
	}
	if said != "" && said != w.odd {
		w.o.Logger.Warn("ignoring some silences", "err", odd)
	}
	if w.o.Ignore != nil {
		silences = slices.DeleteFunc(silences, w.o.Ignore)
	}
	slices.SortStableFunc(silences, func(a, b Silence) int { return b.EndsAt.Compare(a.EndsAt) })
	w.silences, w.at, w.failing, w.odd = silences, w.o.Now(), false, said
	w.metrics.success.Set(float64(w.at.Unix()))
}

// Silenced returns the silence that an alert with these labels is under; of
// several the one that lasts longest.
func (w *Watch) Silenced(alert map[string]string) (Silence, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	now := w.o.Now()
	if !w.known(now) {
		return Silence{}, false
	}
	for _, s := range w.silences {
		if s.in(now) && s.Matches(alert) {
			return s, true
		}
	}
	return Silence{}, false
}

// known reports whether the last answer still counts.
func (w *Watch) known(now time.Time) bool {
	return !w.at.IsZero() && now.Sub(w.at) <= w.keep
}

// count is how many silences are in force.
func (w *Watch) count() int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	now, n := w.o.Now(), 0
	if !w.known(now) {
		return 0
	}
	for _, s := range w.silences {
		if s.in(now) {
			n++
		}
	}
	return n
}

package selfwatch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Links of the chain from a sample to a receiver, in order.
const (
	LinkSamples = "samples" // the sample is in the store
	LinkJudge   = "judge"   // its rule fires
	LinkEngine  = "engine"  // the incident was opened and handed to the receivers
	LinkOutbox  = "outbox"  // a receiver took it
)

// patience is how long an alert may take from the sample to the receiver.
const patience = 30 * time.Second

// retryCanary is how soon the next canary flies after one that did not arrive, and
// lookLeader how often a follower checks whether it leads.
const (
	retryCanary = time.Minute
	lookLeader  = time.Second
)

// CanaryOptions are the links of the chain, and who is notified.
type CanaryOptions struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Interval   time.Duration // default 5m; see SetInterval
	Now        func() time.Time
	// Append puts a sample into the store, and Stored says whether the store gives back that value.
	Append func(at time.Time, value float64)
	Stored func(ctx context.Context, value float64) bool
	// Judged says whether the rule fires, by an evaluation not before the given time.
	Judged func(since time.Time) bool
	// Leading says whether this replica leads: nobody else's engine works.
	Leading func() bool
	// Broken receives which link is broken, and "" when an alert arrives.
	Broken func(why string)
}

// Canary makes an alert every few minutes and checks that it arrives.
type Canary struct {
	o       CanaryOptions
	arrived chan struct{}
	latency prometheus.Gauge
	success prometheus.Gauge
	failed  *prometheus.CounterVec

	mu       sync.Mutex
	interval time.Duration
	began    time.Time // since when; zero: none is under way
	stepped  bool
	last     time.Time // when one last arrived
	broken   string
}

// NewCanary returns a canary that does not fly yet.
func NewCanary(o CanaryOptions) *Canary {
	f := promauto.With(o.Registerer)
	c := &Canary{
		o: o, arrived: make(chan struct{}, 1), interval: o.Interval,
		latency: f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: "canary_latency_seconds",
			Help: "Time that the last canary took from the sample to the receiver."}),
		success: f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: "canary_last_success_timestamp_seconds",
			Help: "Time at which a canary last arrived; 0: never on this replica."}),
		failed: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "canary_failed_total",
			Help: "Canaries that were not delivered, by the first stage that they did not pass: samples, judge, engine, " +
				"outbox."}, []string{"link"}),
	}
	for _, l := range []string{LinkSamples, LinkJudge, LinkEngine, LinkOutbox} {
		c.failed.WithLabelValues(l)
	}
	if c.interval <= 0 {
		c.interval = 5 * time.Minute
	}
	return c
}

// SetInterval sets how often a canary flies, from the next one on.
func (c *Canary) SetInterval(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interval = d
}

// Run lets canaries fly while this replica leads, until ctx ends.
func (c *Canary) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if !c.o.Leading() {
			c.reset()
			pause(ctx, lookLeader)
			continue
		}
		began := time.Now()
		ok := c.fly(ctx)
		c.mu.Lock()
		next := c.interval
		c.mu.Unlock()
		if !ok {
			next = min(next, retryCanary)
		}
		for end := began.Add(next); ctx.Err() == nil && time.Now().Before(end) && c.o.Leading(); {
			pause(ctx, min(lookLeader, time.Until(end)))
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// fly makes one alert and ends it, and reports whether it arrived.
func (c *Canary) fly(ctx context.Context) bool {
	select {
	case <-c.arrived: // one that came too late
	default:
	}
	began := c.o.Now()
	c.mu.Lock()
	c.began, c.stepped = began, false
	c.mu.Unlock()
	c.o.Append(began, 1)
	limit := time.NewTimer(c.limit())
	defer limit.Stop()
	select {
	case <-ctx.Done():
		return true
	case <-c.arrived:
		c.landed(began)
	case <-limit.C:
		if c.o.Leading() {
			c.lost(c.cut(ctx, began))
		}
	}
	c.mu.Lock()
	ok := c.broken == ""
	c.began = time.Time{}
	c.mu.Unlock()
	// Two samples of one series need two times.
	c.o.Append(later(c.o.Now(), began.Add(time.Millisecond)), 0)
	return ok
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// limit is how long a canary is waited for: always less than until the next.
func (c *Canary) limit() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(patience, c.interval/2)
}

// cut names the first link that the canary did not pass.
func (c *Canary) cut(ctx context.Context, began time.Time) string {
	c.mu.Lock()
	stepped := c.stepped
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	switch {
	case stepped:
		return LinkOutbox
	case c.o.Judged(began):
		return LinkEngine
	case c.o.Stored(ctx, 1):
		return LinkJudge
	}
	return LinkSamples
}

// Stepped notes that the engine handed the canary's incident to the receivers.
func (c *Canary) Stepped() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepped = true
}

// Arrived notes that a receiver accepted the canary's incident.
func (c *Canary) Arrived() {
	c.mu.Lock()
	waited := !c.began.IsZero() && c.stepped
	c.mu.Unlock()
	if !waited {
		return
	}
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

func (c *Canary) landed(began time.Time) {
	now := c.o.Now()
	c.mu.Lock()
	was := c.broken
	c.last, c.broken = now, ""
	c.mu.Unlock()
	c.latency.Set(now.Sub(began).Seconds())
	c.success.Set(float64(now.UnixMilli()) / 1000)
	if was != "" {
		c.o.Logger.Info("canary delivered again")
	}
	c.o.Broken("")
}

func (c *Canary) lost(link string) {
	why := fmt.Sprintf("the canary, a synthetic alert, was not delivered within %s: it was "+
		"lost at %q (stages: samples, judge, engine, outbox)", c.limit(), link)
	c.mu.Lock()
	fresh := c.broken == ""
	c.broken = why
	c.mu.Unlock()
	c.failed.WithLabelValues(link).Inc()
	if fresh {
		c.o.Logger.Error("canary not delivered", "link", link)
	}
	c.o.Broken(why)
}

// reset forgets what was seen while this replica led.
func (c *Canary) reset() {
	c.mu.Lock()
	broken := c.broken != ""
	c.last, c.broken = time.Time{}, ""
	c.mu.Unlock()
	if broken {
		c.o.Broken("")
	}
}

// Why says why the chain is not known to work now; empty: an alert arrived lately.
// It does not rely on the canary's own loop, which may hang with what it looks at.
func (c *Canary) Why() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != "":
		return c.broken
	case c.last.IsZero():
		return "no canary was delivered since this replica became leader"
	case c.o.Now().Sub(c.last) > 2*c.interval:
		return fmt.Sprintf("the last delivered canary is %s old",
			c.o.Now().Sub(c.last).Round(time.Second))
	}
	return ""
}

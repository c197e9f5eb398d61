package selfwatch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/outbox"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/redact"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/storage"
)

// canaryName is that of the canary's sample and of the rule over it.
const canaryName = "watchdog_canary"

const (
	selfLook = 10 * time.Second
	// muteFor is how long every receiver that pages must fail until that is an alert of its own.
	muteFor = 5 * time.Minute
	// storeSilence is how long the ledger may go unread: the leader reads it every few seconds.
	storeSilence = time.Minute
	// roundsMissed is how many of its intervals may pass without an evaluation of a group of rules.
	roundsMissed = 4
)

// Engine is the part of the engine that is watched and notified.
type Engine interface {
	CanaryFailed(why string)
	CannotPage(why string)
	Unfit() string
}

// WatchOptions are the parts that are watched, and who is notified.
type WatchOptions struct {
	Logger   *slog.Logger
	Registry *prometheus.Registry
	Now      func() time.Time
	// Installation and Replica name this replica to people.
	Installation, Replica string
	Samples               *storage.Store
	Local                 promql.QueryFunc
	Rules                 *rules.Manager
	// Dropped says which alerts the configuration leaves aside; nil: none.
	Dropped func(rules.Alert) bool
	Outbox  *outbox.Outbox
	// Engine returns the engine, which is created after the watch.
	Engine  func() Engine
	Leading func() bool
	// Recorded says why this replica can record nothing.
	Recorded func() error
	// Answered is when the ledger was last read.
	Answered func() time.Time
	// Unstored is why the leader cannot store incidents, whose updates are then not sent; empty: it can.
	Unstored func() string
	Bounds   *Bounds
	// Late is told how many turns of probes were skipped (Skipped) and how many there were.
	Late    *LateProbes
	Skipped func() (skipped, due uint64)
	Secrets *redact.Known
}

// Watch is watchdog watching itself: the canary, the heartbeat, and the alerts
// about itself that any replica can send.
type Watch struct {
	o        WatchOptions
	canary   *Canary
	heart    *Heartbeat
	sink     notify.Notifier
	follower *engine.BlindFollower
	leader   *engine.LeaderlessNotifier
	unpaged  prometheus.Gauge

	mu         sync.Mutex
	pagers     []string
	cannotPage string // why nobody can be paged
}

// NewWatch returns a watch that does not run yet.
func NewWatch(o WatchOptions) *Watch {
	w := &Watch{o: o}
	w.canary = NewCanary(CanaryOptions{
		Logger: o.Logger.With("component", "canary"), Registerer: o.Registry, Now: o.Now, Append: w.append,
		Stored: w.stored, Judged: w.judged, Leading: o.Leading,
		Broken: func(why string) { o.Engine().CanaryFailed(why) },
	})
	w.heart = NewHeartbeat(HeartbeatOptions{Logger: o.Logger.With("component", "heartbeat"), Registerer: o.Registry,
		Leading: o.Leading, Fit: w.fit})
	w.sink = notify.NewCanary(w.canary.Arrived)
	w.leader = engine.NewLeaderlessNotifier(o.Installation, o.Outbox.Tell)
	w.follower = engine.NewBlindFollower(o.Installation, o.Replica, o.Outbox.Tell)
	w.unpaged = promauto.With(o.Registry).NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: "cannot_page",
		Help: "1 while every receiver that pages has failed to accept messages of this replica for 5 minutes."})
	return w
}

// Sink is the receiver to which the canary is sent.
func (w *Watch) Sink() notify.Notifier { return w.sink }

// Use takes from a configuration which receivers page, how often a canary is sent, and where
// the heartbeat goes; nil: nowhere.
func (w *Watch) Use(pagers []string, canary time.Duration, b *Beat) {
	w.mu.Lock()
	w.pagers = pagers
	w.mu.Unlock()
	w.canary.SetInterval(canary)
	w.heart.Use(b)
}

// CanaryRule fires as long as the canary's last sample says so.
func CanaryRule() rules.Threshold {
	return rules.Threshold{
		Name: canaryName, Severity: string(incident.P3), Expr: "max by (target) (" + canaryName + ")", What: "canary",
		Above: true, SourceKind: "watchdog",
		Targets: []string{incident.Canary}, Aside: true,
	}
}

func (w *Watch) append(at time.Time, v float64) {
	w.o.Samples.Append([]*model.Sample{{Metric: model.Metric{model.MetricNameLabel: canaryName,
		"target": incident.Canary}, Value: model.SampleValue(v), Timestamp: model.TimeFromUnixNano(at.UnixNano())}})
}

func (w *Watch) stored(ctx context.Context, v float64) bool {
	points, err := w.o.Local(ctx, canaryName, w.o.Now())
	return err == nil && len(points) == 1 && points[0].Value == v
}

func (w *Watch) judged(since time.Time) bool {
	return slices.ContainsFunc(w.o.Rules.AlertsOf(incident.Canary), func(x rules.Alert) bool {
		return x.State == rules.Firing && !x.EvaluatedAt.Before(since.Truncate(time.Millisecond))
	})
}

// Tell hands an incident of the engine to the receivers.
func (w *Watch) Tell(i incident.Incident) {
	if i.Target.Name == incident.Canary && i.Phase != incident.Resolved {
		w.canary.Stepped()
	}
	w.o.Outbox.Tell(redact.Value(w.o.Secrets, i))
}

// Leaderless takes why there is no leader; empty: there is one. The alert names what this
// replica sees in breach.
func (w *Watch) Leaderless(now time.Time, why string) {
	if blind := w.blind(); why != "" && blind != "" {
		why += "; this replica also has no data: " + blind
	}
	w.leader.Look(now, why, w.firing())
}

// firing names what this replica sees in breach: thresholds, rules of files and objectives,
// but for alerts that the configuration leaves aside.
func (w *Watch) firing() []string {
	var all []string
	for _, x := range w.o.Rules.Active() {
		if x.State == rules.Firing && (w.o.Dropped == nil || !w.o.Dropped(x)) {
			all = append(all, x.Target+": "+x.Rule)
		}
	}
	return all
}

// blind says why this replica cannot see; empty: it can.
func (w *Watch) blind() string {
	_, why := w.o.Rules.Blind()
	return why
}

// LocalAlert reports whether an incident is one that this replica sends by itself, whoever leads.
func (w *Watch) LocalAlert(id string) bool { return id == w.leader.ID() || id == w.follower.ID() }

// Delivered takes the receipts of this watch's alerts and of the canary; it reports whether
// the receipt was one of them.
func (w *Watch) Delivered(id, receiver string, r incident.Receipt) bool {
	switch {
	case id == w.leader.ID():
		w.leader.Delivered(receiver, r)
	case id == w.follower.ID():
		w.follower.Delivered(receiver, r)
	case receiver == notify.CanaryReceiver:
	default:
		return false
	}
	return true
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { w.canary.Run(ctx); return nil })
	g.Go(func() error { w.heart.Run(ctx); return nil })
	g.Go(func() error { w.look(ctx); return nil })
	return g.Wait()
}

// look sends what any replica can report of itself.
func (w *Watch) look(ctx context.Context) {
	tick := time.NewTicker(selfLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		leads, now := w.o.Leading(), w.o.Now()
		skipped, due := w.o.Skipped()
		w.o.Bounds.Look(w.o.Registry, now)
		w.o.Late.Look(skipped, due, now)
		cannotPage := w.paging(time.Now())
		w.unpaged.Set(0)
		if cannotPage != "" {
			w.unpaged.Set(1)
		}
		blind := w.blind()
		if leads {
			w.o.Engine().CannotPage(cannotPage)
			blind = "" // its engine reports it
		} else {
			w.o.Engine().CannotPage("") // nobody else's engine works
			blind = cmp.Or(blind, w.unrecorded())
		}
		w.follower.Look(now, blind)
	}
}

// paging says why nobody can be paged; empty: somebody can, as far as is known. What
// was found is kept for the heartbeat.
func (w *Watch) paging(now time.Time) string {
	failing := w.o.Outbox.Failing()
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.cannotPage
	if w.cannotPage = unpaged(w.pagers, failing, now); w.cannotPage != "" && was == "" {
		w.o.Logger.Error("no receiver can page", "why", w.cannotPage)
	} else if w.cannotPage == "" && was != "" {
		w.o.Logger.Info("paging works again")
	}
	return w.cannotPage
}

// unpaged says that all receivers that page have failed for too long.
func unpaged(pagers []string, failing map[string]time.Time, now time.Time) string {
	var texts []string
	for _, name := range pagers {
		since, fails := failing[name]
		if !fails || now.Sub(since) < muteFor {
			return ""
		}
		// The minute does not change: a changed text is sent again.
		texts = append(texts, fmt.Sprintf("%s since %s UTC", name, since.UTC().Format("15:04")))
	}
	if len(texts) == 0 {
		return ""
	}
	return "every receiver that pages fails: " + strings.Join(texts, ", ")
}

// fit says for which reason no heartbeat is to be sent.
func (w *Watch) fit() (reason, why string) {
	now := w.o.Now()
	w.mu.Lock()
	cannotPage := w.cannotPage
	w.mu.Unlock()
	heard := now.Sub(w.o.Answered())
	last := w.o.Rules.LastEvaluation()
	for _, x := range []struct {
		reason, why string
	}{
		{"unfit", w.o.Engine().Unfit()},
		{"record", w.unrecorded()},
		{"evaluation", longer(fmt.Sprintf("the rule group %q was last evaluated", last.Group), now.Sub(last.At),
			roundsMissed*last.Interval)},
		{"blind", w.blind()},
		{"store", longer("the ledger was last read", heard, storeSilence)},
		{"store", w.o.Unstored()},
		{"receivers", cannotPage},
		{"canary", w.canary.Why()},
	} {
		if x.why != "" {
			return x.reason, x.why
		}
	}
	return "", ""
}

// longer says that something was longer ago than it may be; empty: it was not.
func longer(what string, d, limit time.Duration) string {
	if d <= limit {
		return ""
	}
	return fmt.Sprintf("%s %s ago (limit %s)", what, d.Round(time.Second), limit)
}

// unrecorded says why nothing can be recorded; empty: it can.
func (w *Watch) unrecorded() string {
	if err := w.o.Recorded(); err != nil {
		return err.Error()
	}
	return ""
}

package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/selfwatch"
	"watchdog.io/watchdog/pkg/snapshot"
)

// canaryName is that of the canary's sample and of the rule over it.
const canaryName = "watchdog_canary"

const (
	selfLook = 10 * time.Second
	// muteFor is how long every receiver that pages must fail until that is an alert of its own.
	muteFor = 5 * time.Minute
	// storeSilence is how long the ledger may go unread: the leader reads it every few seconds.
	storeSilence = time.Minute
	// roundsMissed is how many intervals may pass without a round over the rules.
	roundsMissed = 4
)

// selfWatch is watchdog watching itself: the canary, the heartbeat, and the alerts
// about itself that any replica can tell.
type selfWatch struct {
	a         *App
	canary    *selfwatch.Canary
	heart     *selfwatch.Heartbeat
	sink      notify.Notifier
	sightless *engine.BlindFollower
	unpaged   prometheus.Gauge
	heard     atomic.Int64 // when the ledger last answered, in milliseconds

	mu     sync.Mutex
	pagers []string
	mute   string // why nobody can be paged
}

func newSelfWatch(a *App) *selfWatch {
	w := &selfWatch{a: a}
	w.canary = selfwatch.NewCanary(selfwatch.CanaryOptions{
		Logger: a.o.Logger.With("component", "canary"), Registerer: a.registry, Now: a.clock.Now, Append: w.append, Stored: w.stored, Judged: w.judged, Leading: a.leading.Load,
		Broken: func(why string) { a.engine.CanaryFailed(why) },
	})
	w.heart = selfwatch.NewHeartbeat(selfwatch.HeartbeatOptions{Logger: a.o.Logger.With("component", "heartbeat"), Registerer: a.registry, Leading: a.leading.Load, Fit: w.fit})
	w.sink = notify.NewCanary(w.canary.Arrived)
	w.sightless = engine.NewBlindFollower(a.o.Namespace, a.o.Identity, a.outbox.Tell)
	w.unpaged = promauto.With(a.registry).NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: "cannot_page", Help: "1 while every receiver that pages has failed to take what this replica tells for 5 minutes."})
	return w
}

// use takes a configuration.
func (w *selfWatch) use(cfg *config.Config, b *built) {
	w.mu.Lock()
	w.pagers = notify.Pagers(b.notifiers)
	w.mu.Unlock()
	w.canary.SetInterval(time.Duration(cfg.Canary.Interval))
	w.heart.Use(b.beat)
}

// makeBeat is where the configuration sends the heartbeat; nil: nowhere.
func makeBeat(h *config.Heartbeat) (*selfwatch.Beat, error) {
	if h == nil {
		return nil, nil
	}
	b := &selfwatch.Beat{URL: func() (string, error) { return h.URL, nil }, Method: h.Method, Interval: time.Duration(h.Interval), Timeout: time.Duration(h.Timeout)}
	if h.URLFile != "" {
		s, err := notify.NewSecret(h.URLFile)
		if err != nil {
			return nil, fmt.Errorf("heartbeat: %w", err)
		}
		b.URL = s.Reveal
	}
	return b, nil
}

// canaryRule fires as long as the canary's last sample says so.
func canaryRule() rules.Rule {
	return rules.Rule{
		Name: canaryName, Severity: string(incident.P3), Expr: "max by (target) (" + canaryName + ")", What: "canary", Above: true, SourceKind: "watchdog",
		Targets: []string{incident.Canary}, Aside: true,
	}
}

func (w *selfWatch) append(at time.Time, v float64) {
	w.a.samples.Append([]*model.Sample{{Metric: model.Metric{model.MetricNameLabel: canaryName, "target": incident.Canary}, Value: model.SampleValue(v), Timestamp: model.TimeFromUnixNano(at.UnixNano())}})
}

func (w *selfWatch) stored(ctx context.Context, v float64) bool {
	points, err := w.a.local(ctx, canaryName, w.a.clock.Now())
	return err == nil && len(points) == 1 && points[0].Value == v
}

func (w *selfWatch) judged(since time.Time) bool {
	return slices.ContainsFunc(w.a.judge.AlertsOf(incident.Canary), func(x rules.Alert) bool {
		return x.State == rules.Firing && !x.EvaluatedAt.Before(since.Truncate(time.Millisecond))
	})
}

// tell hands an incident of the engine to the receivers.
func (w *selfWatch) tell(i incident.Incident) {
	if i.Target.Name == incident.Canary && i.Phase != incident.Resolved {
		w.canary.Stepped()
	}
	w.a.outbox.Tell(w.a.clean(i))
}

// voice reports whether an incident is one that this replica tells of itself, whoever leads.
func (w *selfWatch) voice(id string) bool { return id == w.a.cutOff.ID() || id == w.sightless.ID() }

// delivered takes the receipts that are not the engine's.
func (w *selfWatch) delivered(id, receiver string, r incident.Receipt) bool {
	switch {
	case id == w.a.cutOff.ID():
		w.a.cutOff.Delivered(receiver, r)
	case id == w.sightless.ID():
		w.sightless.Delivered(receiver, r)
	case receiver == notify.CanaryReceiver:
	default:
		return false
	}
	return true
}

// reached notes that the ledger answered.
func (w *selfWatch) reached() { w.heard.Store(w.a.clock.Now().UnixMilli()) }

// run watches until ctx ends.
func (w *selfWatch) run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { w.canary.Run(ctx); return nil })
	g.Go(func() error { w.heart.Run(ctx); return nil })
	g.Go(func() error { w.look(ctx); return nil })
	return g.Wait()
}

// look tells what any replica can tell of itself.
func (w *selfWatch) look(ctx context.Context) {
	tick := time.NewTicker(selfLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		leads, now := w.a.leading.Load(), w.a.clock.Now()
		w.a.bounds.Look(w.a.registry, now)
		mute := w.paging(time.Now())
		w.unpaged.Set(0)
		if mute != "" {
			w.unpaged.Set(1)
		}
		blind := w.a.blind()
		if leads {
			w.a.engine.CannotPage(mute)
			blind = "" // its engine tells
		} else {
			w.a.engine.CannotPage("") // nobody else's engine works
			blind = cmp.Or(blind, w.a.unrecorded())
		}
		w.sightless.Look(now, blind)
	}
}

// paging says why nobody can be paged; empty: somebody can, as far as is known. What
// was found is kept for the heartbeat.
func (w *selfWatch) paging(now time.Time) string {
	failing := w.a.outbox.Failing()
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.mute
	if w.mute = unpaged(w.pagers, failing, now); w.mute != "" && was == "" {
		w.a.o.Logger.Error("nobody can be paged", "why", w.mute)
	} else if w.mute == "" && was != "" {
		w.a.o.Logger.Info("people can be paged again")
	}
	return w.mute
}

// unpaged says that all receivers that page have failed for too long.
func unpaged(pagers []string, failing map[string]time.Time, now time.Time) string {
	var texts []string
	for _, name := range pagers {
		since, fails := failing[name]
		if !fails || now.Sub(since) < muteFor {
			return ""
		}
		// The minute does not change: the text is what is told, and news is told again.
		texts = append(texts, fmt.Sprintf("%s since %s UTC", name, since.UTC().Format("15:04")))
	}
	if len(texts) == 0 {
		return ""
	}
	return "no receiver that pages takes what it is told: " + strings.Join(texts, ", ")
}

// fit says for which reason no heartbeat is to be sent.
func (w *selfWatch) fit() (reason, why string) {
	now := w.a.clock.Now()
	w.mu.Lock()
	mute := w.mute
	w.mu.Unlock()
	limit := roundsMissed * w.a.interval
	heard := now.Sub(time.UnixMilli(w.heard.Load()))
	judged := now.Sub(w.a.judge.Judged())
	for _, x := range []struct {
		reason, why string
	}{
		{"unfit", w.a.engine.Unfit()},
		{"record", w.a.unrecorded()},
		{"evaluation", longer("the rules were last gone through %s ago", judged, limit)},
		{"blind", w.a.blind()},
		{"store", longer("the ledger was last read %s ago", heard, storeSilence)},
		{"receivers", mute},
		{"canary", w.canary.Why()},
	} {
		if x.why != "" {
			return x.reason, x.why
		}
	}
	return "", ""
}

func longer(text string, d, limit time.Duration) string {
	if d <= limit {
		return ""
	}
	return fmt.Sprintf(text+", at most %s is well", d.Round(time.Second), limit)
}

// unrecorded says why nothing can be recorded; empty: it can.
func (a *App) unrecorded() string {
	if err := a.record.closed(); err != nil {
		return err.Error()
	}
	return ""
}

// blind says why this replica cannot see; empty: it can.
func (a *App) blind() string { return snapshot.Blind(a.judge, a.groups) }

// andBlind adds to why nobody leads that this replica cannot see either.
func (a *App) andBlind(why string) string {
	if blind := a.blind(); why != "" && blind != "" {
		return why + "; and this replica cannot see: " + blind
	}
	return why
}

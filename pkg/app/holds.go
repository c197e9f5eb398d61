package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
)

// holdReminder is how old a hold is when people are reminded of it.
const holdReminder = 24 * time.Hour

// holds follows what is on hold, so that nothing is forgotten there.
type holds struct {
	now    func() time.Time
	oldest *prometheus.GaugeVec

	mu    sync.Mutex
	since map[string]time.Time // first seen, of holds that do not say since when they are
	began time.Time            // of the alert
	all   []held               // as listed at listed
	lists time.Time
}

// listEvery is how often all targets are looked through for holds.
const listEvery = 30 * time.Second

// held is one hold.
type held struct {
	what, reason string
	since        time.Time
	lift         string // how
}

func newHolds(r prometheus.Registerer, now func() time.Time) *holds {
	return &holds{now: now, since: map[string]time.Time{}, oldest: promauto.With(r).NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "hold_age_seconds",
		Help: "How long the oldest hold has been in force, as the leader knows it: of a target, or of everything (the kill switch). 0: there is none."}, []string{"scope"})}
}

// alarm is the reminder, as part of watchdog's own incident, and brings the metric up to date.
func (h *holds) alarm(targets func() []held, everything *incident.Attribution) incident.Alert {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.Sub(h.lists).Abs() >= listEvery {
		h.all, h.lists = targets(), now
	}
	ages := map[string]time.Duration{"target": 0, "everything": 0}
	var old []held
	seen := map[string]time.Time{}
	look := func(scope string, x held) {
		if x.since.IsZero() {
			if x.since = h.since[x.what]; x.since.IsZero() {
				x.since = now
			}
			seen[x.what] = x.since
		}
		age := now.Sub(x.since)
		ages[scope] = max(ages[scope], age)
		if age >= holdReminder {
			old = append(old, x)
		}
	}
	for _, x := range h.all {
		look("target", x)
	}
	if everything != nil {
		look("everything", held{what: "everything", reason: everything.Reason, since: everything.At, lift: "--all"})
	}
	h.since = seen
	for scope, age := range ages {
		h.oldest.WithLabelValues(scope).Set(age.Seconds())
	}
	a := incident.Alert{Rule: "forgotten_hold", Severity: incident.P3, Verdict: incident.OK, Reason: "no more", Source: "watchdog", EvaluatedAt: now}
	if len(old) == 0 {
		h.began = time.Time{}
		return a
	}
	if h.began.IsZero() {
		h.began = now
	}
	slices.SortFunc(old, func(a, b held) int { return cmp.Or(a.since.Compare(b.since), strings.Compare(a.what, b.what)) })
	var lines []string
	for _, x := range old {
		// The time, and not the age: what says something else at each look is news each time.
		lines = append(lines, fmt.Sprintf("%s since %s (%s): `watchdog resume %s`", x.what, x.since.UTC().Format("2006-01-02 15:04 UTC"), cmp.Or(x.reason, "no reason given"), x.lift))
	}
	a.Firing, a.Verdict, a.ActiveAt = true, incident.Breach, h.began
	a.Reason = fmt.Sprintf("on hold for more than %s: %s", holdReminder, strings.Join(lines, "; "))
	return a
}

// heldTargets are the targets whose workload a person holds.
func (a *App) heldTargets() []held {
	var all []held
	b := a.built.Load()
	for name, ts := range b.setup.Targets {
		s, err := a.watcher.State(ts.Target.Namespace, ts.Target.Kind, ts.Target.Workload)
		if err != nil || s.Hold == "" {
			continue // what is not seen is not accused
		}
		all = append(all, held{what: name, reason: s.Hold, since: s.HoldSince, lift: ts.Target.Namespace + "/" + ts.Target.Workload})
	}
	return all
}

// checkDefinition says once at the start if the cluster would drop what people say. It
// goes on all the same: what it needs itself is kept.
func (a *App) checkDefinition(ctx context.Context) {
	if err := kube.NewStore(a.client, a.o.Namespace).CheckDefinition(ctx); err != nil && ctx.Err() == nil {
		a.o.Logger.Warn("what people say to watchdog may not be kept: acknowledgements, notes, severities, holds", "err", err)
	}
}

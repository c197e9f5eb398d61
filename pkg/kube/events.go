package kube

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

// Bounds of telling by Events: they are a courtesy to whoever runs kubectl
// describe, and must not cost more than that.
const (
	eventTimeout = 5 * time.Second
	eventAtOnce  = 8
	eventEvery   = time.Second
	eventBurst   = 25
	eventMessage = 1000 // characters; Kubernetes allows 1024
)

// Events writes Kubernetes Events on the targets of incidents.
type Events struct {
	c     *Client
	log   *slog.Logger
	self  incident.Target // for watchdog's own incident
	limit *rate.Limiter
	busy  chan struct{}
	seq   atomic.Uint64
}

// NewEvents returns a writer of Events. Those about watchdog itself are written on the
// Deployment self, where people look for them; without a name: nowhere.
func NewEvents(c *Client, log *slog.Logger, self incident.Target) *Events {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Events{c: c, log: log, self: self, limit: rate.NewLimiter(rate.Every(eventEvery), eventBurst),
		busy: make(chan struct{}, eventAtOnce)}
}

// reasonFor returns type and reason of an Event by what a timeline entry says;
// entries of no interest to others have none.
func reasonFor(about incident.Kind) (kind, reason string) {
	switch about {
	case incident.KindFiring:
		return corev1.EventTypeWarning, "WatchdogFiring"
	case incident.KindActed:
		return corev1.EventTypeNormal, "WatchdogActed"
	case incident.KindHeld:
		return corev1.EventTypeNormal, "WatchdogHeld"
	case incident.KindFrozen:
		return corev1.EventTypeWarning, "WatchdogFrozen"
	case incident.KindSkipped:
		return corev1.EventTypeNormal, "WatchdogSkipped"
	case incident.KindHandedOver:
		return corev1.EventTypeWarning, "WatchdogHandedOver"
	case incident.KindPaged:
		return corev1.EventTypeWarning, "WatchdogPaged"
	case incident.KindReverted:
		return corev1.EventTypeNormal, "WatchdogReverted"
	case incident.KindResolved:
		return corev1.EventTypeNormal, "WatchdogResolved"
	}
	return "", ""
}

// Tell writes an Event for a timeline entry in the background. It never blocks:
// an Event over the rate is dropped, and one that cannot be written is only logged.
func (e *Events) Tell(inc incident.Incident, entry incident.Entry) {
	if inc.Target.Name == incident.Self && e.self.Workload != "" {
		inc.Target = e.self
	}
	kind, reason := reasonFor(entry.Kind)
	if reason == "" || inc.Target.Workload == "" || !e.limit.Allow() {
		return
	}
	if rolledBack(inc, entry) {
		reason = "WatchdogRolledBack"
	}
	select {
	case e.busy <- struct{}{}:
	default:
		return
	}
	ev := e.event(inc, entry, kind, reason)
	go func() {
		defer func() { <-e.busy }()
		ctx, cancel := context.WithTimeout(Background(context.Background()), eventTimeout)
		defer cancel()
		if inc.Target.Name == incident.Self {
			e.identify(ctx, ev)
		}
		if _, err := e.c.core.Events(ev.Namespace).Create(ctx, ev,
			metav1.CreateOptions{FieldManager: FieldManager}); err != nil {
			e.log.Debug("event not written", "err", explain(request{"create", "events", ev.Namespace, ev.Name}, err))
		}
	}()
}

// identify adds the uid of watchdog's own Deployment: `kubectl describe` shows only
// Events with it. Without the right to look the Event goes without.
func (e *Events) identify(ctx context.Context, ev *corev1.Event) {
	o := &ev.InvolvedObject
	if d, err := e.c.apps.Deployments(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{}); err == nil {
		o.UID = d.UID
	}
}

func rolledBack(inc incident.Incident, entry incident.Entry) bool {
	return entry.Kind == incident.KindActed && inc.Op != nil && inc.Op.Plan.Action == incident.ActionRollback
}

func (e *Events) event(inc incident.Incident, entry incident.Entry, kind, reason string) *corev1.Event {
	t := inc.Target
	at := metav1.NewTime(entry.At)
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace,
			Name: fmt.Sprintf("%s.wd%x.%x", t.Workload, entry.At.UnixNano(), e.seq.Add(1))},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "apps/v1", Kind: kindName(t.Kind), Namespace: t.Namespace, Name: t.Workload,
			UID: types.UID(t.UID),
		},
		Reason: reason, Type: kind, Message: strutil.Shorten(fmt.Sprintf("%s (incident %s)", entry.Text, inc.ID),
			eventMessage),
		Source: corev1.EventSource{Component: "watchdog"}, FirstTimestamp: at, LastTimestamp: at, Count: 1,
		ReportingController: "watchdog.io/watchdog",
	}
}

func kindName(kind string) string {
	switch strings.ToLower(kind) {
	case "deployment":
		return "Deployment"
	case "statefulset":
		return "StatefulSet"
	case "daemonset":
		return "DaemonSet"
	}
	return kind
}

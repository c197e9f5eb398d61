package app

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/web"
)

// newExternalAlerts returns the empty set of external alerts. It logs a sender that sends too
// many once, and not for each alert.
func (a *App) newExternalAlerts() *ingest.ExternalAlerts {
	x := ingest.NewExternalAlerts(a.clock.Now)
	x.Crowded = func(sender string) {
		a.o.Logger.Warn("a sender has reached its limit of incidents for unwatched targets; its further alerts "+
			"share one incident", "sender", sender)
	}
	promauto.With(a.registry).NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Subsystem: "ingest",
		Name: "together", Help: "Firing alerts for unwatched targets that share one incident per sender, because " +
			"the sender has reached its limit of incidents."}, func() float64 { return float64(x.Together()) })
	return x
}

// takeAlerts takes over what other systems report: the incidents that it is about are
// worked, and rules of the same name look at once.
func (a *App) takeAlerts(changed []ingest.AlertState) {
	a.wakeTargets(a.external.Take(changed))
}

// awaitTargets waits until the labels of alerts can be matched to targets.
func (a *App) awaitTargets(ctx context.Context) {
	a.watcher.AwaitSynced(ctx, ownersWait)
	a.wakeTargets(a.external.Synced())
}

// wakeTargets works the targets of external alerts that changed.
func (a *App) wakeTargets(targets, names []string) {
	a.rules.Hurry(names)
	a.engine.Wake(targets...)
}

// webhook is the page that alerts come in by.
func (a *App) webhook() http.Handler {
	return web.Alertmanager(web.AlertmanagerOptions{
		Logger: a.o.Logger.With("component", "webhook"), Registerer: a.registry, WebConfig: a.o.WebConfig,
		Accept: a.ingester.Accept, Now: a.clock.Now,
		Senders: func() []web.Sender {
			var all []web.Sender
			if c := a.built.Load().cfg.Alertmanager; c != nil {
				for _, s := range c.Senders {
					all = append(all, web.Sender{Name: s.Name, TokenFile: s.TokenFile})
				}
			}
			return all
		},
		Forward: web.NewForward(a.o.Logger.With("component", "webhook"), a.o.WebConfig, a.leaderAddress),
	})
}

// leaderAddress is where the leader is reached, and whether it is this replica.
func (a *App) leaderAddress() (base string, self bool) {
	if a.leading.Load() {
		return "", true
	}
	l := a.leader.Load()
	if l == nil {
		return "", false
	}
	_, base = kube.Replica(*l)
	return base, false
}

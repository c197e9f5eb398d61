package app

import (
	"net/http"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/hints"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/web"
)

// heard takes what other systems say over: the incidents that it is about are
// worked, and rules of the same name look at once.
func (a *App) heard(changed []hints.Hint) {
	targets, names := a.outside.take(changed)
	a.groups.Hurry(names)
	a.engine.Wake(targets...)
}

// hintsOn returns what other systems say of a target, but for alerts that watchdog
// judges itself under the same name.
func (a *App) hintsOn(target string, own []rules.Alert, looks []probes.Status) []rules.Alert {
	all := a.outside.alertsOf(target, signals(own, looks))
	return slices.DeleteFunc(all, func(h rules.Alert) bool {
		return slices.ContainsFunc(own, func(x rules.Alert) bool { return x.Rule == h.Rule })
	})
}

// routedAlerts returns the alerts of a target that routes decide about.
func (a *App) routedAlerts(target string) []rules.Alert {
	own := a.groups.AlertsOf(target)
	return append(own, a.hintsOn(target, own, nil)...)
}

// webhook is the page that alerts come in by.
func (a *App) webhook() http.Handler {
	return web.Alertmanager(web.AlertmanagerOptions{
		Logger: a.o.Logger.With("component", "webhook"), Registerer: a.registry, WebConfig: a.o.WebConfig, Accept: a.intake.Accept, Now: a.clock.Now,
		Senders: func() []web.Sender {
			var all []web.Sender
			if c := a.built.Load().cfg.Alertmanager; c != nil {
				for _, s := range c.Senders {
					all = append(all, web.Sender{Name: s.Name, TokenFile: s.TokenFile})
				}
			}
			return all
		},
		Forward: &web.Forward{Leader: a.leaderAddress, Client: &http.Client{Timeout: forwardTimeout}},
	})
}

// forwardTimeout bounds what a follower waits for the leader to put alerts on disk.
const forwardTimeout = 10 * time.Second

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

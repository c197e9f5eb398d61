package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/responder/inbound"
	"watchdog.io/watchdog/pkg/strutil"
)

// openResponder makes the service, on every replica. It writes what responders request, so it
// has a client of its own: no lease guards it, as none guards the command line, and a
// flood of requests takes nothing from the daemon's share of API requests.
func (a *App) openResponder() error {
	client, err := kube.Connect(a.o.Kubeconfig, "")
	if err != nil {
		return err
	}
	store := kube.NewStore(client, a.o.Namespace)
	a.stored = kube.NewCache(store.Known)
	a.access = kube.NewAccess(client, a.o.Namespace, a.clock.Now)
	f := promauto.With(a.registry)
	actions := f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "responder_actions_total",
		Help: "Responder actions by source (slack, pagerduty, api), action and result (applied, refused, forbidden, " +
			"failed)."}, []string{"source", "action", "result"})
	socket := f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: "slack_socket_connected",
		Help: "1 while watchdog is connected to Slack by Socket Mode."})
	a.watchFailures = f.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Name: "incident_watch_failures_total",
		Help: "Interruptions of the leader's watch of incidents; responder actions are read once a minute meanwhile."})
	logger := a.o.Logger.With("component", "responder")
	a.responder = responder.New(responder.Options{
		Cluster: kube.NewResponder(client, store),
		May:     a.access.May,
		Record: func(h responder.AuditEvent) error {
			logger.Info("responder action", "source", h.Request.Source, "by", h.Request.By, "action", h.Request.Action,
				"incident", h.Request.Incident, "result", h.Result, "text", h.Text)
			err := a.record.Append(auditRecord(h))
			if err != nil {
				logger.Error("could not write the audit record of a responder action", "err", err)
			}
			return err
		},
		Count: func(source string, action responder.Action, result string) {
			actions.WithLabelValues(source, string(action), result).Inc()
		},
		Now: a.clock.Now,
	})
	a.slack = inbound.NewSlack(inbound.SlackOptions{
		Logger: a.o.Logger.With("component", "slack"), Service: a.responder, Now: a.clock.Now,
		Settings: func() *inbound.SlackSettings { return a.built.Load().inbound.Slack },
		Connected: func(yes bool) {
			socket.Set(map[bool]float64{true: 1}[yes])
		},
	})
	return nil
}

// followResponders watches what responders write on incidents, for the leader, until ctx ends. It
// returns what waits for that.
func (a *App) followResponders(ctx context.Context) (wait func()) {
	var all sync.WaitGroup
	all.Go(func() {
		a.custom.Follow(ctx, a.engine.RespondersChanged, func(err error) {
			a.watchFailures.Inc()
			a.o.Logger.Warn("watch of incidents interrupted; retrying", "component", "responder", "err", err)
		})
	})
	return all.Wait
}

// auditRecord is a request as it stands on record, refused or not.
func auditRecord(h responder.AuditEvent) audit.Record {
	// What was said is data: texts and hashes, all bounded.
	data, err := json.Marshal(map[string]any{"source": h.Request.Source, "action": h.Request.Action, "result": h.Result,
		"reason": strutil.Cut(h.Request.Reason, maxText), "op": strutil.Cut(h.Request.Op, maxText), "to": h.Request.To,
		"as": h.Request.As})
	if err != nil {
		data = nil
	}
	return audit.Record{At: h.Request.At, Kind: "responder", Incident: strutil.Cut(h.Request.Incident, maxText),
		Op: strutil.Cut(h.Request.Op, maxText), Target: h.Target, Actor: strutil.Cut(h.Request.By, maxText),
		Plan: strutil.Cut(h.Request.Plan, maxText), Text: strutil.Cut(h.Text, maxText), Data: data}
}

// inboundHandlers are the pages that take responder actions.
func (a *App) inboundHandlers() map[string]http.Handler {
	logger := a.o.Logger.With("component", "responder")
	all := inbound.API(inbound.APIOptions{
		Logger: logger, Service: a.responder,
		Who: func(ctx context.Context, token string) (responder.Person, error) {
			return a.access.Who(ctx, token, a.built.Load().cfg.API.Audiences)
		},
		Unknown: func(err error) bool { return errors.Is(err, kube.ErrUnknown) },
		On:      func() bool { return a.built.Load().cfg.API.Control },
	})
	all["POST "+inbound.SlackPath] = a.slack
	all["POST "+inbound.PagerDutyPath] = inbound.PagerDuty(inbound.PagerDutyOptions{
		Logger: logger, Service: a.responder, Now: a.clock.Now,
		Settings: func() *inbound.PagerDutySettings { return a.built.Load().inbound.PagerDuty },
	})
	return all
}

// maxText bounds a text that somebody else wrote, in bytes.
const maxText = 300

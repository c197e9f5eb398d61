package app

import (
	"context"
	"errors"
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/web"
)

// openGate makes the check of who may read, on every replica. It has a client of its own: a
// flood of unknown tokens takes nothing from the requests of responders.
func (a *App) openGate() error {
	client, err := kube.Connect(a.o.Kubeconfig, "")
	if err != nil {
		return err
	}
	access := kube.NewAccess(client, a.o.Namespace, a.clock.Now)
	a.gate = web.NewGate(web.GateOptions{
		Logger: a.o.Logger.With("component", "web"), Registerer: a.registry, WebConfig: a.o.WebConfig,
		Settings: func() web.GateSettings {
			api := a.built.Load().cfg.API
			return web.GateSettings{Open: api.Read == config.ReadAnybody, TokenFiles: api.ReadTokenFiles,
				Hosts: a.hosts()}
		},
		Who: func(ctx context.Context, token string) (responder.Person, error) {
			return access.Who(ctx, token, a.built.Load().cfg.API.Audiences)
		},
		Unknown: func(err error) bool { return errors.Is(err, kube.ErrUnknown) },
		MayRead: access.MayRead, MayReload: access.MayReload,
	})
	return nil
}

// hosts are the names by which browsers may read: the configuration's, and this
// release's Service in its namespace, as other namespaces write it.
func (a *App) hosts() []string {
	all := a.built.Load().cfg.API.Hosts
	if a.o.Installation == "" {
		return all
	}
	return append(slices.Clone(all), a.o.Installation+"."+a.o.Namespace)
}

// incidents are the incidents, newest first: from memory where this replica leads, else
// as the leader has stored them. Nothing that a reader sends is passed on to the leader.
func (a *App) incidents(ctx context.Context) ([]incident.Incident, error) {
	if a.leading.Load() {
		return a.engine.Incidents(), nil
	}
	return a.stored.Read(ctx, a.clock.Now())
}

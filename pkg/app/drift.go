package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// driftEvery is how often the public page is read back.
const driftEvery = 2 * time.Minute

// watchPage compares the public page with what is measured while this replica leads.
func (a *App) watchPage(ctx context.Context) {
	turn := time.NewTicker(driftEvery)
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
		if !a.leading.Load() {
			a.metrics.drift.Reset()
			continue
		}
		text, err := comparePage(ctx, a.built.Load().notifiers, a.engine.Incidents(), func(component string, drifts bool) {
			v := 0.0
			if drifts {
				v = 1
			}
			a.metrics.drift.WithLabelValues(component).Set(v)
		})
		if err != nil {
			// What was known stays: it can neither be confirmed nor taken back.
			a.o.Logger.Warn("the status page cannot be compared with what is measured; tried again", "in", driftEvery, "err", err)
			continue
		}
		a.engine.Drifted(text)
	}
}

// comparePage says in one line where the public page drifts, and of each component
// whether it does.
func comparePage(ctx context.Context, all []notify.Notifier, incidents []incident.Incident, set func(component string, drifts bool)) (string, error) {
	var texts []string
	for _, n := range all {
		d, ok := n.(notify.Drifter)
		if !ok {
			continue
		}
		drifts, err := d.Drifts(ctx, incidents)
		if err != nil {
			return "", err
		}
		parts := d.Parts()
		for _, x := range drifts {
			texts = append(texts, x.Text)
			if !slices.Contains(parts, x.Component) {
				parts = append(parts, x.Component) // of an earlier configuration
			}
		}
		for _, id := range parts {
			name := id
			if name == "" {
				name = "page"
			}
			set(name, slices.ContainsFunc(drifts, func(x notify.Drift) bool { return x.Component == id }))
		}
	}
	return strings.Join(texts, "; "), nil
}

package app

import (
	"maps"
	"time"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/rules"
)

// firstSilences is how long a new process waits for the silences before it leads:
// an incident whose opening was kept quiet would else be told.
const firstSilences = 10 * time.Second

// newAlertmanager returns the client of the Alertmanager whose silences are
// honoured; nil if there is none.
func newAlertmanager(c *config.Alertmanager, installation string, now func() time.Time) (*alertmanager.Client, error) {
	if c == nil || c.Silences == nil {
		return nil, nil
	}
	s := c.Silences
	return alertmanager.New(alertmanager.Options{
		URLs: s.URLs, Timeout: time.Duration(s.Timeout), BearerTokenFile: s.BearerTokenFile, Username: s.Username, PasswordFile: s.PasswordFile,
		CAFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile, Author: author(installation), Now: now,
	})
}

// author is by whom an installation's silences are made. They are those of maintenance
// windows, and silence nothing here: what a window holds, the window itself says.
func author(installation string) string { return "watchdog " + installation }

// useSilences hands a configuration to the watch over the silences.
func (a *App) useSilences(b *built) {
	if b.alertmanager == nil {
		a.silences.Use(nil, 0, 0)
		return
	}
	s := b.cfg.Alertmanager.Silences
	a.silences.Use(b.alertmanager, time.Duration(s.Interval), time.Duration(s.Keep))
}

// silencedBy says by what an alert is silenced. Several of one name on one target
// are silenced if each of them is, and as long as the silence that ends first.
func (b *built) silencedBy(x rules.Alert, silenced func(map[string]string) (alertmanager.Silence, bool)) string {
	first, ok := silenced(b.labelsOf(x, x.Labels))
	for _, set := range x.Others {
		if !ok {
			break
		}
		var s alertmanager.Silence
		if s, ok = silenced(b.labelsOf(x, set.Map())); s.EndsAt.Before(first.EndsAt) {
			first = s
		}
	}
	if !ok {
		return ""
	}
	return first.String()
}

// labelsOf are the labels that silences are held against: the alert's own, and
// where it does not have them alertname, severity, and the target with its namespace.
func (b *built) labelsOf(x rules.Alert, own map[string]string) map[string]string {
	all := map[string]string{"alertname": x.Rule, "severity": x.Severity}
	if t, watched := b.setup.Targets[x.Target]; watched {
		all["target"], all["namespace"] = x.Target, t.Target.Namespace
	}
	maps.Copy(all, own)
	return all
}

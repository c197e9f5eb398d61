package app

import (
	"time"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/config"
)

// firstSilences is how long a new process waits for the silences before it leads:
// otherwise it would notify of an incident whose opening was silenced.
const firstSilences = 10 * time.Second

// newAlertmanager returns the client of the Alertmanager whose silences are
// honoured; nil if there is none.
func newAlertmanager(c *config.Alertmanager, installation string, now func() time.Time) (*alertmanager.Client, error) {
	if c == nil || c.Silences == nil {
		return nil, nil
	}
	s := c.Silences
	return alertmanager.New(alertmanager.Options{
		URLs: s.URLs, Timeout: time.Duration(s.Timeout), BearerTokenFile: s.BearerTokenFile, Username: s.Username,
		PasswordFile: s.PasswordFile,
		CAFile:       s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile, Author: author(installation), Now: now,
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

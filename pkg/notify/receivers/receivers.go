// Package receivers knows all kinds of receivers.
//
// It owns the building of those that a configuration names. It leaves what each does to
// its own package, and when it is told to pkg/outbox.
//
// Its one rule: who is not here is told of nothing.
package receivers

import (
	"errors"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/email"
	"watchdog.io/watchdog/pkg/notify/pagerduty"
	"watchdog.io/watchdog/pkg/notify/slack"
	"watchdog.io/watchdog/pkg/notify/statuspage"
	"watchdog.io/watchdog/pkg/notify/webhook"
)

// FromConfig builds the configured receivers. All errors are returned at once.
func FromConfig(cfg *config.Config, now func() time.Time) ([]notify.Notifier, error) {
	c, about := cfg.Receivers, notify.NewQuickReference(cfg)
	var all []notify.Notifier
	var errs []error
	add := func(name string, n notify.Notifier, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("receiver %s: %w", name, err))
			return
		}
		all = append(all, n)
	}
	if c.PagerDuty != nil {
		n, err := pagerduty.New(notify.PagerDutyName, c.PagerDuty, about)
		add(notify.PagerDutyName, n, err)
	}
	for _, p := range c.Pagers {
		n, err := pagerduty.New(p.Name, &p.PagerDuty, about)
		add(p.Name, n, err)
	}
	if c.Slack != nil {
		n, err := slack.New(c.Slack, about, now)
		add("slack", n, err)
	}
	for _, w := range c.Webhooks {
		n, err := webhook.New(w, about)
		add(w.Name, n, err)
	}
	for _, e := range c.Emails {
		n, err := email.New(e, about, now)
		add(e.Name, n, err)
	}
	if c.Statuspage != nil {
		n, err := statuspage.New(c.Statuspage, now)
		add("statuspage", n, err)
	}
	return all, errors.Join(errs...)
}

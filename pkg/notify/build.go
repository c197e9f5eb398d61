package notify

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
)

// attemptTimeout bounds one request to a receiver.
const attemptTimeout = 10 * time.Second

// httpClient follows no redirects: a token must not travel to another host.
func httpClient() *http.Client {
	return httpclient.New(nil, attemptTimeout)
}

// FromConfig builds the configured receivers. All errors are returned at once.
func FromConfig(cfg *config.Config, now func() time.Time) ([]Notifier, error) {
	c, about := cfg.Receivers, newAbout(cfg)
	var all []Notifier
	var errs []error
	add := func(name string, n Notifier, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("receiver %s: %w", name, err))
			return
		}
		all = append(all, n)
	}
	if c.PagerDuty != nil {
		n, err := newPagerDuty(pagerDutyName, c.PagerDuty, about)
		add(pagerDutyName, n, err)
	}
	for _, p := range c.Pagers {
		n, err := newPagerDuty(p.Name, &p.PagerDuty, about)
		add(p.Name, n, err)
	}
	if c.Slack != nil {
		n, err := newSlack(c.Slack, about, now)
		add("slack", n, err)
	}
	for _, w := range c.Webhooks {
		n, err := newHook(w, about)
		add(w.Name, n, err)
	}
	for _, e := range c.Emails {
		n, err := newEmail(e, about, now)
		add(e.Name, n, err)
	}
	if c.Statuspage != nil {
		n, err := newStatuspage(c.Statuspage, now)
		add("statuspage", n, err)
	}
	return all, errors.Join(errs...)
}

// heir is a receiver that goes on with what its predecessor knows.
type heir interface{ inherit(old Notifier) }

// Inherit lets the receivers of a new configuration, which nobody uses yet, go on
// with what those of the old one know.
func Inherit(next, old []Notifier) {
	for _, n := range next {
		h, ok := n.(heir)
		if !ok {
			continue
		}
		for _, o := range old {
			if o.Name() == n.Name() {
				h.inherit(o)
			}
		}
	}
}

package receivers

import (
	"fmt"
	"maps"
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify"
)

// Undefined says of each text of the configuration that calls a template which nobody
// defines where it stands and what it calls. Such a text loads, and fails when it is
// sent: watchdog's own words go out in its place.
func Undefined(c *config.Config) []string {
	shared := notify.NewQuickReference(c).Shared
	var all []string
	look := func(where, text string) {
		if text == "" {
			return
		}
		for _, name := range notify.UndefinedNames(text, shared) {
			all = append(all, fmt.Sprintf("%s calls the template %q, which is defined nowhere", where, name))
		}
	}
	pager := func(name string, p config.PagerDuty) {
		look("receivers "+name+": description", p.Description)
		for _, key := range slices.Sorted(maps.Keys(p.Details)) {
			look("receivers "+name+": details: "+key, p.Details[key])
		}
	}
	r := c.Receivers
	if r.PagerDuty != nil {
		pager(notify.PagerDutyName, *r.PagerDuty)
	}
	for _, p := range r.Pagers {
		pager(p.Name, p.PagerDuty)
	}
	if r.Slack != nil {
		look("receivers slack: title", r.Slack.Title)
		look("receivers slack: text", r.Slack.Text)
	}
	for _, w := range r.Webhooks {
		look("receivers "+w.Name+": body", w.Body)
	}
	for _, e := range r.Emails {
		look("receivers "+e.Name+": subject", e.Subject)
		look("receivers "+e.Name+": html", e.HTML)
		look("receivers "+e.Name+": text", e.Text)
	}
	return all
}

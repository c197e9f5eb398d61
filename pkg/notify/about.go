package notify

import (
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// about is the quick reference of the runbook: whom to call, and where to look.
type about struct {
	contacts []string // one line each
	links    []config.Link
}

func newAbout(c *config.Config) about {
	a := about{links: slices.Clone(c.Links)}
	if c.Runbook != nil && c.Runbook.URL != "" {
		a.links = append([]config.Link{{Name: "runbook", URL: c.Runbook.URL}}, a.links...)
	}
	for _, x := range c.Contacts {
		var ways []string
		for _, w := range []string{x.Phone, x.Email, x.Slack} {
			if w != "" {
				ways = append(ways, w)
			}
		}
		a.contacts = append(a.contacts, x.Name+": "+strings.Join(ways, ", "))
	}
	return a
}

// of is what belongs onto a message about the incident: all of it for P0 and P1,
// while it goes on.
func (a about) of(i incident.Incident) about {
	if i.Phase == incident.Resolved || i.Severity != incident.P0 && i.Severity != incident.P1 {
		return about{}
	}
	return a
}

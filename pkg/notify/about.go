package notify

import (
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// about is what all receivers say: the quick reference of the runbook, whom to call
// and where to look, and what the user's files of templates define.
type about struct {
	shared   []string // texts of templates
	contacts []string // one line each
	links    []config.Link
	// steps are the lines of whom to call, by severity and step of its escalation.
	steps map[incident.Severity][][]string
}

func newAbout(c *config.Config) about {
	a := about{links: slices.Clone(c.Pages()), steps: map[incident.Severity][][]string{}}
	for _, t := range c.TemplateTexts {
		a.shared = append(a.shared, string(t.Text))
	}
	lines := map[string]string{}
	for _, x := range c.Contacts {
		lines[x.Name] = x.Line()
		a.contacts = append(a.contacts, lines[x.Name])
	}
	for _, r := range c.Response {
		for _, s := range r.Steps {
			var call []string
			for _, name := range s.Contacts {
				call = append(call, lines[name])
			}
			a.steps[r.Severity] = append(a.steps[r.Severity], call)
		}
	}
	return a
}

// of is what belongs onto a message about the incident while it goes on: whom the
// escalation asks by now, first; for P0 and P1 everybody, and the links. The links of
// what fires belong onto every message.
func (a about) of(i incident.Incident) about {
	if i.Phase == incident.Resolved {
		return about{}
	}
	call := about{links: alertLinks(i)}
	if steps := a.steps[i.Severity]; i.Acked.At.IsZero() && len(steps) > 0 {
		for _, line := range slices.Concat(steps[:min(len(steps), i.Step+1)]...) {
			if line = "Call " + line; !slices.Contains(call.contacts, line) {
				call.contacts = append(call.contacts, line)
			}
		}
	}
	if i.Severity != incident.P0 && i.Severity != incident.P1 {
		return call
	}
	for _, line := range a.contacts {
		if !slices.Contains(call.contacts, "Call "+line) {
			call.contacts = append(call.contacts, line)
		}
	}
	call.links = slices.Concat(call.links, a.links)
	return call
}

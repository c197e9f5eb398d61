package notify

import (
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// QuickReference is what all receivers say: the quick reference of the runbook, whom to call
// and where to look, and what the user's files of templates define.
type QuickReference struct {
	Shared   []string // texts of templates
	Contacts []string // one line each
	Links    []config.Link
	// steps are the lines of whom to call, by severity and step of its escalation.
	steps map[incident.Severity][][]string
}

// NewQuickReference returns the contacts, links and escalation steps of a configuration.
func NewQuickReference(c *config.Config) QuickReference {
	a := QuickReference{Links: slices.Clone(c.Pages()), steps: map[incident.Severity][][]string{}}
	for _, t := range c.TemplateTexts {
		a.Shared = append(a.Shared, string(t.Text))
	}
	lines := map[string]string{}
	for _, x := range c.Contacts {
		lines[x.Name] = x.Line()
		a.Contacts = append(a.Contacts, lines[x.Name])
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

// Of is what belongs onto a message about the incident while it goes on: whom the
// escalation asks by now, first; for P0 and P1 everybody, and the links. The links of
// what fires belong onto every message.
func (a QuickReference) Of(i incident.Incident) QuickReference {
	if i.Phase == incident.Resolved {
		return QuickReference{}
	}
	call := QuickReference{Links: alertLinks(i)}
	if steps := a.steps[i.Severity]; i.Acked.At.IsZero() && len(steps) > 0 {
		for _, line := range slices.Concat(steps[:min(len(steps), i.Step+1)]...) {
			if line = "Call " + line; !slices.Contains(call.Contacts, line) {
				call.Contacts = append(call.Contacts, line)
			}
		}
	}
	if i.Severity != incident.P0 && i.Severity != incident.P1 {
		return call
	}
	for _, line := range a.Contacts {
		if !slices.Contains(call.Contacts, "Call "+line) {
			call.Contacts = append(call.Contacts, line)
		}
	}
	call.Links = slices.Concat(call.Links, a.Links)
	return call
}

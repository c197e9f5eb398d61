package config

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
)

// phases are those of the runbook (4.2).
var phases = []ResponsePhase{
	{Name: "stabilise", Within: model.Duration(15 * time.Minute), Needs: []string{string(incident.NeedsEvidence)}},
	{Name: "investigate", Within: model.Duration(time.Hour), Needs: []string{string(incident.NeedsHypothesis)}},
	{Name: "decide", Within: model.Duration(2 * time.Hour), Needs: []string{string(incident.NeedsDecision)}},
}

// responseTimes are the runbook's response times.
var responseTimes = []Response{
	{Severity: incident.P0, Within: model.Duration(15 * time.Minute), Phases: phases},
	{Severity: incident.P1, Within: model.Duration(time.Hour), Phases: phases},
	{Severity: incident.P2, Within: model.Duration(4 * time.Hour)},
	{Severity: incident.P3, Within: model.Duration(24 * time.Hour), During: weekdays},
}

// setResponse completes the response times by those of the runbook.
func (c *Config) setResponse() {
	for _, d := range responseTimes {
		for k := range c.Response {
			r := &c.Response[k]
			if r.Severity == d.Severity && r.Within == 0 {
				r.Within = d.Within
				if r.During == "" {
					r.During = d.During
				}
			}
			if r.Severity == d.Severity && r.Phases == nil {
				r.Phases = d.Phases
			}
		}
		if !slices.ContainsFunc(c.Response, func(r Response) bool { return r.Severity == d.Severity }) {
			c.Response = append(c.Response, d)
		}
	}
}

func (v *validator) response(c *Config) {
	names := v.timeIntervals(c)
	seen := map[incident.Severity]bool{}
	for k, r := range c.Response {
		a := at{"response", k}
		v.severity(a.key("severity"), r.Severity)
		if seen[r.Severity] {
			v.fail(a.key("severity"), "duplicate severity %s", r.Severity)
		}
		seen[r.Severity] = true
		v.span(a.key("within"), time.Duration(r.Within), time.Second, 30*24*time.Hour)
		v.during(a, r.During, names)
		v.steps(a, r, c, names)
		v.phases(a, r.Phases)
	}
}

// steps checks an escalation: who is named must be there.
func (v *validator) steps(a at, r Response, c *Config, names map[string]bool) {
	receivers := c.Receivers.Names()
	for k, s := range r.Steps {
		here := a.key("steps").key(k)
		for i, name := range s.Receivers {
			if !slices.Contains(receivers, name) && !v.undecoded.covers("receivers") {
				v.fail(here.key("receivers").key(i), "unknown receiver %q; expected one of: %s", name,
					or(strings.Join(receivers, ", "), "none"))
			}
		}
		for i, name := range s.Contacts {
			if !slices.ContainsFunc(c.Contacts, func(x Contact) bool { return x.Name == name }) &&
				!v.undecoded.covers("contacts") {
				v.fail(here.key("contacts").key(i), "unknown contact %q", name)
			}
		}
		if len(s.Receivers) == 0 && len(s.Contacts) == 0 && k > 0 {
			v.fail(here, "step has no recipients; set receivers or contacts")
		}
		if s.Within != 0 {
			v.span(here.key("within"), time.Duration(s.Within), time.Second, 30*24*time.Hour)
		}
		v.during(here, s.During, names)
	}
	if r.Repeat != nil && (*r.Repeat < 0 || *r.Repeat > 100) {
		v.fail(a.key("repeat"), "invalid repeat %d; use 0 to 100", *r.Repeat)
	}
}

func (v *validator) phases(a at, all []ResponsePhase) {
	var last time.Duration
	for k, p := range all {
		here := a.key("phases").key(k)
		if p.Name == "" {
			v.fail(here.key("name"), "name is required")
		}
		v.span(here.key("within"), time.Duration(p.Within), time.Second, 30*24*time.Hour)
		if d := time.Duration(p.Within); d <= last {
			v.fail(here.key("within"), "%s is not later than the previous phase; phases count from the moment a "+
				"person was first needed", p.Within)
		}
		last = time.Duration(p.Within)
		if len(p.Needs) == 0 {
			v.fail(here.key("needs"), "needs is required")
		}
		for i, n := range p.Needs {
			if !slices.Contains(incident.Needs(), incident.Need(n)) {
				v.fail(here.key("needs").key(i),
					"unknown requirement %q; expected one of: acknowledged, evidence, hypothesis, decision", n)
			}
		}
	}
}

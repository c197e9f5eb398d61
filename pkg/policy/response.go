package policy

import (
	"errors"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/timeinterval"
)

// response is the configuration's incident.Response.
type response map[incident.Severity]answers

// answers are the deadlines of one severity.
type answers struct {
	steps  []answer // at least one
	repeat *int     // further deadlines after the last step's; nil: unlimited
	phases []incident.Stage
}

// answer is the deadline for an acknowledgement, and the calendar in which it counts.
type answer struct {
	within time.Duration
	during *timeinterval.Calendar
}

// Due returns a deadline of one severity.
func (r *response) Due(s incident.Severity, step int, from time.Time) time.Time {
	a, ok := (*r)[s]
	if !ok {
		return time.Time{}
	}
	last := len(a.steps) - 1
	if a.repeat != nil && step > last+*a.repeat {
		return time.Time{}
	}
	now := a.steps[min(step, last)]
	return now.during.After(from, now.within)
}

// Phases returns what the response to one severity must have produced by when.
func (r *response) Phases(s incident.Severity) []incident.Stage { return (*r)[s].phases }

func (p *Policy) makeResponse() error {
	all := response{}
	var errs []error
	for _, r := range p.cfg.Response {
		a := answers{repeat: r.Repeat}
		steps := r.Steps
		if len(steps) == 0 {
			steps = []config.Step{{}}
		}
		for _, s := range steps {
			within, during := r.Within, r.During
			if s.Within != 0 {
				within = s.Within
			}
			if s.During != "" {
				during = s.During
			}
			c, err := p.cfg.Calendar(during)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: response %s: %w", p.cfg.File, r.Severity, err))
			}
			a.steps = append(a.steps, answer{time.Duration(within), c})
		}
		for _, x := range r.Phases {
			stage := incident.Stage{Name: x.Name, Within: time.Duration(x.Within)}
			for _, n := range x.Needs {
				stage.Needs = append(stage.Needs, incident.Need(n))
			}
			a.phases = append(a.phases, stage)
		}
		all[r.Severity] = a
	}
	p.response = &all
	return errors.Join(errs...)
}

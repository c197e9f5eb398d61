package app

import (
	"errors"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/calendar"
	"watchdog.io/watchdog/pkg/incident"
)

// response is the configuration's incident.Response.
type response map[incident.Severity]answer

// answer is how much of which time somebody has to acknowledge.
type answer struct {
	within time.Duration
	during *calendar.Calendar
}

// Due returns the deadline of one severity.
func (r *response) Due(s incident.Severity, from time.Time) time.Time {
	a, ok := (*r)[s]
	if !ok {
		return time.Time{}
	}
	return a.during.After(from, a.within)
}

func (p *Policy) makeResponse() error {
	all := response{}
	var errs []error
	for _, r := range p.cfg.Response {
		c, err := p.cfg.Calendar(r.During)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: response %s: %w", p.cfg.File, r.Severity, err))
		}
		all[r.Severity] = answer{time.Duration(r.Within), c}
	}
	p.response = &all
	return errors.Join(errs...)
}

package policy

import (
	"errors"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/rules"
)

// Objectives are the service level objectives of a configuration.
func Objectives(cfg *config.Config) []rules.SLO {
	var all []rules.SLO
	for _, s := range cfg.SLOs {
		o := rules.SLO{Name: s.Name, Objective: s.Objective.Value, Window: time.Duration(s.Window), Bad: s.Bad,
			All: s.All, MinEvents: s.MinEvents, Targets: s.Targets, Source: s.Source, File: cfg.File}
		if s.Metric != "" {
			bound := time.Duration(0)
			if s.Max != nil {
				bound = time.Duration(s.Max.Value * float64(time.Second))
			}
			o.Bad, o.All, _ = rules.BuiltinSLO(s.Metric, bound)
		}
		all = append(all, o)
	}
	return all
}

// makeSLOs turns the objectives, and the comparison with what applications report about
// themselves, into groups of rules.
func (p *Policy) makeSLOs() error {
	var errs []error
	for _, o := range Objectives(p.cfg) {
		if err := o.Check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.cfg.File, err))
			continue
		}
		p.SLOs = append(p.SLOs, o.Groups()...)
	}
	if r := p.cfg.SelfReport; r != nil {
		p.SLOs = append(p.SLOs, rules.SelfReport(p.cfg.File, r.Tolerance.Value))
	}
	for _, g := range p.SLOs {
		errs = append(errs, p.name(g))
	}
	return errors.Join(errs...)
}

// Kept returns how long the events of objectives are kept.
func Kept(cfg *config.Config) map[string]time.Duration {
	longest := time.Duration(0)
	for _, o := range Objectives(cfg) {
		if o.Source == rules.Local {
			longest = max(longest, o.Window)
		}
	}
	if longest == 0 {
		return nil
	}
	return map[string]time.Duration{rules.SLOBad: longest, rules.SLOAll: longest}
}

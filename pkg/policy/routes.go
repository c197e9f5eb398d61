package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// readGroups reads the rule files.
func (p *Policy) readGroups() error {
	var errs []error
	for _, t := range p.cfg.RuleTexts {
		groups, err := rules.ParseFile(t.Path, t.Text, t.Source)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for k := range groups {
			groups[k].Staleness = max(minStaleness, p.staleness(groups[k].Source))
		}
		p.Groups = append(p.Groups, groups...)
	}
	for _, g := range p.Groups {
		errs = append(errs, p.name(g))
	}
	for _, r := range p.cfg.Routes {
		p.routes = append(p.routes, ladder(r.Ladder))
	}
	return errors.Join(errs...)
}

// name registers the names of a group's alerts.
func (p *Policy) name(g rules.Group) error {
	var errs []error
	for _, name := range g.AlertNames() {
		if p.threshold(name) >= 0 {
			errs = append(errs, fmt.Errorf("%s: group %q: alert %s has the same name as a threshold; rename one of them",
				g.File, g.Name, name))
		}
		p.named[name] = true
	}
	return errors.Join(errs...)
}

// routed reports whether a route handles an alert: a rule file, an objective or
// another system raised it.
func (p *Policy) routed(x rules.Alert) bool {
	return x.SourceKind == remediate.SourceAlertmanager || p.named[AlertName(x)]
}

// route finds what is configured for an alert by its labels.
func (p *Policy) route(x rules.Alert) handling {
	h := handling{severity: p.cfg.SeverityOf(x.Labels)}
	if i := p.cfg.RouteOf(x.Labels); i >= 0 {
		r := p.cfg.Routes[i]
		h.ladder, h.options = patient(p.routes[i], r.Ladder, spanOf(x)), r.Ladder
		h.mode, h.who, h.singleSource = r.Mode, fmt.Sprintf("route %d", i+1), r.SingleSource
	}
	return h
}

// External are the external alerts of a target, without alerts of rules that watchdog
// evaluates itself, which are among own. Those with the name of a threshold are renamed,
// because an incident distinguishes its alerts by name.
func (p *Policy) External(all, own []rules.Alert) []rules.Alert {
	all = slices.DeleteFunc(all, func(h rules.Alert) bool {
		return slices.ContainsFunc(own, func(x rules.Alert) bool { return p.routed(x) && AlertName(x) == AlertName(h) })
	})
	for k, x := range all {
		if p.threshold(x.Rule) >= 0 {
			all[k].Rule = rules.ShownAs(x.Rule, "Alertmanager")
		}
	}
	return all
}

// Target returns how the labels of an alert are resolved to a target. owner may be nil.
func (p *Policy) Target(owner ingest.PodOwner) *ingest.Resolver {
	var all []ingest.Workload
	for _, t := range p.cfg.Targets {
		kind, name, _ := strings.Cut(t.Workload, "/")
		all = append(all, ingest.Workload{Target: t.Name, Namespace: t.Namespace, Kind: kind, Name: name,
			Service: t.Service})
	}
	r := ingest.NewResolver(all, owner)
	r.Drops = p.cfg.Drops
	return r
}

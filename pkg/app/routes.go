package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/incident"
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
		p.Groups = append(p.Groups, groups...)
	}
	for _, g := range p.Groups {
		for _, name := range g.AlertNames() {
			if _, taken := p.ladders[name]; taken {
				errs = append(errs, fmt.Errorf("%s: group %q: the alert %s has the name of a threshold; rename one of them", g.File, g.Name, name))
			}
			p.named[name] = true
		}
	}
	for _, r := range p.cfg.Routes {
		p.routes = append(p.routes, ladder(r.Ladder))
	}
	return errors.Join(errs...)
}

// treatment is how urgent an alert of a rule file is, and its ladder.
func (p *Policy) treatment(x rules.Alert) (incident.Severity, []incident.Rung) {
	i := p.cfg.RouteOf(x.Labels)
	if i < 0 {
		return p.cfg.SeverityOf(x.Labels), nil
	}
	return p.cfg.SeverityOf(x.Labels), p.routes[i]
}

// routed finds what is done about an alert of a rule file, by its labels.
func (p *Policy) routed(target, rule string) (handling, bool) {
	if p.AlertsOf == nil {
		return handling{}, false
	}
	all := p.AlertsOf(target)
	a := slices.IndexFunc(all, func(x rules.Alert) bool { return x.Rule == rule })
	if a < 0 {
		return handling{}, false
	}
	i := p.cfg.RouteOf(all[a].Labels)
	if i < 0 {
		return handling{}, false
	}
	r := p.cfg.Routes[i]
	return handling{r.Ladder, r.Mode, fmt.Sprintf("route %d", i+1), r.SingleSource}, true
}

// PodOwner names the workload that a pod belongs to; false if it is not known.
type PodOwner func(namespace, pod string) (kind, name string, ok bool)

// Target returns how labels are told to be a target's: by the label target; by
// namespace and deployment, statefulset or daemonset; by namespace and pod; by
// namespace and service.
func (p *Policy) Target(owner PodOwner) rules.TargetFunc {
	names, workloads, services := map[string]bool{}, map[string]string{}, map[string]string{}
	for _, t := range p.cfg.Targets {
		names[t.Name] = true
		workloads[t.Namespace+"/"+t.Workload] = t.Name
		if t.Service != "" {
			services[t.Namespace+"/"+t.Service] = t.Name
		}
	}
	return func(l labels.Labels) (string, bool) {
		if t := l.Get("target"); names[t] {
			return t, true
		}
		ns := l.Get("namespace")
		if ns != "" {
			for _, kind := range []string{"deployment", "statefulset", "daemonset"} {
				if t := workloads[ns+"/"+kind+"/"+l.Get(kind)]; t != "" {
					return t, true
				}
			}
			if kind, name, ok := owner(ns, l.Get("pod")); ok {
				if t := workloads[ns+"/"+kind+"/"+name]; t != "" {
					return t, true
				}
			}
			if t := services[ns+"/"+l.Get("service")]; t != "" {
				return t, true
			}
		}
		return unwatched(l.Get(model.AlertNameLabel), ns), false
	}
}

// unwatchedMark begins the name of what is no target: no configured name has a space.
const unwatchedMark = "not watched: "

// unwatched names what alerts are about that concern no target: one incident
// for each alert name and namespace.
func unwatched(alert, namespace string) string {
	name := unwatchedMark + alert
	if namespace != "" {
		name += " in " + namespace
	}
	return name
}

// unwatchedTarget is the target of an incident that is only told.
func unwatchedTarget(name string) (incident.Target, bool) {
	rest, ok := strings.CutPrefix(name, unwatchedMark)
	if !ok {
		return incident.Target{}, false
	}
	_, namespace, _ := strings.Cut(rest, " in ")
	return incident.Target{Name: name, Namespace: namespace}, true
}

// ownersWait is how long the rule files wait for the cluster to say which pod is whose.
const ownersWait = 30 * time.Second

// awaitOwners waits until pods can be told to be a target's: an alert that names
// a pod would else be taken for nobody's.
func (a *App) awaitOwners(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ownersWait)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !a.watcher.Synced() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// hints are what a person who writes a policy can do about the outcomes.
func (t Trial) hints(all []Outcome, silent map[string]string) []string {
	var h []string
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(h, text) {
			h = append(h, text)
		}
	}
	for _, r := range t.Policy.Rules {
		for _, g := range r.Ladder {
			if a, _ := remediate.ActionOf(g.Action); a.NotSimulated != "" {
				add("%s: %s is not simulated: %s", r.Name, g.Action, a.NotSimulated)
			}
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(silent)) {
		add("%s judges nothing even when all is well: %s%s", rule, silent[rule], t.probeFor(rule))
	}
	advised := map[string]bool{} // by the first metric: many failures show in the same
	for _, o := range all {
		if o.Grade != Missed || len(o.metrics) == 0 || advised[o.metrics[0]] {
			continue
		}
		advised[o.metrics[0]] = true
		same := named(all, func(x Outcome) bool {
			return x.Grade == Missed && len(x.metrics) > 0 &&
				x.metrics[0] == o.metrics[0]
		})
		has := t.rulesOn(o.metrics)
		sees := slices.DeleteFunc(slices.Clone(has), func(rule string) bool { return silent[rule] != "" })
		switch {
		case len(has) == 0:
			add("no rule looks at %s: add `- metric: %s` to thresholds (missed: %s)", strings.Join(o.metrics, " or "),
				o.metrics[0], same)
		case len(sees) > 0:
			add("%s did not fire: lower the bound, the `for` or the window if this should be seen (missed: %s)",
				strings.Join(sees, ", "), same)
		}
	}
	for _, o := range all {
		t.late(o, add)
	}
	if lonely := named(all, func(o Outcome) bool { return o.lonely && o.Why != "" }); lonely != "" {
		add("only one kind of witness saw %s, and a restart or rollback wants two: add an `http` probe with "+
			"max_duration, or say in `single_source` why one is enough", lonely)
	}
	modes := map[string]string{}
	for _, o := range all {
		if o.Would != "" {
			modes[o.Mode] = named(all, func(x Outcome) bool { return x.Would != "" && x.Mode == o.Mode })
		}
	}
	for _, m := range slices.Sorted(maps.Keys(modes)) {
		mode, who, _ := strings.Cut(m, ": ")
		add("%s (%s) kept it from acting on %s", who, mode, modes[m])
	}
	return h
}

// late is about rules that still see what is over.
func (t Trial) late(o Outcome, add func(string, ...any)) {
	if !o.Well {
		return
	}
	judged := false
	for _, x := range o.Actions {
		k := t.Policy.rule(x.Rule)
		if k < 0 || !x.Useful || x.Verdict != incident.NoEffect {
			continue
		}
		r := t.Policy.Rules[k]
		for _, g := range r.Ladder {
			if g.Action == x.Action {
				judged = true
				add("%s: the %s worked and is judged without effect, because the window of %s (%s) still holds the "+
					"past when its verify (%s) ends; verify should be longer than the window and a rollout", r.Name,
					x.Action, r.Name, Span(r.Window), Span(g.Verify))
			}
		}
	}
	if o.ladder != "" && !judged && o.PagedAfter > o.WellAfter && o.Was == "bad" {
		if k := t.Policy.rule(o.ladder); k >= 0 {
			r := t.Policy.Rules[k]
			add("%s pages for what is over: its window (%s) still holds the past when its `for` (%s) ends; a "+
				"shorter window or a longer `for` helps", r.Name, Span(r.Window), Span(r.For))
		}
	}
}

// named lists the failures for which is holds.
func named(all []Outcome, is func(Outcome) bool) string {
	var names []string
	for _, o := range all {
		if is(o) {
			names = append(names, o.Failure)
		}
	}
	if len(names) > 3 {
		names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
	}
	return strings.Join(names, "; ")
}

// rulesOn are the rules on one of the metrics.
func (t Trial) rulesOn(metrics []string) []string {
	var names []string
	for _, r := range t.Policy.Rules {
		if slices.Contains(metrics, r.Metric) {
			names = append(names, r.Name)
		}
	}
	return names
}

// probeFor names the probe that a rule's metric lives on.
func (t Trial) probeFor(rule string) string {
	k := t.Policy.rule(rule)
	if k < 0 {
		return ""
	}
	kind := map[string]string{"error_rate": "sla", "response_time": "sla", "active_agents": "agents",
		"health": "health", "dependency": "health"}[t.Policy.Rules[k].Metric]
	for _, p := range t.Policy.Own.Probes[t.Targets[0].Name] {
		if p.Kind == kind {
			return ""
		}
	}
	if kind == "" {
		return ""
	}
	return fmt.Sprintf(" (the target has no probe of kind %s)", kind)
}

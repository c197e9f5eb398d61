package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// hints are what a person who writes a policy can do about the outcomes.
func (t Trial) hints(all []Outcome, silent map[string]string) []string {
	var h []string
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(h, text) {
			h = append(h, text)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(silent)) {
		add("%s judges nothing even when all is well: %s%s", rule, silent[rule], t.probeFor(rule))
	}
	for _, o := range all {
		if o.Grade != Missed || len(o.metrics) == 0 {
			continue
		}
		if has := t.rulesOn(o.metrics); len(has) > 0 {
			add("%s: %s looks at %s; lower its bound, its `for` or its window if this should be seen", o.Failure, strings.Join(has, ", "), strings.Join(o.metrics, " and "))
		} else {
			add("%s: no rule looks at %s: add `- metric: %s` to thresholds", o.Failure, strings.Join(o.metrics, " or "), o.metrics[0])
		}
	}
	for _, o := range all {
		if o.Blocked != "" {
			add("%s (here: %s). Give the other rule the worse severity or a shorter `for`, or put the action on both ladders", o.Blocked, o.Failure)
		}
	}
	if lonely := named(all, func(o Outcome) bool { return strings.Contains(o.Why, "of 2 sources say bad") }); lonely != "" {
		add("only one kind of witness saw %s, and a restart or rollback wants two: add an `http` probe with max_duration, or say in `single_source` why one is enough", lonely)
	}
	modes := map[string]string{}
	for _, o := range all {
		if o.Would != "" {
			modes[o.Mode] = named(all, func(x Outcome) bool { return x.Would != "" && x.Mode == o.Mode })
		}
	}
	for _, m := range slices.Sorted(maps.Keys(modes)) {
		mode, who, _ := strings.Cut(m, ": ")
		add("mode %s of %s kept it from acting on %s", mode, who, modes[m])
	}
	return h
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
	kind := map[string]string{"error_rate": "sla", "response_time": "sla", "active_agents": "agents", "health": "health", "dependency": "health"}[t.Policy.Rules[k].Metric]
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

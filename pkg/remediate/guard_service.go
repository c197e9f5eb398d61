package remediate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// stillSelected: every Service that selects the current pods must select those of
// the rollback's revision, or it would lose its endpoints (INV-56). The labels of a pod
// come from its template, and a release may change a selector.
func stillSelected(f Facts, p incident.Plan) incident.Answer {
	if p.Action != incident.ActionRollback {
		return pass("a %s does not change pod labels", p.Action)
	}
	to, _, refusal := destination(f)
	switch {
	case refusal != nil, !p.Changeful():
		return pass("there is no revision to roll back to")
	case f.Workload.NoServices != "":
		return hold(incident.HandOver, "cannot tell whether the Services would select the pods of revision %s: "+
			"%s", describe(to), f.Workload.NoServices)
	}
	labels, err := templateLabels(to.Template)
	if err != nil {
		return hold(incident.HandOver, "cannot read the labels of revision %s: %v", describe(to), err)
	}
	ready := 0
	for _, s := range f.Workload.Services {
		ready += s.Ready
		for _, key := range slices.Sorted(maps.Keys(s.Selector)) {
			want := s.Selector[key]
			have, ok := labels[key]
			if ok && have == want {
				continue
			}
			pods := fmt.Sprintf("%s=%s", key, have)
			if !ok {
				pods = "no label " + key
			}
			return hold(incident.HandOver,
				"Service %s selects %s=%s, but the pods of revision %s have %s: it has %d ready endpoints of the "+
					"workload and would have none. Change the selector to match both, then roll back manually",
				s.Name, clip(key), clip(want), describe(to), clip(pods), s.Ready)
		}
	}
	return pass("%d Services select the pods, with %d ready endpoints, and would select those of revision %s",
		len(f.Workload.Services), ready, describe(to))
}

func templateLabels(template json.RawMessage) (map[string]string, error) {
	var t podTemplate
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("read pod template: %w", err)
	}
	return t.Metadata.Labels, nil
}

// Endpoints are the ready endpoints by Service, as the core keeps them; nil: not known.
func (w Workload) Endpoints() map[string]int {
	if w.NoServices != "" {
		return nil
	}
	all := map[string]int{}
	for _, s := range w.Services {
		all[s.Name] = s.Ready
	}
	return all
}

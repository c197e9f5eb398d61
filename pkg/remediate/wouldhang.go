package remediate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// wouldHang answers if a restart could get stuck half way: the strategy starts a new
// pod before it stops an old one, and both need what only one of them can have. Which
// nodes have room is unknown, so nothing proves that it would work either.
func wouldHang(f Facts) *incident.Answer {
	w := f.Workload
	if w.MaxUnavailable > 0 || w.Recreate {
		return nil // an old pod ends first
	}
	var why []string
	ports, err := hostPorts(w.Template)
	if err != nil {
		why = append(why, err.Error())
	}
	if len(ports) > 0 {
		why = append(why, "host port "+list(ports)+" is in use on every node that runs an old pod")
	}
	needs, _ := References(w.Template)
	for _, n := range needs {
		if n.Kind == volumeClaim {
			if reason := exclusive(f, n); reason != "" {
				why = append(why, reason)
			}
		}
	}
	if len(why) == 0 {
		return nil
	}
	a := hold(incident.Skip, "a restart of %s may never complete: it starts a new pod before it stops an old "+
		"one (maxUnavailable 0), and %s. Allow one unavailable pod, or use strategy Recreate, then restart manually",
		w.Target, list(why))
	return &a
}

// exclusive explains why two pods cannot mount the volume at once; "" if they can.
func exclusive(f Facts, n Reference) string {
	k := slices.IndexFunc(f.References, func(r Reference) bool { return r.Kind == n.Kind && r.Name == n.Name })
	switch {
	case k < 0:
		return n.String() + " was not checked"
	case f.References[k].Unknown != "":
		return n.String() + " could not be read: " + f.References[k].Unknown
	case f.References[k].Gone:
		return n.String() + " no longer exists"
	}
	modes := f.References[k].AccessModes
	if slices.ContainsFunc(modes, func(m string) bool { return strings.HasSuffix(m, "Many") }) {
		return ""
	}
	return fmt.Sprintf("%s (%s) stays attached to the old pod's node", n, orNone(modes))
}

// hostPorts are the ports of its node that a pod of the template takes.
func hostPorts(template json.RawMessage) ([]string, error) {
	var t podTemplate
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("read pod template: %w", err)
	}
	var ports []string
	for _, c := range t.Spec.Containers {
		for _, p := range c.Ports {
			port := p.HostPort
			if port == 0 && t.Spec.HostNetwork {
				port = p.ContainerPort
			}
			if s := fmt.Sprint(port); port > 0 && !slices.Contains(ports, s) {
				ports = append(ports, s)
			}
		}
	}
	return ports, nil
}

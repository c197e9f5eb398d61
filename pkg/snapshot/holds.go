package snapshot

import "watchdog.io/watchdog/pkg/selfwatch"

// Holds are the targets whose workload a person holds, as far as the watches know: what is
// not seen is not accused.
func (r *Reader) Holds() []selfwatch.Hold {
	var all []selfwatch.Hold
	for name, ts := range r.targets {
		if s, ok := r.state(name); ok && s.Hold != "" {
			all = append(all, selfwatch.Hold{What: name, Reason: s.Hold, Since: s.HoldSince, Lift: ts.Target.Namespace +
				"/" + ts.Target.Workload})
		}
	}
	return all
}

// HeldBy says by what a target is kept on hold, as far as the watches know.
func (r *Reader) HeldBy(target string) string {
	s, _ := r.state(target)
	return s.Hold
}

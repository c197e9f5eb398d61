package incident

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// endpointsLag is how long a Service's endpoints may lag behind the pods.
const endpointsLag = 10 * time.Second

// lostEndpoints judges an op by the endpoints of Services: an action after which one of them
// has fewer ready endpoints than before is harmful, whatever the rule says (INV-56). It
// is judged once the rollout is complete and that has lasted, or at the deadline
// of a rollout that never was. It reports whether the verdict is given or pending.
func (s *step) lostEndpoints(e Tick) bool {
	op := s.i.Op
	service, now := fewer(op.EndpointsThen, e.Rollout)
	overdue := op.RolledAt.IsZero() && !s.at.Before(op.AppliedAt.Add(op.Verify)) && !op.comes(e.Rollout, s.at)
	switch {
	case service == "", !e.Rollout.Done && !overdue:
		op.Fewer = time.Time{}
		return false
	case op.Fewer.IsZero():
		op.Fewer = s.at
	}
	if !overdue && s.at.Sub(op.Fewer) < max(op.Settle, endpointsLag) {
		return true
	}
	op.TakeBack = true
	s.finish(Harmed, fmt.Sprintf("%s after the action, Service %s has %d ready endpoints of the workload (before: %d), "+
		"although %d pods are ready",
		s.at.Sub(op.AppliedAt).Round(time.Second), service, now, op.EndpointsThen[service], e.Rollout.Ready))
	return true
}

// fewer returns the first Service by name that has fewer ready endpoints than
// before and fewer than there are ready pods: fewer pods are another matter, and
// may be an autoscaler's.
func fewer(then map[string]int, r Rollout) (service string, now int) {
	if !r.Known || r.Endpoints == nil {
		return "", 0
	}
	for _, name := range slices.Sorted(maps.Keys(then)) {
		if n := r.Endpoints[name]; n < then[name] && n < r.Ready {
			return name, n
		}
	}
	return "", 0
}

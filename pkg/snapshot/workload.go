package snapshot

import (
	"time"

	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/probes"
)

// Workloads shows workloads to the probe of kind kubernetes.
type Workloads struct {
	Watcher *kube.Watcher
	Now     func() time.Time
}

// Workload is what the watches last said of a workload.
func (w Workloads) Workload(namespace, kind, name string) (probes.Workload, error) {
	s, err := w.Watcher.State(namespace, kind, name)
	if err != nil {
		return probes.Workload{}, err
	}
	seen := probes.Workload{
		Desired: s.Desired, Ready: s.Ready, Updated: s.Updated, Unavailable: s.Unavailable,
		RolloutInProgress: s.RolloutInProgress,
		Restarts:          s.Restarts, Waiting: s.Waiting, NewestWaiting: s.NewestWaiting,
		EndpointsReady: s.EndpointsReady,
		HasEndpoints:   s.HasEndpoints, PodRestarts: s.PodRestarts, Stalled: s.NoProgress, ScaledBy: s.ScaledBy,
		ObservedAt: w.Now().Add(-time.Since(s.ObservedAt)),
	}
	for _, u := range s.Usage {
		seen.Usage = append(seen.Usage, probes.Usage(u))
	}
	if s.HPA != nil {
		seen.HPA = &probes.HPA{Min: s.HPA.Min, Max: s.HPA.Max, Current: s.HPA.Current}
	}
	return seen, nil
}

package probes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"watchdog.io/watchdog/pkg/strutil"
)

// WorkloadFunc reads a workload; kind is lower case. It answers from memory or
// is quick. Errors of the API server are passed on wrapped, so that NotFound
// and Forbidden can be told.
type WorkloadFunc func(namespace, kind, name string) (Workload, error)

// Workload is what a check needs to know of a workload and its pods.
type Workload struct {
	Desired     int
	Ready       int
	Updated     int
	Unavailable int
	// RolloutInProgress: the controller is still moving pods.
	RolloutInProgress bool
	// Restarts of all containers of the pods that exist now.
	Restarts int
	// Waiting is the number of pods by the reason a container waits.
	Waiting map[string]int
	// NewestWaiting is the number of pods of the newest revision in
	// CrashLoopBackOff, ErrImagePull, ImagePullBackOff, CreateContainerError or
	// CreateContainerConfigError.
	NewestWaiting int
	// EndpointsReady counts the ready endpoints of the Service, if HasEndpoints.
	EndpointsReady int
	HasEndpoints   bool
	HPA            *HPA
	// ScaledBy says who wrote the number of replicas last, and when, of a workload that is
	// scaled to zero; empty: not known.
	ScaledBy string
	taken    bool // scaled to zero, and by no autoscaler
	// Usage is what each container uses; the worst decides.
	Usage []Usage
	// PodRestarts are the restarts by pod, of pods that exist now.
	PodRestarts map[string]int
	// Stalled says why the controller gave up on the rollout; empty: it did not.
	Stalled string
	// ObservedAt is when this was last known to be what the API server holds
	// (not when the object last changed). Zero: not checked.
	ObservedAt time.Time
}

// HPA is the HorizontalPodAutoscaler of a workload, in pods.
type HPA struct{ Min, Max, Current int }

const (
	maxWorkloadAge = 90 * time.Second
	maxReasons     = 20
)

// NewKubernetes returns the probe for a workload as the cluster sees it.
// workload is kind/name.
func NewKubernetes(namespace, workload string, read WorkloadFunc) (Probe, error) {
	kind, name, ok := strings.Cut(workload, "/")
	if !ok || kind == "" || name == "" || namespace == "" {
		return nil, fmt.Errorf("invalid workload %q in namespace %q; use kind/name and a namespace", workload,
			namespace)
	}
	kind = strings.ToLower(kind)
	what := namespace + "/" + kind + "/" + name
	restarts := &restartCounter{}
	return func(_ context.Context, at time.Time) (Result, error) {
		seen, err := read(namespace, kind, name)
		if err != nil {
			return Result{}, unreadable(what, err)
		}
		if age := at.Sub(seen.ObservedAt); !seen.ObservedAt.IsZero() && age > maxWorkloadAge {
			return Result{}, fmt.Errorf("read %s: stale: last synced with the API server %s ago: check the connection",
				what, age.Round(time.Second))
		}
		// A DaemonSet has as many pods as there are nodes for it; an autoscaler, or what drives
		// one, may take all pods away and give them back.
		seen.taken = seen.Desired == 0 && seen.HPA == nil && kind != "daemonset"
		state, detail := seen.judge()
		samples := append(seen.samples(at), newSample(at, "watchdog_workload_restarts_total", restarts.count(seen)))
		return Result{State: state, Detail: detail, Samples: samples, Usage: seen.Usage, Facts: seen.facts()}, nil
	}, nil
}

// FactScaledBy is who scaled a workload to zero, if that is known and all that is the matter.
const FactScaledBy = "scaled_by"

func (w Workload) facts() map[string]string {
	if w.Desired > 0 || w.NewestWaiting > 0 || w.ScaledBy == "" {
		return nil
	}
	return map[string]string{FactScaledBy: oneLine(w.ScaledBy)}
}

func unreadable(what string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("read %s: not found: create it, or correct workload and namespace of the target: %w", what,
			err)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("read %s: forbidden: grant get, list and watch to watchdog's service account: %w", what, err)
	default:
		return fmt.Errorf("read %s: %w", what, err)
	}
}

func (w Workload) judge() (State, string) {
	line := fmt.Sprintf("%d of %d ready", w.Ready, w.Desired)
	if w.RolloutInProgress {
		line += ", rollout in progress"
	}
	if w.Stalled != "" {
		line += ", the rollout has stalled (" + w.Stalled + ")"
	}
	switch {
	case w.NewestWaiting > 0:
		return Bad, oneLine(fmt.Sprintf("%s, %d pods cannot start (%s)", line, w.NewestWaiting, w.reasons()))
	case w.Desired > 0 && w.Ready == 0:
		return Bad, line
	case w.Desired > 0 && w.HasEndpoints && w.EndpointsReady == 0:
		return Bad, line + ", the Service has no ready endpoint"
	case w.Desired == 0:
		return OK, oneLine(strings.TrimSuffix("scaled to zero by "+w.ScaledBy, " by "))
	}
	return OK, line
}

func (w Workload) reasons() string {
	return strings.Join(slices.Sorted(maps.Keys(w.Waiting)), ", ")
}

func (w Workload) samples(at time.Time) []*model.Sample {
	samples := []*model.Sample{
		newSample(at, "watchdog_workload_replicas_desired", float64(w.Desired)),
		newSample(at, "watchdog_workload_replicas_ready", float64(w.Ready)),
		newSample(at, "watchdog_workload_replicas_updated", float64(w.Updated)),
		newSample(at, "watchdog_workload_replicas_unavailable", float64(w.Unavailable)),
		newSample(at, "watchdog_workload_rollout_in_progress", truth(w.RolloutInProgress)),
		newSample(at, "watchdog_workload_restarts", float64(w.Restarts)),
		newSample(at, "watchdog_workload_rollout_stalled", truth(w.Stalled != "")),
		newSample(at, "watchdog_workload_scaled_to_zero", truth(w.taken)),
		newSample(at, "watchdog_workload_crash_looping_pods", float64(w.NewestWaiting)),
	}
	add := func(name string, value float64, labels ...string) {
		samples = append(samples, newSample(at, name, value, labels...))
	}
	if w.Desired > 0 {
		add("watchdog_workload_ready_ratio", float64(w.Ready)/float64(w.Desired))
	}
	for i, reason := range slices.Sorted(maps.Keys(w.Waiting)) {
		if i == maxReasons {
			break
		}
		add("watchdog_workload_waiting_pods", float64(w.Waiting[reason]), "reason", strutil.Cut(reason, maxName))
	}
	if w.HasEndpoints {
		add("watchdog_workload_endpoints_ready", float64(w.EndpointsReady))
	}
	if w.HPA != nil {
		add("watchdog_workload_hpa_at_max", truth(w.HPA.Current >= w.HPA.Max))
	}
	if u, known := Worst(w.Usage, CPU); known {
		add("watchdog_workload_cpu_usage_ratio", CPU(u))
	}
	if u, known := Worst(w.Usage, Memory); known {
		add("watchdog_workload_memory_usage_ratio", Memory(u))
	}
	return samples
}

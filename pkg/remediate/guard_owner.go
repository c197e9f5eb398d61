package remediate

import (
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// ownField: watchdog does not write fields that another controller owns, because the controller
// would undo the write and so disrupt the pods twice (INV-27, INV-28). Replicas owned by an
// autoscaler are no such case: scale writes the autoscaler.
func ownField(f Facts, p incident.Plan) incident.Answer {
	if !writesWorkload(p) {
		return besides(p)
	}
	if o := f.Workload.Owner; o != "" {
		return hold(incident.Skip, "%s owns the workload and would undo a %s; instead: %s", o, p.Action, nativeRoute(o))
	}
	h := f.Workload.HPA
	if h == nil {
		return pass("0 other controllers own replicas or template")
	}
	if keda, ok := strings.CutPrefix(h.Name, "keda-hpa-"); ok && p.Object.Resource == autoscalers {
		return hold(incident.Skip, "KEDA owns HPA %s; instead: raise minReplicaCount of ScaledObject %s", h.Name, keda)
	}
	if id, ok := h.Annotations["argocd.argoproj.io/tracking-id"]; ok && p.Object.Resource == autoscalers {
		return hold(incident.Skip, "Argo CD (%s) owns HPA %s; instead: raise minReplicas in Git", clip(id), h.Name)
	}
	if h.Owner != "" && p.Object.Resource == autoscalers {
		if name, ok := strings.CutPrefix(h.Owner, "ScaledObject "); ok {
			return hold(incident.Skip, "KEDA owns HPA %s through ScaledObject %s and would undo a %s; instead: "+
				"raise minReplicaCount of ScaledObject %s", h.Name, name, p.Action, name)
		}
		return hold(incident.Skip, "%s owns HPA %s and would undo a %s; instead: %s", h.Owner, h.Name, p.Action,
			nativeRoute(h.Owner))
	}
	return pass("HPA %s owns the replicas (%d to %d); the plan writes %s", h.Name, h.Min, h.Max, p.Object.Resource)
}

// nativeRoute is what a person can do instead, by owner.
func nativeRoute(owner string) string {
	o := strings.ToLower(owner)
	switch {
	case strings.HasPrefix(o, "argo cd"):
		return "change it in Git, or `argocd app rollback`"
	case strings.HasPrefix(o, "flux"):
		return "change it in Git, or `flux suspend` first"
	case strings.HasPrefix(o, "rollout"), strings.HasPrefix(o, "argo rollouts"):
		return "`kubectl argo rollouts undo`, `restart` or `set`"
	case strings.HasPrefix(o, "flagger"), strings.HasPrefix(o, "canary"):
		return "the canary's own rollback"
	case strings.HasPrefix(o, "olm"), strings.HasPrefix(o, "clusterserviceversion"), strings.HasPrefix(o, "operator"):
		return "the operator's Subscription and its custom resource"
	}
	return "change it at that owner's source"
}

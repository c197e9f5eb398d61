package remediate

import "watchdog.io/watchdog/pkg/incident"

// oursToManage: two installations never manage the same target (INV-29).
func oursToManage(f Facts, _ incident.Plan) incident.Answer {
	claimed, object := f.Workload.Annotations[ClaimAnnotation], f.Workload.Target.Kind+" "+f.Workload.Target.Workload
	if h := f.Workload.HPA; h != nil && (claimed == "" || claimed == f.Installation) &&
		h.Annotations[ClaimAnnotation] != "" {
		claimed, object = h.Annotations[ClaimAnnotation], "hpa "+h.Name
	}
	switch claimed {
	case "":
		return pass("0 other installations claim the workload")
	case f.Installation:
		return pass("claimed by this installation, %s", quote(claimed))
	}
	return hold(incident.HandOver, "%s=%s: another installation manages %s, this one is %s; if the other no longer "+
		"exists, run `kubectl -n %s annotate %s %s-`",
		ClaimAnnotation, quote(claimed), f.Workload.Target, quote(f.Installation), f.Workload.Target.Namespace, object,
		ClaimAnnotation)
}

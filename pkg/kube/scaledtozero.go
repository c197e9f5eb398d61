package kube

import (
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scaledByAnnotation is where the watches keep who scaled a workload to zero: of
// managedFields they keep nothing else. No object of the cluster carries it.
const scaledByAnnotation = "watchdog.io/scaled-by"

// scaledBy names the field manager that wrote the number of replicas last, of a workload
// of which none is wanted: "kubectl-scale at 2026-03-01 12:00:05 UTC".
func scaledBy(wanted *int32, m metav1.Object) string {
	if wanted == nil || *wanted > 0 {
		return ""
	}
	for _, w := range managers(m.GetManagedFields()) {
		switch {
		case w.Replicas && w.At.IsZero():
			return fmt.Sprintf("%.100s", w.Name)
		case w.Replicas:
			return fmt.Sprintf("%.100s at %s UTC", w.Name, w.At.UTC().Format(time.DateTime))
		}
	}
	return ""
}

func merged(of map[string]string, name, value string) map[string]string {
	next := maps.Clone(of)
	if next == nil {
		next = map[string]string{}
	}
	next[name] = value
	return next
}

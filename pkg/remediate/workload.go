package remediate

import (
	"encoding/json"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Workload is what one fresh, consistent read says of a target: the object
// itself from a quorum GET, and what belongs to it. Guards and plans look at
// nothing else of the cluster.
type Workload struct {
	Target          incident.Target
	ResourceVersion string
	Generation      int64
	Observed        int64 // status.observedGeneration
	Desired         int   // spec.replicas
	Ready           int
	Updated         int
	Available       int
	Unavailable     int
	Paused          bool
	// MaxUnavailable and MaxSurge are the rolling update's, resolved to pods;
	// Recreate is true for the Recreate strategy.
	MaxUnavailable int
	MaxSurge       int
	Recreate       bool
	// Annotations and Labels are the object's, NamespaceAnnotations its namespace's.
	Annotations          map[string]string
	Labels               map[string]string
	NamespaceAnnotations map[string]string
	NamespaceTerminating bool
	// Template is spec.template as the API server holds it.
	Template json.RawMessage
	// Revisions are the ReplicaSets of the workload, newest first.
	Revisions []Revision
	// HPA scales the workload; nil if none does.
	HPA *HPA
	// Owner is the controller that owns the workload's fields, if it is not a
	// person or a plain kubectl: "Argo CD application shop", "Flux kustomization apps/shop", "Rollout shop". Empty: none.
	Owner string
	// Managers are the field managers of spec.replicas and spec.template, newest first.
	Managers []Manager
	// Pods are the workload's pods, newest revision first.
	Pods []Pod
	// Budgets are the PodDisruptionBudgets that select the pods.
	Budgets []Budget
	// EndpointsReady counts the ready endpoints of the configured Service; -1 without one.
	EndpointsReady int
	ReadAt         time.Time
}

// RolloutInProgress reports whether the controller is still moving pods to the
// newest template or the wanted number.
func (w Workload) RolloutInProgress() bool {
	return w.Observed < w.Generation || w.Updated < w.Desired || w.Available < w.Desired || len(w.Pods) > w.Desired
}

// Newest returns the revision of the current template.
func (w Workload) Newest() (Revision, bool) {
	if len(w.Revisions) == 0 {
		return Revision{}, false
	}
	return w.Revisions[0], true
}

// Revision is one ReplicaSet of a Deployment.
type Revision struct {
	Number    int64 // deployment.kubernetes.io/revision
	Name      string
	UID       string
	CreatedAt time.Time
	Replicas  int
	Ready     int
	Images    []string
	// Template is the pod template without the pod-template-hash label.
	Template json.RawMessage
	// Annotations of the ReplicaSet, for kubernetes.io/change-cause.
	Annotations map[string]string
}

// HPA is the HorizontalPodAutoscaler of a workload.
type HPA struct {
	Name            string
	UID             string
	ResourceVersion string
	Min             int
	Max             int
	Current         int
	Desired         int
	Annotations     map[string]string
}

// Manager is one field manager's last write.
type Manager struct {
	Name     string
	At       time.Time
	Replicas bool // it owns spec.replicas
	Template bool // it owns something in spec.template
}

// Pod is one pod of the workload.
type Pod struct {
	Name     string
	Revision string // ReplicaSet UID
	Ready    bool
	Restarts int
	// Waiting is the reason of a waiting container: CrashLoopBackOff, ImagePullBackOff, …
	Waiting     string
	Terminating bool
	Scheduled   bool
	StartedAt   time.Time
	// LastExit describes the last termination: "exit 1 (Error)", "exit 137 (OOMKilled)".
	LastExit string
	Node     string
}

// Budget is a PodDisruptionBudget over the workload's pods.
type Budget struct {
	Name    string
	Allowed int // disruptions allowed now
}

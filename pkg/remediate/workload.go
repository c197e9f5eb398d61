package remediate

import (
	"encoding/json"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Workload is one fresh, consistent read of a target: the object itself from a
// quorum GET, and what belongs to it. Guards and plans use no other data of the
// cluster.
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
	// Deleting is since when the object is being deleted, and Finalizers what keeps
	// it until then; zero: it is not.
	Deleting   time.Time
	Finalizers []string
	// Template is spec.template as the API server holds it.
	Template json.RawMessage
	// Revisions are the ReplicaSets of the workload, newest first.
	Revisions []Revision
	// HPA scales the workload; nil if none does.
	HPA *HPA
	// Owner is the controller that owns the workload's fields, if it is not a
	// person or a plain kubectl: "Argo CD application shop", "Flux kustomization apps/shop", "Rollout shop". Empty:
	// none.
	Owner string
	// Managers are the field managers of spec.replicas and spec.template, newest first.
	Managers []Manager
	// Pods are the workload's pods, newest revision first.
	Pods []Pod
	// Budgets are the PodDisruptionBudgets that select the pods.
	Budgets []Budget
	// Services are those of the namespace whose selector matches the labels of the
	// current template, whichever the configuration names; NoServices is why they
	// could not be read.
	Services   []Service
	NoServices string
	// EndpointsReady counts the ready endpoints of the configured Service; -1 without one.
	EndpointsReady int
	// DeclaredStartup is how long the template's probes and minReadySeconds let a pod take.
	DeclaredStartup time.Duration
	// ProgressDeadline is how long a rollout may make no progress; 0: the kind has none.
	ProgressDeadline time.Duration
	// Stalled is why the controller cannot create the desired pods: the deadline has
	// passed, or a quota forbids them. Empty: it reports no reason.
	Stalled string
	ReadAt  time.Time
}

// RolloutInProgress reports whether the controller is still moving pods to the
// newest template or the wanted number.
func (w Workload) RolloutInProgress() bool {
	return w.Observed < w.Generation || w.Updated < w.Desired || w.Available < w.Desired || w.living() > w.Desired
}

// living is the number of pods that are not terminating. A terminating pod may stay for
// long, on a lost node, and no longer takes part in a rollout.
func (w Workload) living() int {
	n := 0
	for _, p := range w.Pods {
		if !p.Terminating {
			n++
		}
	}
	return n
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
	// Owner is the controller that would overwrite a change: "ScaledObject shop".
	// Empty: none is known.
	Owner string
	// Deleting is since when it is being deleted; zero: it is not.
	Deleting time.Time
}

// Service is a Service that selects the workload's pods.
type Service struct {
	Name     string
	Selector map[string]string
	// Ready counts its ready endpoints that are pods of the workload.
	Ready int
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
	// WaitingFor is the kubelet's message.
	Waiting     string
	WaitingFor  string
	Terminating bool
	Scheduled   bool
	CreatedAt   time.Time
	StartedAt   time.Time
	ReadyAt     time.Time // since when it is ready
	// LastExit describes the last termination: "exit 1 (Error)", "exit 137 (OOMKilled)".
	LastExit string
	Node     string
}

// Budget is a PodDisruptionBudget over the workload's pods.
type Budget struct {
	Name    string
	Allowed int // disruptions allowed now
}

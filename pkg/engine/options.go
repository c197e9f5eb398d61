package engine

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Cluster is how the engine reads a workload and performs an op's one write.
type Cluster interface {
	// Workload reads the target afresh (a quorum read, no cache).
	Workload(ctx context.Context, target incident.Target, service string) (remediate.Workload, error)
	// Rollouts reads afresh, of Deployments of one namespace, what says which revision each
	// has: the object, its ReplicaSets and its pods, by the target's String. One that cannot
	// be read is left out, and the error says why.
	Rollouts(ctx context.Context, namespace string, targets []incident.Target) (map[string]remediate.Workload, error)
	// References looks for objects of the namespace that a pod template refers to,
	// and returns them with what was found.
	References(ctx context.Context, namespace string, refs []remediate.Reference) []remediate.Reference
	// Write sends exactly one conditional request that carries opID.
	Write(ctx context.Context, opID string, plan incident.Plan) (incident.Outcome, error)
	// Find reports whether the object that the plan writes carries opID.
	Find(ctx context.Context, opID string, plan incident.Plan) (bool, error)
	// Job reads what became of the Job that an op has made.
	Job(ctx context.Context, o incident.Object) (incident.Rollout, error)
	// Capture takes evidence and returns where it is and what could not be had.
	Capture(ctx context.Context, target incident.Target, name string) (ref, gap string, err error)
}

// Store keeps incidents, the ledger and the revision records. Every write is a
// compare-and-swap on the version read: it returns incident.ErrConflict if it lost, and
// incident.ErrNewer for an object of a newer version (INV-49). Responder actions do not change
// the version of an incident.
type Store interface {
	// EachIncident hands over all incidents, one after the other, so that they need not be in
	// memory twice. StoredIncident reads one; false: it is not there.
	EachIncident(ctx context.Context, each func(incident.Stored) error) error
	StoredIncident(ctx context.Context, id string) (incident.Stored, bool, error)
	// ResponderActions reads the responder actions on one incident now. ChangedResponderActions
	// are those known without a request, by incident; they are seconds old at most while the
	// API server can be watched.
	ResponderActions(ctx context.Context, id string) (incident.ResponderActions, error)
	ChangedResponderActions(ctx context.Context) map[string]incident.ResponderActions
	SaveIncident(ctx context.Context, inc incident.Incident, version string) (string, error)
	DeleteIncident(ctx context.Context, id string) error
	Ledger(ctx context.Context) (incident.Ledger, string, error)
	SwapLedger(ctx context.Context, l incident.Ledger, version string) (string, error)
	Records(ctx context.Context, namespace string) (map[string][]remediate.Record, string, error)
	SwapRecords(ctx context.Context, namespace string, records map[string][]remediate.Record, version string) (string,
		error)
}

// Snapshot is everything that is known of one target without asking the cluster.
type Snapshot struct {
	Alerts  []incident.Alert // one per rule that watches the target, with its ladder
	Signals []remediate.Signal
	Rollout incident.Rollout
	// Maintenance is what maintenance windows mean for the target, and Suspended what
	// they forbid watchdog to do to it.
	Maintenance incident.Maintenance
	Suspended   remediate.Suspension
	// Revision is the UID of the newest ReplicaSet, and RevisionNumber its number; 0: not known.
	Revision       string
	RevisionNumber int64
	// Op is the id of the last op that the watches have seen on the workload; nil: they
	// do not tell.
	Op *string
	// CPU is the share of its CPU that the workload uses; nil: not known.
	CPU *float64
}

// firing reports whether an alert fires.
func (s Snapshot) firing() bool {
	return slices.ContainsFunc(s.Alerts, func(a incident.Alert) bool { return a.Firing })
}

// FleetHealth is what one pass of the engine must know of all targets together.
type FleetHealth struct {
	Watched   int
	Unhealthy int
	Blind     string
}

// Rung is how one rung of one rule is set up for one target.
type Rung struct {
	Options remediate.Options
	Mode    incident.Mode
	ModeWhy string
}

// Options are the engine's edges. All are required but Observed and Now.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Cluster    Cluster
	Store      Store
	// Audit appends records, all or none; they are on disk when it returns.
	Audit func(...audit.Record) error
	// NoDecisions: the audit record does not get what `watchdog audit replay` needs. For
	// simulations of many worlds, whose record nobody reads.
	NoDecisions bool
	// Tell hands the complete incident to the receivers; it never blocks.
	Tell func(incident.Incident)
	// Observed receives each new timeline entry: for Kubernetes Events and the log.
	Observed func(incident.Incident, incident.Entry)
	// Released, if set, receives each new rollout of a Deployment; it never blocks.
	Released func(Release)
	// InTurn: what does not depend on each other is read in turn all the same. For simulations,
	// whose world is one thread.
	InTurn bool
	// Background, if set, marks the requests of a context as some that nothing waits for.
	Background func(context.Context) context.Context
	// Unfit is why this process must not act from the start; empty: it may.
	Unfit string
	// Keep says that an incident that is over must stay although newer ones push it
	// out: up to twice as many. Nil: none must.
	Keep func(incident.Incident) bool
	// Restored receives the incidents found at start, before the first evaluation.
	Restored func([]incident.Incident)
	// NewID makes the id of an incident or op. Default: a ULID in lower case.
	NewID   func() string
	Now     func() time.Time
	Policy  incident.Policy
	Workers int
}

// Setup is what a configuration decides. It is replaced as a whole by a reload.
type Setup struct {
	Config string // hash of the configuration
	// Targets by name, with the Service whose endpoints are counted.
	Targets map[string]TargetSetup
	// Other answers for names that are no target and have alerts all the same; nil:
	// there are none.
	Other func(name string) (TargetSetup, bool)
	// Others are the names that Other answers for and that have alerts now: nobody
	// else lists them for a new leader. Nil: there are none.
	Others func() []string
	// Snapshot and FleetHealth are asked at each step; Fresh looks and judges at this moment.
	Snapshot    func(target string) Snapshot
	Fresh       func(ctx context.Context, target string) (Snapshot, error)
	FleetHealth func() FleetHealth
	// Newest returns the UID and number of a target's newest revision, as Snapshot does, at
	// less cost; empty: not known. Nil: Snapshot is asked.
	Newest func(target string) (uid string, number int64)
	// Own are further alerts on watchdog itself, those that do not fire among them;
	// nil: there are none.
	Own func() []incident.Alert
	// Dependencies returns the health document's checks.
	Dependencies func(ctx context.Context, target string) []remediate.Dependency
	// Rung returns how a rung is set up.
	Rung         func(target string, alert incident.Alert, index int) Rung
	Settings     remediate.Settings
	Limits       incident.Limits
	Policy       incident.Policy
	Installation string
	// Canary says that the rules have one for incident.Canary.
	Canary bool
}

// TargetSetup is one target of the configuration.
type TargetSetup struct {
	Target  incident.Target
	Service string
	// Mode is the lower of the configuration's and the target's, and ModeWhy whose
	// it is: it decides whether leases are reverted.
	Mode    incident.Mode
	ModeWhy string
}

// target returns how a name is set up.
func (s *Setup) target(name string) (TargetSetup, bool) {
	ts, ok := s.Targets[name]
	if !ok && s.Other != nil {
		return s.Other(name)
	}
	return ts, ok
}

func (s *Setup) others() []string {
	if s == nil || s.Others == nil {
		return nil
	}
	return s.Others()
}

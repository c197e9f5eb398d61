package remediate

import (
	"encoding/json"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Facts are the whole input of a plan and its guards: read once, immediately before,
// and passed as values.
type Facts struct {
	Now      time.Time
	OpID     string // the op that the plan is for
	Incident incident.Incident
	Alert    incident.Alert // the leading alert
	Rung     incident.Rung
	Options  Options
	// Mode is the effective mode and ModeWhy which of configuration, target, rule or rung set it.
	Mode     incident.Mode
	ModeWhy  string
	Workload Workload
	Ledger   incident.Ledger
	// Responders are the acknowledgements and approvals of the incident, read with the rest.
	Responders incident.ResponderActions
	Limits     incident.Limits
	Signals    []Signal
	// CPU is the share of its CPU that the workload uses; nil: unknown.
	CPU *float64
	// Dependencies are the health document's checks of things that are not the workload.
	Dependencies []Dependency
	// Watched targets, and how many of them are in breach now.
	Watched   int
	Unhealthy int
	// Blind explains why watchdog cannot trust its data, or itself; empty: it can.
	Blind string
	// Storm describes a fault of more than this target; empty: none.
	Storm string
	// Suspended is what maintenance windows suspend now.
	Suspended Suspension
	// Records are the records of the workload's revisions.
	Records []Record
	// References are the objects that the template of the rung needs, as they were read.
	References []Reference
	Settings   Settings
	// Installation names this installation of watchdog, for the claim on a target (INV-29).
	Installation string
}

// Options are the rung's options.
type Options struct {
	By      string // "25%" or "2"
	AtLeast int
	Max     int
	Lease   time.Duration
	// Job is the vetted manifest as JSON, JobName its name in the configuration.
	Job     json.RawMessage
	JobName string
	// JobAllow are the allowances of the template (JobAllowances).
	JobAllow []string
	// SingleSource waives the second source of evidence and gives the reason (INV-11).
	SingleSource string
	// Approvals is how many people must approve in mode approve, and CoolOff how long
	// watchdog then still waits for a denial.
	Approvals int
	CoolOff   time.Duration
}

// Settings are the guards' numbers.
type Settings struct {
	AvailabilityFloor float64 // share of desired replicas, 0…1
	MaxUnhealthy      float64 // share of watched targets, 0…1
	// StormFrom is the minimum number of targets in breach for a storm, whatever
	// their share.
	StormFrom int
	// OutageTolerance is how long monitoring may return no data before on-call is notified.
	OutageTolerance time.Duration
	SuspectWindow   time.Duration
	GoodAfter       time.Duration
	HumanChange     time.Duration
	// OwnChange is how long watchdog's own changes are remembered: a change that was undone
	// is not repeated, and no field oscillates.
	OwnChange time.Duration
	// StartupGrace is how long after watchdog replaced pods their startup may cause
	// a breach.
	StartupGrace time.Duration
	MaxReplicas  int
	// StaleAfter is how old the leading alert's evaluation may be (INV-12).
	StaleAfter time.Duration
	// RemediateSilenced allows actions for a silenced alert.
	RemediateSilenced bool
}

// Suspension states from which class on actions are suspended, why and until when. The
// zero value suspends none.
type Suspension struct {
	From  incident.Class
	Why   string    // "in maintenance until 03:00 UTC, 42m left, by alice: database upgrade"
	Until time.Time // zero: not known
}

// SourceAlertmanager is the source of an external alert, which is not evidence
// for an action (INV-16).
const SourceAlertmanager = incident.SourceAlertmanager

// Signal is what one kind of source reports about the target.
type Signal struct {
	Source string // probe, app, kubernetes, prometheus
	Bad    bool
	Known  bool // false: the source has no answer
	Detail string
	At     time.Time
}

// Dependency is one entry of the health document's checks.
type Dependency struct {
	Check string
	Up    bool
	Known bool
}

// Record is what watchdog remembers of one revision of a workload.
type Record struct {
	UID          string    `json:"uid"` // of the ReplicaSet
	Number       int64     `json:"number"`
	SeenAt       time.Time `json:"seenAt"`
	HealthySince time.Time `json:"healthySince,omitzero"`
	GoodAt       time.Time `json:"goodAt,omitzero"`       // when it had been healthy long enough
	RolledBackAt time.Time `json:"rolledBackAt,omitzero"` // when watchdog rolled it back
	// Startup is what its pods took to become ready when it was first seen complete.
	Startup    time.Duration `json:"startup,omitempty"`
	RestoredBy string        `json:"restoredBy,omitempty"` // op of a rollback that made this revision current
	CurrentAt  time.Time     `json:"currentAt,omitzero"`   // when it last became the current one
}

// Annotations that watchdog reads and writes on workloads.
const (
	// OpAnnotation carries the id of the last op that wrote the object (INV-02, INV-06).
	OpAnnotation = "watchdog.io/op"
	// ClaimAnnotation names the installation that manages the workload (INV-29).
	ClaimAnnotation = "watchdog.io/managed-by"
	// HoldAnnotation on a workload or its namespace forbids every op (INV-25);
	// its value is the reason. `kubectl annotate deployment/x watchdog.io/hold=why` works with watchdog down.
	HoldAnnotation = "watchdog.io/hold"
	// NoRollbackAnnotation on a workload forbids rollback (INV-34).
	NoRollbackAnnotation = "watchdog.io/no-rollback"
	// RestartedAtAnnotation on the pod template is what kubectl rollout restart writes.
	RestartedAtAnnotation = "kubectl.kubernetes.io/restartedAt"
)

package explore

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Bounds of what a state can hold.
const (
	maxReplicas = 3
	maxTargets  = 2
	maxSlots    = 3 // incidents of one target at a time
	maxMessages = 4 // writes on their way at a time
	maxOps      = 15
)

// Guards are the parts of the op protocol. Each can be left out, to see what it
// is there for.
type Guards struct {
	NoIntent       bool // the shell says "reserved" and writes nothing
	NoVerify       bool // neither Find nor Recheck looks before the op is sent (again)
	NoPrecondition bool // the write carries no resourceVersion
	NoLedgerCAS    bool // the ledger is read, then written without asking whether it changed
	NoOpID         bool // the write leaves no op id on the object
}

// Shell are habits of the shell that the explorer found to be wrong, each with a
// story. Without them the model is the shell as it must be; a habit that pkg/engine
// still has is a bug of it.
type Shell struct {
	// ReleaseUnstored: an op that was not applied is taken out of the ledger before
	// the incident is stored. Two replicas then race without noticing.
	ReleaseUnstored bool
	// AdoptEarly: the op of another incident on the target is taken over before
	// that incident is ended, so its owner may still send it.
	AdoptEarly bool
	// BeginUnsaved: a pass begins new work though the last one could not be stored.
	BeginUnsaved bool
	// KeepResolved: an incident that turns out to be over when it is read again is
	// kept as the target's, so that a new one never opens.
	KeepResolved bool
	// ShareOps: a new leader gives an op to the incident that it works on, though
	// the ledger says that it belongs to another, whose owner may go on with it.
	ShareOps bool
	// LeaveOps: after its start a leader never looks whether the ledger holds an op
	// that nobody works on.
	LeaveOps bool
}

// Budget says how often each kind of trouble may come.
type Budget struct {
	Crashes int // a replica loses its memory
	Leases  int // a replica loses its lease and is not told
	Faults  int // an answer is lost, late or a denial, a write is doubled, a read fails
	People  int // hold, lift, edit, kill switch
	World   int // recovery, data lost or back, trouble again, another controller's write
}

// Config is one exploration.
type Config struct {
	Name     string
	Replicas int
	Targets  int
	Budget   Budget
	Guards   Guards
	Shell    Shell
	// Ops is the ledger's budget: ops per target and in the cluster.
	Ops    int
	Ladder []incident.Rung
	// Twin: a second rule fires with the first, comes before it, and is only told.
	Twin bool
	// Limit ends the exploration after so many states; 0: never. It is for tests
	// that must be quick, and the result says that it was used.
	Limit   int
	Workers int
}

// unit is the step of the model's clock. It is one minute because evidence is
// good for one minute.
const unit = time.Minute

// Ladders: the shortest one that acts and ends, and one with two actions.
var (
	restartThenPage = []incident.Rung{{Action: "restart", Class: incident.C3, Verify: 2 * unit, Index: 0},
		{Action: "page", Class: incident.C1, Index: 1}}
	scaleThenRestart = []incident.Rung{{Action: "scale", Class: incident.C2, Verify: 2 * unit, Index: 0},
		{Action: "restart", Class: incident.C3, Verify: 2 * unit, Index: 1}}
)

// policy are the core's own numbers, as small as they can be and still differ.
var policy = incident.Policy{Retry: unit, Late: lateUnits * unit, WaitLimit: 4 * unit, StopLoss: 2, Sends: 3}

// Clamps: from these ages on, in units, no decision tells times apart.
const (
	lateUnits   = flight + overlap
	waitUnits   = 4
	verifyUnits = 2
)

// What the network and the fence promise, in units: a write arrives sooner than
// flight after its op was last rechecked, or never; a replica that lost its lease
// goes on for no longer than overlap after another could take it (INV-05). Late
// must cover both.
const (
	flight  = 2
	overlap = 1
)

// farAway is a budget window that does not end while anybody explores.
const farAway = 1000 * unit

func (c Config) limits() incident.Limits {
	r := incident.Rate{Count: c.Ops, Per: farAway}
	return incident.Limits{PerTarget: r, PerNamespace: r, Cluster: r, Concurrent: c.Targets}
}

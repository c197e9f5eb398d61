package incident

import "time"

// Event is something that happened: time passed (Tick), or an effect came back
// with its result.
type Event interface{ at() time.Time }

// Tick says what is true now. It is the only event that comes by itself.
type Tick struct {
	At time.Time
	// Alerts are the rules' present views of the target, one per rule.
	Alerts []Alert
	// Shared describes a problem of more than this target that has an incident of its own: a
	// storm, or blindness. Meanwhile there are no actions and no second page.
	Shared string
	// Responders are the actions of responders on the incident. Recorded decisions have them as Words.
	Responders ResponderActions `json:"Words"`
	// Maintenance is what maintenance windows mean for the target now.
	Maintenance Maintenance
	// Rollout is what the workload does; Known is false if it could not be read.
	Rollout Rollout
}

// Rollout is the little that the core must know of a workload.
type Rollout struct {
	Known bool
	Done  bool // every wanted pod is of the newest template and ready
	Ready int
	// Replicas are how many pods are wanted; 0: none, or not known.
	Replicas int
	// LastReady is when the youngest ready pod became ready; zero: not known.
	LastReady time.Time
	// Deadline is how long a rollout may make no progress; 0: not known.
	Deadline time.Duration
	// Stalled is why it will not complete by itself; empty: it may.
	Stalled string
	// Endpoints are the ready endpoints that are pods of the workload, by Service; a
	// Service that is not among them has none. Nil: not known.
	Endpoints map[string]int
	// OfJob: it is that of the Job which the op has made, and not the workload's.
	OfJob bool
}

// Considered is the answer to the effect Consider: a plan and the answers of the guards.
type Considered struct {
	At    time.Time
	OpID  string
	Plan  Plan
	Ready int
	// Endpoints are as in Rollout, when the plan was made.
	Endpoints map[string]int
	Config    string
	Answers   []Answer
	Hold      Hold // empty: the plan may go on
	Reason    string
	RetryAt   time.Time
	// Quorum is how many approvals the plan requires, and CoolOff how long watchdog then still
	// waits for a denial; of rungs that require approval.
	Quorum  int
	CoolOff time.Duration
}

// Reserved says that the op is in the ledger: its intent is durable.
type Reserved struct{ At time.Time }

// Refused says that the ledger did not take the op.
type Refused struct {
	At     time.Time
	Answer Answer
}

// Captured says that evidence was taken; Gap is what is missing.
type Captured struct {
	At  time.Time
	Ref string
	Gap string
}

// Rechecked is the answer to the effect Recheck: the plan bound to what was read
// a moment ago, or the reason to let it be.
type Rechecked struct {
	At      time.Time
	Looked  time.Time // when the look began
	Plan    Plan
	Answers []Answer
	Hold    Hold
	Reason  string
	RetryAt time.Time
}

// Outcome of a write, as the API server answered it.
type Outcome string

// Outcomes of a write.
const (
	Applied    Outcome = "applied"
	Conflicted Outcome = "conflict" // the object was not what the plan expected
	Denied     Outcome = "denied"   // forbidden, invalid, or refused by admission
	Unsent     Outcome = "unsent"   // it certainly never left: nothing was recorded or leadership was lost
	Unknown    Outcome = "unknown"  // no answer, or one that proves nothing
)

// Acted is the answer to the effect Act.
type Acted struct {
	At      time.Time
	Outcome Outcome
	Reason  string
	// Hold is, of what was not sent, what follows for the ladder; empty: it waits.
	Hold Hold `json:",omitempty"`
}

// Found is the answer to the effect Find. Known is false if the target could not be read.
type Found struct {
	At      time.Time
	Known   bool
	Applied bool
}

// Released says that the op is out of the ledger.
type Released struct{ At time.Time }

func (e Tick) at() time.Time       { return e.At }
func (e Considered) at() time.Time { return e.At }
func (e Reserved) at() time.Time   { return e.At }
func (e Refused) at() time.Time    { return e.At }
func (e Captured) at() time.Time   { return e.At }
func (e Rechecked) at() time.Time  { return e.At }
func (e Acted) at() time.Time      { return e.At }
func (e Found) at() time.Time      { return e.At }
func (e Released) at() time.Time   { return e.At }

// Effect is something to do in the world. Each comes back as an event; one that
// is lost is asked for again by a later Tick, because what is to be done next
// follows from the incident alone.
type Effect string

// The effects, with the event each comes back as.
const (
	Consider Effect = "consider" // plan the lead's next rung and ask the guards → Considered
	Reserve  Effect = "reserve"  // put Op into the ledger by compare-and-swap → Reserved, Refused
	Capture  Effect = "capture"  // take evidence → Captured
	Recheck  Effect = "recheck"  // read afresh and ask the guards again → Rechecked
	Act      Effect = "act"      // record, then send Op's one conditional write → Acted
	Find     Effect = "find"     // look for Op's id on the object → Found
	Release  Effect = "release"  // take Op out of the ledger → Released
)

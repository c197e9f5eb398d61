package rules

// Verdict is what one evaluation says of one target. Only Breach may lead to
// an action.
type Verdict string

// The six verdicts.
const (
	OK       Verdict = "OK"
	Breach   Verdict = "BREACH"
	NoData   Verdict = "NO_DATA"  // nothing to judge by: no series, or too little traffic
	Stale    Verdict = "STALE"    // the newest sample is too old
	Error    Verdict = "ERROR"    // the question failed, or its answer is no finite number
	Conflict Verdict = "CONFLICT" // sources contradict each other
)

// Unknown reports whether v is neither good nor bad.
func (v Verdict) Unknown() bool { return v != OK && v != Breach }

// AlertState is where an alert stands after `for` and the clear condition.
type AlertState string

// States of an alert.
const (
	Inactive AlertState = "inactive"
	Pending  AlertState = "pending" // in breach, but not yet for long enough
	Firing   AlertState = "firing"
)

func (s AlertState) active() bool { return s == Pending || s == Firing }

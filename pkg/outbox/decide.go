package outbox

import (
	"cmp"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// item is one incident on its way to one receiver: what is to be told, what was told,
// and what came of the attempts.
type item struct {
	receiver  string
	incident  incident.Incident // the newest state, while it waits
	waits     bool              // the newest state is in the queue
	receipt   incident.Receipt  // the newest of this outbox, until the incident is over and told
	since     time.Time         // since when the receiver is owed what it was not told; zero: nothing is owed
	notBefore time.Time         // no attempt is made before
	own       bool              // that is the receiver's own wish, and news of the incident ends it
	fails     int               // attempts that failed in a row
	doubt     bool              // one of them may have arrived all the same, and no later one was answered
	refused   bool              // the newest state that was tried was refused for good
}

// told reports whether the receiver was told of the incident, by whichever replica.
func (it *item) told() bool { return notify.Told(it.newest(&it.incident)) }

// newest is the later of our receipt and the one on the incident, which may come
// from another replica.
func (it *item) newest(i *incident.Incident) incident.Receipt {
	if theirs := i.Receipts[it.receiver]; theirs.At.After(it.receipt.At) {
		return theirs
	}
	return it.receipt
}

// before reports whether one that is due is tried before another: what was tried least
// comes first, and of that what is worst. If some messages are such that the other side
// cannot bear them, the others do not wait behind them.
func (it *item) before(o *item) bool {
	return cmp.Or(cmp.Compare(it.fails, o.fails), cmp.Compare(it.incident.Severity, o.incident.Severity)) < 0
}

// policy is what a decision depends on beside the item itself.
type policy struct {
	canary  bool      // the receiver takes the canary, and nothing else
	yielded bool      // another replica leads, and the incident is not this one's own
	crowded bool      // more waits than the queue holds, and this is the least urgent
	quiet   time.Time // the receiver is left alone until then: the breaker is open, or it asked for it
	step    int       // of the escalation, from which on the receiver is told; 0: from the beginning
	named   bool      // a step names it

	// primary returns what the receiver has of the incident for which this one stands in: it is
	// told only of what that one could not be told. nil: it stands in for none. It is a
	// function because it is wanted last, and seldom. It returns nil if there is no such receiver.
	primary func() *side
}

// side is an incident on its way to another receiver. Its incident is as the one that asks
// knows it.
type side struct {
	*item
	incident *incident.Incident
	policy
}

// verb is what is done with an item now.
type verb int

const (
	send  verb = iota // hand the incident to the receiver
	later             // ask again at a known time
	leave             // as things are, nothing is to be told: it is taken out of the queue, and news asks again
	drop              // this state is none of this queue's any more, whatever else changes
)

func (v verb) String() string { return [...]string{"send", "later", "leave", "drop"}[v] }

// reason is why a decision is what it is.
type reason string

// The reasons, in the order in which decide asks.
const (
	notItsCanary   reason = "the canary is for its own receiver, and for no other"
	anotherLeads   reason = "another replica leads and tells it"
	queueFull      reason = "more waits than the queue holds, and this is the least urgent"
	wasRefused     reason = "the receiver refused this state for good"
	upToDate       reason = "the receiver knows the newest state"
	leftAlone      reason = "the receiver failed several times in a row, or asked for quiet"
	ownWait        reason = "the receiver itself waits"
	backsOff       reason = "the last attempt failed"
	keptUpToDate   reason = "the receiver was told of the incident before"
	mayHaveArrived reason = "the incident is over, and an attempt that failed may have opened it there"
	inMaintenance  reason = "the target is in maintenance"
	silenced       reason = "all that fires is silenced"
	stepNotReached reason = "its step of the escalation has not come"
	stepReached    reason = "its step of the escalation has come"
	primaryAbsent  reason = "the receiver that it stands in for is not there"
	primaryHasIt   reason = "the receiver that it stands in for took it, or does not want it"
	primaryRefused reason = "the receiver that it stands in for refused it"
	primaryMayTake reason = "the receiver that it stands in for may still take it"
	primaryFails   reason = "the receiver that it stands in for does not take it"
	firstTime      reason = "the receiver was not told yet"
)

// decision is what is done with an item, and why.
type decision struct {
	verb
	reason
	at    time.Time // of later: when it is asked again
	doubt bool      // of send: an attempt before this one failed, and may have arrived
}

// fallbackAfter is how long a receiver may fail to take an incident until its
// fallback is told. With an attempt's own time it keeps within a minute (INV-42).
const fallbackAfter = 30 * time.Second

// decide says what is done with an item now. It is pure: the same item, policy and time
// give the same decision, and all that holds a message back meets here.
//
// What a receiver was once told of, it hears to the end: silences, steps and fallbacks
// hold back beginnings only. What it may have been told of, it hears the end of.
func decide(it *item, p policy, now time.Time) decision {
	yes := func(why reason) decision { return decision{verb: send, reason: why, doubt: it.doubt} }
	no := func(v verb, why reason) decision { return decision{verb: v, reason: why} }
	wait := func(at time.Time, why reason) decision { return decision{verb: later, reason: why, at: at} }
	i := &it.incident
	switch {
	case p.canary != (i.Target.Name == incident.Canary):
		return no(drop, notItsCanary)
	case p.yielded:
		return no(drop, anotherLeads)
	case p.crowded:
		return no(drop, queueFull)
	case !it.waits && it.refused:
		return no(drop, wasRefused)
	case !it.waits:
		return no(leave, upToDate)
	case now.Before(p.quiet):
		return wait(p.quiet, leftAlone)
	case now.Before(it.notBefore) && it.own:
		return wait(it.notBefore, ownWait)
	case now.Before(it.notBefore):
		return wait(it.notBefore, backsOff)
	case it.told():
		return yes(keptUpToDate)
	case it.doubt && i.Phase == incident.Resolved:
		return yes(mayHaveArrived)
	case i.Silenced() != "":
		return no(leave, heldBack(i))
	case i.Step < p.step && p.primary == nil:
		return no(leave, stepNotReached)
	case p.named && i.Step >= p.step:
		return yes(stepReached)
	case p.primary == nil:
		return yes(firstTime)
	}
	// A fallback is told of what was not taken also before its step.
	primary := p.primary()
	if primary == nil {
		return yes(primaryAbsent)
	}
	since, has := primary.owed()
	switch at := since.Add(fallbackAfter); {
	case has:
		return no(leave, primaryHasIt)
	case since.IsZero():
		return yes(primaryRefused)
	case now.Before(at):
		return wait(at, primaryMayTake)
	}
	return yes(primaryFails)
}

// heldBack is why an incident that is silenced is.
func heldBack(i *incident.Incident) reason {
	if i.Silenced() == i.Maintenance.Held {
		return inMaintenance
	}
	return silenced
}

// owed is from when on a receiver fails to take an incident; zero: it has refused it.
// has: it took it, or does not want it. The time of one that is a fallback itself begins
// when its turn does.
func (s *side) owed() (since time.Time, has bool) {
	switch {
	case s.since.IsZero():
		return time.Time{}, !s.refused
	case notify.Told(s.newest(s.incident)), s.named && s.incident.Step >= s.step, s.primary == nil:
		return s.since, false // it is to be told itself
	}
	primary := s.primary()
	if primary == nil {
		return s.since, false
	}
	first, has := primary.owed()
	if has {
		return time.Time{}, true
	}
	if turn := first.Add(fallbackAfter); !first.IsZero() && turn.After(s.since) {
		return turn, false
	}
	return s.since, false
}

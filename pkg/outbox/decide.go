package outbox

import (
	"cmp"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// item is one incident on its way to one receiver: what is to be sent, what was sent,
// and the results of the attempts.
type item struct {
	receiver  string
	incident  incident.Incident // the newest state, while it waits
	waits     bool              // the newest state is in the queue
	receipt   incident.Receipt  // the newest of this outbox, until the incident is resolved and sent
	since     time.Time         // since when the receiver misses something; zero: it misses nothing
	notBefore time.Time         // no attempt is made before
	own       bool              // that is the receiver's own delay, and news of the incident ends it
	fails     int               // attempts that failed in a row
	doubt     bool              // one of them may have arrived all the same, and no later one was answered
	refused   bool              // the newest state that was tried was refused for good
}

// notified reports whether the receiver was notified of the incident, by whichever replica.
func (it *item) notified() bool { return notify.Notified(it.newest(&it.incident)) }

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
	step    int       // of the escalation, from which on the receiver is notified; 0: from the beginning
	named   bool      // a step names it

	// primary returns what the receiver has of the incident for which this one is the fallback:
	// it is notified only of what that one does not accept. nil: it is no fallback. It is a
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
	leave             // as things are, nothing is to be sent: it is taken out of the queue, and news asks again
	drop              // this state is none of this queue's any more, whatever else changes
)

func (v verb) String() string { return [...]string{"send", "later", "leave", "drop"}[v] }

// reason is why a decision is what it is.
type reason string

// The reasons, in the order in which decide asks.
const (
	notItsCanary   reason = "the canary goes to its own receiver only"
	anotherLeads   reason = "another replica leads and sends it"
	queueFull      reason = "the queue is full, and this is the least urgent incident in it"
	wasRefused     reason = "the receiver rejected this state permanently"
	upToDate       reason = "the receiver has the newest state"
	leftAlone      reason = "the receiver failed repeatedly, or asked for a pause"
	ownWait        reason = "the receiver delays it"
	backsOff       reason = "the last attempt failed"
	keptUpToDate   reason = "the receiver was notified of the incident before"
	mayHaveArrived reason = "the incident is resolved, and a failed attempt may have opened it there"
	inMaintenance  reason = "the target is in maintenance"
	silenced       reason = "all firing alerts are silenced"
	stepNotReached reason = "its escalation step has not been reached"
	stepReached    reason = "its escalation step has been reached"
	primaryAbsent  reason = "its primary receiver is not configured"
	primaryHasIt   reason = "its primary receiver accepted it, or does not want it"
	primaryRefused reason = "its primary receiver rejected it"
	primaryMayTake reason = "its primary receiver may still accept it"
	primaryFails   reason = "its primary receiver does not accept it"
	firstTime      reason = "the receiver has not been notified yet"
)

// decision is what is done with an item, and why.
type decision struct {
	verb
	reason
	at    time.Time // of later: when it is asked again
	doubt bool      // of send: an attempt before this one failed, and may have arrived
}

// fallbackAfter is how long a receiver may fail to take an incident until its
// fallback is notified. With an attempt's own time it keeps within a minute (INV-42).
const fallbackAfter = 30 * time.Second

// decide says what is done with an item now. It is pure: the same item, policy and time
// give the same decision, and all that holds a message back meets here.
//
// A receiver that was notified of an incident gets all of it: silences, steps and fallbacks
// hold back beginnings only. One that may have been notified is sent the end.
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
	case it.notified():
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
	// A fallback is notified of what was not accepted also before its step.
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
	case notify.Notified(s.newest(s.incident)), s.named && s.incident.Step >= s.step, s.primary == nil:
		return s.since, false // it is to be notified itself
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

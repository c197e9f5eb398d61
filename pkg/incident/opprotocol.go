package incident

import (
	"cmp"
	"fmt"
	"time"
)

// OpOwner is what the protocol must know of whom an op is done for.
type OpOwner struct {
	// NextAt is when to ask again for what the op waits for; zero: at once.
	NextAt time.Time
	// Evidence was taken for the owner a moment ago; empty: none was.
	Evidence string
	Policy   Policy
}

// OpStep is what comes of one event for an op.
type OpStep struct {
	Op      Op
	NextAt  time.Time // see OpOwner
	Effects []Effect
	Entries []Entry // for the owner's timeline, without a time
	// Applied says that the write is known to be done since this event: its effect is to be judged.
	Applied bool
}

// Step moves an op on by one event, from its reservation until it is applied or aborted: it is
// the op protocol (docs/architecture.md, "The one screen"). It is total: an event that does not
// fit the op's phase changes nothing. What is refused before, how the effect is judged, and what
// follows from a finished op is the owner's.
func (op Op) Step(e Event, owner OpOwner) OpStep {
	m := &opMove{OpStep: OpStep{Op: op, NextAt: owner.NextAt}, at: e.at(), owner: owner}
	switch e := e.(type) {
	case Tick:
		m.resume()
	case Reserved:
		m.reserved()
	case Captured:
		m.captured(e)
	case Rechecked:
		m.rechecked(e)
	case Acted:
		m.acted(e)
	case Found:
		m.found(e)
	}
	return m.OpStep
}

// opMove is one call of Op.Step.
type opMove struct {
	OpStep
	at    time.Time
	owner OpOwner
}

func (m *opMove) do(e Effect) { m.Effects = append(m.Effects, e) }

func (m *opMove) note(kind Kind, text string) {
	m.Entries = append(m.Entries, Entry{Kind: kind, Text: text})
}

func (m *opMove) retryIn(d time.Duration) { m.NextAt = m.at.Add(d) }

// resume asks again for whatever the op is waiting for. It is what makes a crash at
// any point harmless: the op's phase alone says what is next.
func (m *opMove) resume() {
	if m.at.Before(m.NextAt) {
		return
	}
	switch m.Op.Phase {
	case Reserving:
		m.do(Reserve)
	case Intent:
		m.prepare()
	case Evidenced:
		m.do(Recheck)
	case Sent, InDoubt:
		m.Op.Phase = InDoubt
		m.do(Find)
	case Finished:
		m.do(Release)
	}
}

func (m *opMove) reserved() {
	if m.Op.Phase != Reserving {
		return
	}
	m.Op.Phase = Intent
	m.prepare()
}

// prepare takes evidence before anything that destroys it (class C3 and above).
func (m *opMove) prepare() {
	op := &m.Op
	switch {
	case op.Plan.Class < C3 || op.Evidence != "":
		m.do(Recheck)
	case m.owner.Evidence != "":
		op.Evidence, op.Phase = m.owner.Evidence, Evidenced
		m.do(Recheck)
	default:
		m.do(Capture)
	}
}

func (m *opMove) captured(e Captured) {
	if m.Op.Phase != Intent {
		return
	}
	m.note(KindCaptured, e.text())
	m.Op.Evidence = or(e.Ref, "none: "+e.Gap)
	m.Op.Phase = Evidenced
	m.do(Recheck)
}

// awaitsRecheck reports whether the op may be sent once it has been checked again.
func (op Op) awaitsRecheck() bool {
	return (op.Phase == Intent || op.Phase == Evidenced) && (op.Plan.Class < C3 || op.Evidence != "")
}

// rechecked sends the op, or lets it be for the reason found a moment before.
func (m *opMove) rechecked(e Rechecked) {
	op := &m.Op
	if !op.awaitsRecheck() {
		return
	}
	if e.Hold == "" && op.Sends >= m.owner.Policy.Sends {
		e.Hold, e.Reason = HandOver, fmt.Sprintf("sent %d times, never applied: the object changes too often or "+
			"the API server does not respond", op.Sends)
	}
	if e.Hold != "" {
		m.abort(e.Hold, e.Reason)
		return
	}
	op.Plan.Object = e.Plan.Object
	op.Phase, op.SentAt, op.LookedAt = Sent, m.at, e.Looked
	op.Sends++
	m.do(Act)
}

// abort ends an op that was not applied. One that was ever sent without an
// answer may have landed since anybody looked: it stays in doubt until somebody
// has looked after the last moment at which it could.
func (m *opMove) abort(h Hold, reason string) {
	if m.Op.Sends > 0 && !m.Op.SentAt.IsZero() {
		m.Op.Phase = InDoubt
		m.retryIn(m.owner.Policy.Retry)
		return
	}
	m.end(h, reason)
}

// end aborts an op that certainly changed nothing; it stays until the ledger has let it go.
func (m *opMove) end(h Hold, reason string) {
	m.Op.finish(Aborted, reason)
	m.Op.Hold = h
	m.NextAt = time.Time{}
	m.do(Release)
}

func (op *Op) finish(verdict OpVerdict, reason string) {
	op.Phase, op.Verdict, op.Reason = Finished, verdict, reason
}

func (m *opMove) acted(e Acted) {
	op := &m.Op
	if op.Phase != Sent {
		return
	}
	switch e.Outcome {
	case Applied:
		m.applied()
	case Conflicted:
		// Even a conflict may be our own write, answered to a copy of the request.
		op.Phase = InDoubt
		m.note(KindConflict, or(e.Reason, "the object changed before the write"))
		m.do(Find)
	case Denied:
		if op.Sends > 1 {
			// This request did nothing; an earlier one of the same op may still land.
			m.abort(HandOver, e.Reason)
			return
		}
		m.end(HandOver, e.Reason)
	case Unsent:
		op.Sends--
		m.abort(cmp.Or(e.Hold, Wait), e.Reason)
	default:
		op.Phase = InDoubt
		m.retryIn(m.owner.Policy.Retry / 5)
		m.note(KindInDoubt, fmt.Sprintf("outcome of op %s unknown: %s; re-reading the target first", op.ID, e.Reason))
	}
}

func (m *opMove) applied() {
	m.Op.Phase, m.Op.AppliedAt = Settling, m.at
	m.NextAt, m.Applied = time.Time{}, true
	m.note(KindActed, m.Op.Plan.Summary)
}

func (m *opMove) found(e Found) {
	op := &m.Op
	if op.Phase != InDoubt {
		return
	}
	switch {
	case !e.Known:
		m.retryIn(m.owner.Policy.Retry)
	case e.Applied:
		m.applied()
	default:
		// Not applied so far. The same op goes on with a fresh precondition: of this
		// write and the one that may still be under way, at most one can land.
		op.Phase = Evidenced
		if m.at.Sub(op.SentAt) >= m.owner.Policy.Late {
			op.SentAt = time.Time{}
		}
		if op.Plan.Class >= C3 && op.Evidence == "" {
			op.Phase = Intent
		}
		m.NextAt = time.Time{}
		if op.Phase == Intent {
			m.prepare()
			return
		}
		m.do(Recheck)
	}
}

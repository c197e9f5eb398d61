package incident

import (
	"cmp"
	"fmt"
	"time"
)

// resume asks again for whatever the op in flight is waiting for. It is what
// makes a crash at any point harmless: the op's phase alone says what is next.
func (s *step) resume(e Tick) {
	op := s.i.Op
	if op.Phase == Settling {
		s.settle(e)
		return
	}
	if s.at.Before(s.i.NextAt) {
		return
	}
	switch op.Phase {
	case Reserving:
		s.do(Reserve)
	case Intent:
		s.prepare()
	case Evidenced:
		s.do(Recheck)
	case Sent, InDoubt:
		op.Phase = InDoubt
		s.do(Find)
	case Finished:
		s.do(Release)
	}
}

// considered takes a plan on, or follows what its refusal means.
func (s *step) considered(e Considered) {
	k := s.leading()
	if s.i.Op != nil || k < 0 || s.i.HandedOver || s.i.Alerts[k].Ended ||
		s.i.Alerts[k].Next >= len(s.i.Alerts[k].Ladder) {
		return
	}
	lead := s.i.Alerts[k]
	rung := lead.Ladder[lead.Next]
	s.i.Answers, s.i.Considered, s.i.ConsideredRule, s.i.ConsideredAction = e.Answers, e.Plan.Summary, lead.Rule,
		rung.Action
	if e.Hold == Ask {
		s.ask(e)
		return
	}
	by := ""
	if s.i.Asked != nil {
		by = s.i.Asked.By
	}
	s.answered(e)
	if e.Hold != "" {
		s.held(e.Hold, e.Plan.Summary, e.Reason, e.RetryAt)
		return
	}
	s.i.Op = &Op{ID: e.OpID, Incident: s.i.ID, Rule: lead.Rule, Rung: lead.Next, Plan: e.Plan, Phase: Reserving,
		PlannedAt: s.at,
		Settle:    rung.Settle, Verify: rung.Verify, ValueThen: lead.Value, Before: lead.Recent, ReadyThen: e.Ready,
		EndpointsThen: e.Endpoints, Config: e.Config, By: by}
	s.i.HeldSince = time.Time{}
	s.enter(Acting)
	s.note(KindPlanned, e.Plan.Summary)
	s.do(Reserve)
}

// held follows a refusal. Each kind of hold means one thing for the ladder.
func (s *step) held(h Hold, plan, reason string, retryAt time.Time) {
	text := reason
	if plan != "" {
		text = "not done: " + plan + ": " + reason
	}
	switch h {
	case Skip:
		s.note(KindSkipped, text)
		s.advance()
		if k := s.leading(); k >= 0 {
			s.i.Alerts[k].Refused = reason
			if plan != "" {
				s.i.Alerts[k].Refused += " (not done: " + plan + ")"
			}
		}
		s.i.HeldSince = time.Time{}
		s.climb()
	case Advise:
		s.end(text, false)
	case HandOver:
		s.escalate(text)
	case Suppress:
		s.noteOnce(KindHeld, text)
		s.enter(Suppressed)
		s.i.HeldSince = time.Time{} // a person's hold is not blindness
		s.i.NextAt = s.at.Add(s.p.Retry)
		s.onHold(reason)
	case Freeze:
		s.noteOnce(KindFrozen, text)
		s.enter(Frozen)
		s.i.NextAt = s.at.Add(s.p.Retry)
		s.waiting(reason)
	default:
		s.wait(text, reason, retryAt)
	}
}

func (s *step) wait(text, reason string, retryAt time.Time) {
	if retryAt.Sub(s.at) > s.p.WaitLimit {
		s.escalate(fmt.Sprintf("%s; the wait exceeds the limit of %s", text, s.p.WaitLimit))
		return
	}
	s.noteOnce(KindHeld, text)
	s.enter(Open)
	s.i.NextAt = s.at.Add(s.p.Retry)
	if retryAt.After(s.i.NextAt) {
		s.i.NextAt = retryAt
	}
	s.waiting(reason)
	if s.at.Sub(s.i.HeldSince) >= s.p.WaitLimit {
		s.end("the rung was not executed in time", false)
	}
}

// advance leaves the lead's present rung for good.
func (s *step) advance() {
	if k := s.leading(); k >= 0 {
		s.i.Alerts[k].Next++
		s.i.Alerts[k].Tries = 0
	}
}

func (s *step) reserved() {
	if s.i.Op == nil || s.i.Op.Phase != Reserving {
		return
	}
	s.i.Op.Phase, s.i.OnHoldSince = Intent, time.Time{}
	s.prepare()
}

// prepare takes evidence before anything that destroys it (class C3 and above).
func (s *step) prepare() {
	op := s.i.Op
	if op.Plan.Class < C3 || op.Evidence != "" {
		s.do(Recheck)
		return
	}
	if s.i.Evidence != "" && s.at.Sub(s.i.EvidenceAt) < evidenceAge {
		// What the ladder's own capture rung took a moment ago is evidence enough.
		op.Evidence, op.Phase = s.i.Evidence, Evidenced
		s.do(Recheck)
		return
	}
	s.do(Capture)
}

func (s *step) refused(e Refused) {
	if s.i.Op == nil || s.i.Op.Phase != Reserving {
		return
	}
	plan := s.i.Op.Plan.Summary
	s.i.Op = nil
	s.i.Answers = append(s.i.Answers, e.Answer)
	s.held(e.Answer.Hold, plan, e.Answer.Reason, e.Answer.RetryAt)
}

func (s *step) captured(e Captured) {
	if e.Ref != "" {
		s.i.Evidence, s.i.EvidenceAt = e.Ref, s.at
	}
	text := e.Ref
	if e.Gap != "" {
		text += "; missing: " + e.Gap
	}
	switch {
	case s.i.Op == nil:
		// The ladder's own capture rung.
		k := s.leading()
		if k < 0 || s.i.Phase != Acting || s.i.Alerts[k].Next >= len(s.i.Alerts[k].Ladder) ||
			s.i.Alerts[k].Ladder[s.i.Alerts[k].Next].Action != ActionCapture {
			return
		}
		s.note(KindCaptured, text)
		s.advance()
		s.enter(Open)
		s.climb()
	case s.i.Op.Phase == Intent:
		s.note(KindCaptured, text)
		s.i.Op.Evidence = or(e.Ref, "none: "+e.Gap)
		s.i.Op.Phase = Evidenced
		s.do(Recheck)
	}
}

// rechecked sends the op, or lets it be for the reason found a moment before.
func (s *step) rechecked(e Rechecked) {
	op := s.i.Op
	if op == nil || op.Phase != Intent && op.Phase != Evidenced || op.Plan.Class >= C3 && op.Evidence == "" {
		return
	}
	if len(e.Answers) > 0 {
		s.i.Answers = e.Answers
	}
	if e.Hold == "" && op.Sends >= s.p.Sends {
		e.Hold, e.Reason = HandOver, fmt.Sprintf("sent %d times, never applied: the object changes too often or "+
			"the API server does not respond", op.Sends)
	}
	if e.Hold != "" {
		s.abort(e.Hold, e.Reason)
		return
	}
	op.Plan.Object = e.Plan.Object
	op.Phase, op.SentAt, op.LookedAt = Sent, s.at, e.Looked
	op.Sends++
	s.do(Act)
}

// abort ends an op that was not applied. One that was ever sent without an
// answer may have landed since anybody looked: it stays in doubt until somebody
// has looked after the last moment at which it could.
func (s *step) abort(h Hold, reason string) {
	op := s.i.Op
	if op.Sends > 0 && !op.SentAt.IsZero() {
		op.Phase = InDoubt
		s.i.NextAt = s.at.Add(s.p.Retry)
		return
	}
	s.finish(Aborted, reason)
	op.Hold = h
}

func (s *step) acted(e Acted) {
	op := s.i.Op
	if op == nil || op.Phase != Sent {
		return
	}
	switch e.Outcome {
	case Applied:
		s.applied()
	case Conflicted:
		// Even a conflict may be our own write, answered to a copy of the request.
		op.Phase = InDoubt
		s.note(KindConflict, or(e.Reason, "the object changed before the write"))
		s.do(Find)
	case Denied:
		if op.Sends > 1 {
			// This request did nothing; an earlier one of the same op may still land.
			s.abort(HandOver, e.Reason)
			return
		}
		s.finish(Aborted, e.Reason)
		op.Hold = HandOver
	case Unsent:
		op.Sends--
		s.abort(cmp.Or(e.Hold, Wait), e.Reason)
	default:
		op.Phase = InDoubt
		s.i.NextAt = s.at.Add(s.p.Retry / 5)
		s.note(KindInDoubt, fmt.Sprintf("outcome of op %s unknown: %s; re-reading the target first", op.ID, e.Reason))
	}
}

func (s *step) applied() {
	op := s.i.Op
	op.Phase, op.AppliedAt = Settling, s.at
	s.i.NextAt = time.Time{}
	s.enter(Verifying)
	s.note(KindActed, op.Plan.Summary)
}

func (s *step) found(e Found) {
	op := s.i.Op
	if op == nil || op.Phase != InDoubt {
		return
	}
	switch {
	case !e.Known:
		s.i.NextAt = s.at.Add(s.p.Retry)
	case e.Applied:
		s.applied()
	default:
		// Not applied so far. The same op goes on with a fresh precondition: of this
		// write and the one that may still be under way, at most one can land.
		op.Phase = Evidenced
		if s.at.Sub(op.SentAt) >= s.p.Late {
			op.SentAt = time.Time{}
		}
		if op.Plan.Class >= C3 && op.Evidence == "" {
			op.Phase = Intent
		}
		s.i.NextAt = time.Time{}
		if op.Phase == Intent {
			s.prepare()
			return
		}
		s.do(Recheck)
	}
}

// finish judges the op; it stays until the ledger has let it go.
func (s *step) finish(verdict OpVerdict, reason string) {
	op := s.i.Op
	op.Phase, op.Verdict, op.Reason = Finished, verdict, reason
	s.i.NextAt = time.Time{}
	s.do(Release)
}

// released draws the consequences of a finished op.
func (s *step) released() {
	op := s.i.Op
	if op == nil || op.Phase != Finished {
		return
	}
	s.i.Attempts = append(s.i.Attempts, Attempt{OpID: op.ID, Rule: op.Rule, Action: op.Plan.Action,
		Summary: op.Plan.Summary, At: op.PlannedAt, EndedAt: s.at, Verdict: op.Verdict, Reason: op.Reason})
	done := *op
	s.i.Op = nil
	s.enter(Open)
	if done.Verdict == Aborted && !s.i.HandedOver {
		s.held(orHold(done.Hold), done.Plan.Summary, done.Reason, time.Time{})
		return
	}
	s.add(Entry{Kind: KindVerdict, Rule: done.Rule, Verdict: done.Verdict,
		Text: fmt.Sprintf("%s: %s (%s)", done.Plan.Action, done.Verdict, done.Reason)})
	if done.Verdict != Aborted {
		s.worked(done)
	}
	if s.i.HandedOver {
		s.enter(Escalated) // the op came out of the ledger after a person had been asked
		s.lead()
		return
	}
	switch done.Verdict {
	case Helped, ByItself:
		s.remedied(done)
		s.enter(Verifying)
	case Harmed:
		s.escalate("the action did harm: " + done.Reason)
	case Unclear:
		if a, _ := s.i.Alert(done.Rule); a.Verdict == OK {
			s.remedied(done)
			s.enter(Verifying) // nobody is needed for what is over
			break
		}
		s.escalate("the effect of the action is unknown: " + done.Reason)
	}
	s.lead()
}

// worked counts the attempt on its own rule's ladder.
func (s *step) worked(op Op) {
	for k, a := range s.i.Alerts {
		if a.Rule != op.Rule || a.Next > op.Rung || op.Rung >= len(a.Ladder) {
			continue
		}
		if a.Next < op.Rung {
			// It was adopted: how far the ladder had been climbed was never stored.
			s.i.Alerts[k].Next, s.i.Alerts[k].Tries = op.Rung, 0
		}
		s.i.Alerts[k].Tries++
		if s.i.Alerts[k].Tries >= max(1, a.Ladder[op.Rung].Attempts) {
			s.i.Alerts[k].Next++
			s.i.Alerts[k].Tries = 0
		}
	}
}

func orHold(h Hold) Hold {
	if h == "" {
		return Wait
	}
	return h
}

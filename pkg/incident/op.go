package incident

import (
	"fmt"
	"time"
)

// resume judges an applied op, and asks again for what any other waits for.
func (s *step) resume(e Tick) {
	if s.i.Op.Phase == Settling {
		s.settle(e)
		return
	}
	s.advanceOp(e)
}

// advanceOp gives the op an event, and follows what comes of it.
func (s *step) advanceOp(e Event) {
	owner := OpOwner{NextAt: s.i.NextAt, Policy: s.p}
	if s.at.Sub(s.i.EvidenceAt) < evidenceAge {
		// What the ladder's own capture rung took a moment ago is evidence enough.
		owner.Evidence = s.i.Evidence
	}
	r := s.i.Op.Step(e, owner)
	*s.i.Op, s.i.NextAt = r.Op, r.NextAt
	if r.Applied {
		s.enter(Verifying)
	}
	for _, x := range r.Entries {
		s.add(x)
	}
	s.effects = append(s.effects, r.Effects...)
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

func (s *step) reserved(e Reserved) {
	if s.i.Op == nil || s.i.Op.Phase != Reserving {
		return
	}
	s.i.OnHoldSince = time.Time{}
	s.advanceOp(e)
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
	if s.i.Op != nil {
		s.advanceOp(e)
		return
	}
	// The ladder's own capture rung.
	k := s.leading()
	if k < 0 || s.i.Phase != Acting || s.i.Alerts[k].Next >= len(s.i.Alerts[k].Ladder) ||
		s.i.Alerts[k].Ladder[s.i.Alerts[k].Next].Action != ActionCapture {
		return
	}
	s.note(KindCaptured, e.text())
	s.advance()
	s.enter(Open)
	s.climb()
}

// text is what was captured, and what is missing.
func (e Captured) text() string {
	if e.Gap != "" {
		return e.Ref + "; missing: " + e.Gap
	}
	return e.Ref
}

func (s *step) rechecked(e Rechecked) {
	if s.i.Op == nil || !s.i.Op.awaitsRecheck() {
		return
	}
	if len(e.Answers) > 0 {
		s.i.Answers = e.Answers
	}
	s.advanceOp(e)
}

func (s *step) acted(e Acted) {
	if s.i.Op != nil {
		s.advanceOp(e)
	}
}

func (s *step) found(e Found) {
	if s.i.Op != nil {
		s.advanceOp(e)
	}
}

// finish judges the op; it stays until the ledger has let it go.
func (s *step) finish(verdict OpVerdict, reason string) {
	s.i.Op.finish(verdict, reason)
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

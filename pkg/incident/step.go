package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Policy are the numbers of the core itself.
type Policy struct {
	// WaitLimit is how long a rung may be refused with Wait, or the sources may
	// stay blind, before a person is paged.
	WaitLimit time.Duration
	// HoldLimit is how long what is in breach may stay under a person's hold before a
	// person is paged; 0: for ever.
	HoldLimit time.Duration
	// StopLoss is how many ops without measured improvement end the ladder (INV-21).
	StopLoss int
	// Retry is how long to wait before the next attempt if the answer has no time.
	Retry time.Duration
	// Late is how long after it was sent a write may still land at the API server.
	Late time.Duration
	// Sends bounds how often one op is sent.
	Sends int
	// Looks is how many evaluations after an action has settled its effect is
	// judged by; less than one counts as one.
	Looks int
	// Approval is how long a plan waits for a person's approval; 0 counts as DefaultApproval.
	Approval time.Duration
	// Response is by when a person must answer; nil: there are no deadlines.
	Response Response
}

// DefaultHoldLimit is the default of Policy.HoldLimit.
const DefaultHoldLimit = 30 * time.Minute

// DefaultPolicy returns the numbers used in production. Late is above the API
// server's own request timeout of one minute.
func DefaultPolicy() Policy {
	return Policy{WaitLimit: 10 * time.Minute, HoldLimit: DefaultHoldLimit, StopLoss: 2, Retry: 5 * time.Second,
		Late: 70 * time.Second, Sends: 5, Looks: 3}
}

// New returns an incident on the target with nothing seen yet; the first Tick opens it.
func New(id string, target Target, at time.Time) Incident {
	return Incident{ID: id, Target: target, Phase: Open, OpenedAt: at, UpdatedAt: at}
}

// Step moves an incident on by one event. It is total and deterministic: every
// event is answered in every state, and an event that does not fit the state
// changes nothing.
func Step(i Incident, e Event, p Policy) (Incident, []Effect) {
	s := &step{i: i.clone(), at: e.at(), p: p}
	if s.i.Phase == Resolved && s.i.Op == nil {
		return i, nil
	}
	switch e := e.(type) {
	case Tick:
		s.tick(e)
	case Considered:
		s.considered(e)
	case Reserved:
		s.reserved(e)
	case Refused:
		s.refused(e)
	case Captured:
		s.captured(e)
	case Rechecked:
		s.rechecked(e)
	case Acted:
		s.acted(e)
	case Found:
		s.found(e)
	case Released:
		s.released()
	}
	return s.i, s.effects
}

// Adopt gives the incident back the op that the ledger holds for it, after a
// crash between the ledger's write and the incident's.
func Adopt(i Incident, op Op, at time.Time) Incident {
	if i.Op != nil {
		return i
	}
	s := &step{i: i.clone(), at: at}
	// Whoever reserved it may be sending it at this moment.
	op.Phase, op.Sends, op.SentAt = InDoubt, max(1, op.Sends), at
	s.i.Op, s.i.Phase = &op, Acting
	s.note(KindAdopted, fmt.Sprintf("op %s is in the ledger: checking whether it was applied", op.ID))
	return s.i
}

// Supersede ends an incident that a replica opened which no longer led: another
// incident on the same target goes on. An op of it must have been adopted there.
func Supersede(i Incident, by string, at time.Time) Incident {
	return end(i, "incident "+by+" on the same target continues", at)
}

// Deleted ends an incident that somebody deleted from the store.
func Deleted(i Incident, at time.Time) Incident {
	return end(i, "this incident was deleted from the store; alerts that still fire open a new one", at)
}

// end ends an incident that is not worked any more.
func end(i Incident, text string, at time.Time) Incident {
	s := &step{i: i.clone(), at: at}
	for k := range s.i.Alerts {
		s.i.Alerts[k].Firing = false
	}
	s.i.Op, s.i.Asked = nil, nil
	s.enter(Resolved)
	s.i.ResolvedAt, s.i.NextAt, s.i.HeldSince, s.i.CalmSince = at, time.Time{}, time.Time{}, time.Time{}
	s.note(KindSuperseded, text)
	return s.i
}

// Relapsed says of a new incident that its target was in trouble a short time ago.
func Relapsed(i Incident, of string, ago time.Duration) Incident {
	s := &step{i: i.clone(), at: i.OpenedAt}
	s.i.RelapseOf = of
	s.note(KindRelapse, fmt.Sprintf("incident %s on the same target resolved only %s ago", of, ago.Round(time.Second)))
	return s.i
}

// Recovered says of an incident that is over whether that lasted.
func Recovered(i Incident, verdict, text string, at time.Time) Incident {
	s := &step{i: i.clone(), at: at}
	s.i.Recovery = verdict
	s.note(KindRecovery, verdict+": "+text)
	return s.i
}

// step is one call of Step: the incident being changed and the effects so far.
type step struct {
	i       Incident
	at      time.Time
	p       Policy
	effects []Effect
	awaits  bool // a rule that fired before a restart was not evaluated since
}

func (s *step) do(e Effect) { s.effects = append(s.effects, e) }

func (s *step) enter(p Phase) {
	if s.i.Phase != p {
		s.i.Phase, s.i.UpdatedAt = p, s.at
	}
}

func (s *step) tick(e Tick) {
	told := s.i.Silenced() == "" && !s.i.Shared
	displaced := s.displaced(e.Alerts)
	if !displaced {
		s.merge(e.Alerts)
	}
	s.applyResponders(e.Responders)
	s.maintained(e.Maintenance)
	s.i.Shared = e.Shared != ""
	if !s.quiet() {
		s.i.CalmSince = time.Time{}
	}
	switch {
	case displaced:
	case s.i.Op != nil:
		s.resume(e)
	case s.awaits:
	case s.quiet():
		s.over(told)
	case s.i.HandedOver:
	case e.Shared != "":
		s.share(e.Shared)
	case s.at.Before(s.i.NextAt):
	default:
		s.climb()
	}
	s.respond()
	s.publish(e.Responders.Public)
}

// share waits for the end of a problem that has an incident of its own.
func (s *step) share(what string) {
	s.noteOnce(KindFrozen, what)
	s.enter(Frozen)
	s.i.HeldSince = time.Time{}
}

// indexOf is where the alert of a rule is, or -1. It is looked for from a place on, at which
// it is if alerts come in the same order each time.
func indexOf(all []Alert, rule string, from int) int {
	for n := range all {
		k := (from + n) % len(all)
		if all[k].Rule == rule {
			return k
		}
	}
	return -1
}

// merge takes over what the rules say now and keeps how far each ladder has been
// worked. A removed rule no longer fires, which is recorded.
func (s *step) merge(now []Alert) {
	last := -1
	for _, a := range now {
		k := indexOf(s.i.Alerts, a.Rule, last+1)
		if k >= 0 {
			last = k
		}
		if k < 0 {
			if a.Firing {
				a.Was, a.Recent = a.Reason, rising(a)
				s.i.Alerts = append(s.i.Alerts, a)
				s.noteRule(KindFiring, a.Rule, fmt.Sprintf("%s: %s", a.Rule, a.Reason))
				if !s.residual(a) {
					s.raise(a)
				}
				s.silenced(a, "")
			}
			continue
		}
		old := s.i.Alerts[k]
		if old.Firing && a.Firing && a.EvaluatedAt.IsZero() && !old.EvaluatedAt.IsZero() {
			// Restored after a restart and not evaluated since: no news, and no time to act.
			old.Ladder = a.Ladder
			s.i.Alerts[k], s.awaits = old, true
			continue
		}
		a.Refused = old.Refused
		a.Next, a.Tries, a.Ended, a.Was, a.Recent, a.Streak, a.OKAt = old.Next, old.Tries, old.Ended, old.Was,
			old.Recent, old.Streak, old.OKAt
		if a.Usual == 0 && a.Noise == 0 {
			a.Usual, a.Noise = old.Usual, old.Noise // a judge that started since does not know them
		}
		if !a.EvaluatedAt.Equal(old.EvaluatedAt) {
			a.Recent = recent(old.Recent, a)
			switch a.Verdict {
			case Breach:
				a.Streak++
			case OK:
				a.Streak = 0
				if !s.i.Remedy.At.IsZero() {
					a.OKAt = a.EvaluatedAt
				}
			}
		}
		if old.Firing && !a.Firing && a.Verdict.Unknown() {
			// A rule that cannot see has not seen the recovery: a judge that started
			// blind does not know what fired before it (INV-10).
			a.Firing, a.ActiveAt = true, old.ActiveAt
		}
		if a.Firing && !old.Firing {
			a.Was = a.Reason
		}
		if !a.Firing && a.ActiveAt.IsZero() {
			a.ActiveAt = old.ActiveAt // when it held last
		}
		s.i.Alerts[k] = a
		switch {
		case a.Firing && !old.Firing:
			s.noteRule(KindFiring, a.Rule, fmt.Sprintf("%s again: %s", a.Rule, a.Reason))
			if s.i.Graded.At.IsZero() && !s.residual(a) {
				s.raise(a) // else a person has judged this rule, too
			}
		case !a.Firing && old.Firing:
			s.noteRule(KindCleared, a.Rule, fmt.Sprintf("%s: %s", a.Rule, a.Reason))
		case a.Firing && a.Verdict.Unknown() != old.Verdict.Unknown():
			s.noteRule(KindVerdict, a.Rule, fmt.Sprintf("%s is %s: %s", a.Rule, a.Verdict, a.Reason))
		}
		s.silenced(a, old.Silenced)
	}
	for k := range s.i.Alerts {
		if a := &s.i.Alerts[k]; a.Firing && indexOf(now, a.Rule, 0) < 0 {
			a.Firing, a.Verdict, a.Reason = false, NoData, "the rule was removed from the configuration"
			s.noteRule(KindRemoved, a.Rule, fmt.Sprintf("%s was removed from the configuration", a.Rule))
		}
	}
	s.began()
	s.raiseAfterRemedy()
	s.lead()
}

// silenced notes that a silence began, changed or ended.
func (s *step) silenced(a Alert, was string) {
	switch {
	case a.Silenced == was || !a.Firing:
	case a.Silenced != "":
		s.noteRule(KindSilenced, a.Rule, a.Rule+": "+a.Silenced)
	default:
		s.noteRule(KindUnmuted, a.Rule, a.Rule+" is no longer silenced")
	}
}

// keepRecent is how many values in breach are kept.
const keepRecent = 8

// recent adds the alert's value, if it is in breach.
func recent(values []float64, a Alert) []float64 {
	if !a.Firing || a.Verdict != Breach {
		return values
	}
	return append(slices.Clone(values[max(0, len(values)-keepRecent+1):]), a.Value)
}

// rising are the values up to the moment at which the alert began to fire, this
// one among them.
func rising(a Alert) []float64 {
	if n := len(a.Recent); n > 0 && a.Recent[n-1] == a.Value {
		a.Recent = a.Recent[:n-1]
	}
	return recent(a.Recent, a)
}

// raise lets the severity rise; only a person lowers it.
func (s *step) raise(a Alert) {
	if a.Severity.Worse(s.i.Severity) {
		was := s.i.Severity
		if was != "" {
			s.note(KindSeverity, fmt.Sprintf("raised from %s to %s by %s", was, a.Severity, a.Rule))
		}
		s.i.Severity = a.Severity
		s.graver(was)
	}
}

// lead picks the rule whose ladder is worked: the worst severity among those in
// breach and not silenced, then the one that fired first. A rule whose ladder has ended leads only
// if no other fires. While an op runs the lead stays.
func (s *step) lead() {
	if s.i.Op != nil {
		return
	}
	// in breach; firing at all; firing, and its ladder has ended; on samples from before a remedy
	best, goes, done, past := -1, -1, -1, -1
	for k, a := range s.i.Alerts {
		switch {
		case !a.Firing:
			continue
		case a.Ended:
			if done < 0 || a.Rule == s.i.Lead {
				done = k
			}
			continue
		case s.residual(a):
			if past < 0 || a.Rule == s.i.Lead {
				past = k
			}
			continue
		case goes < 0 || a.Rule == s.i.Lead:
			goes = k
		}
		if a.Verdict == Breach && (best < 0 || before(a, s.i.Alerts[best])) {
			best = k
		}
	}
	switch {
	case best >= 0:
		s.follow(s.i.Alerts[best].Rule)
	case goes >= 0:
		s.follow(s.i.Alerts[goes].Rule)
	case done >= 0:
		s.follow(s.i.Alerts[done].Rule)
	case past >= 0:
		s.follow(s.i.Alerts[past].Rule)
	case s.i.Lead == "" && len(s.i.Alerts) > 0:
		s.i.Lead = s.i.Alerts[0].Rule
	}
}

// follow makes a rule the lead. What the one before was told to wait for is not
// its own.
func (s *step) follow(rule string) {
	if s.i.Lead != rule {
		s.i.Lead, s.i.NextAt = rule, time.Time{}
	}
}

func before(a, b Alert) bool {
	switch {
	case (a.Silenced == "") != (b.Silenced == ""):
		return a.Silenced == "" // a silenced alert hides no other
	case a.Severity != b.Severity:
		return a.Severity.Worse(b.Severity)
	case !a.ActiveAt.Equal(b.ActiveAt):
		return a.ActiveAt.Before(b.ActiveAt)
	}
	return a.Rule < b.Rule
}

// leading returns the index of the lead among the alerts, or -1.
func (s *step) leading() int {
	return slices.IndexFunc(s.i.Alerts, func(a Alert) bool { return a.Rule == s.i.Lead })
}

// quiet reports whether no rule is firing. Unknown is not quiet: a rule
// that cannot see keeps firing until it has seen the recovery.
func (s *step) quiet() bool {
	return !slices.ContainsFunc(s.i.Alerts, func(a Alert) bool { return a.Firing })
}

func (s *step) resolve() {
	s.enter(Resolved)
	s.i.ResolvedAt, s.i.NextAt, s.i.HeldSince, s.i.Asked = s.at, time.Time{}, time.Time{}, nil
	s.note(KindResolved, fmt.Sprintf("no rule is firing, %s after the incident opened",
		s.at.Sub(s.i.OpenedAt).Round(time.Second)))
}

// climb takes the lead's next rung.
func (s *step) climb() {
	k := s.leading()
	if k < 0 {
		return
	}
	lead := s.i.Alerts[k]
	if lead.Ended {
		s.enter(Escalated)
		s.i.NextAt, s.i.HeldSince = time.Time{}, time.Time{}
		return
	}
	if s.i.Phase == Escalated {
		s.enter(Open) // another alert than those that have ended
	}
	if s.residual(lead) {
		s.enter(Verifying) // it sees what the remedy has ended
		s.i.HeldSince = time.Time{}
		return
	}
	if lead.Verdict != Breach && !(lead.Verdict == Conflict && lead.onlyTells()) {
		s.unseen(lead)
		return
	}
	if s.helped(lead) && lead.Streak < s.p.Looks {
		s.enter(Verifying) // it takes as many looks to say that it came back
		return
	}
	if n := s.useless(); s.p.StopLoss > 0 && n >= s.p.StopLoss {
		s.escalate(fmt.Sprintf("stop-loss: %d actions without improvement (limit %d)", n, s.p.StopLoss))
		return
	}
	if len(lead.Ladder) == 0 {
		s.end(fmt.Sprintf("no action is configured for %s: notification only", lead.Rule), false)
		return
	}
	if lead.Next >= len(lead.Ladder) {
		s.end(s.because(lead, fmt.Sprintf("the ladder of %s is exhausted after %d rungs", lead.Rule, len(lead.Ladder))),
			true)
		return
	}
	switch next := lead.Ladder[lead.Next]; next.Action {
	case ActionPage:
		s.end(s.because(lead, cmp.Or(next.Why, "page is the next rung of the ladder of "+lead.Rule)), true)
	case ActionCapture:
		s.enter(Acting)
		s.do(Capture)
	default:
		s.do(Consider)
	}
}

// because puts what a person can use before the rule of the ladder: why the last rung
// was left out, or else what came of the last action.
func (s *step) because(lead Alert, rule string) string {
	if lead.Refused != "" {
		return lead.Refused + "; " + rule
	}
	for _, a := range slices.Backward(s.i.Attempts) {
		if a.Rule == lead.Rule {
			return fmt.Sprintf("%s: %s; %s", a.Summary, a.Verdict, rule)
		}
	}
	return rule
}

// helped reports whether the last action was for the alert and helped.
func (s *step) helped(a Alert) bool {
	n := len(s.i.Attempts)
	return n > 0 && (s.i.Attempts[n-1].Verdict == Helped || s.i.Attempts[n-1].Verdict == ByItself) &&
		s.i.Attempts[n-1].Rule == a.Rule
}

// unseen waits for a lead that is firing but not in breach at this moment: it
// recovers, or it cannot be seen. A person is paged if blindness lasts.
func (s *step) unseen(lead Alert) {
	if lead.Verdict == OK {
		s.enter(Verifying)
		s.i.HeldSince = time.Time{}
		return
	}
	s.enter(Frozen)
	s.waiting(fmt.Sprintf("%s is %s: %s", lead.Rule, lead.Verdict, lead.Reason))
}

// waiting starts or checks the clock of a hold; after WaitLimit a person is
// paged, and the incident goes on waiting.
func (s *step) waiting(reason string) {
	if s.i.HeldSince.IsZero() {
		s.i.HeldSince = s.at
	}
	if waited := s.at.Sub(s.i.HeldSince); waited >= s.p.WaitLimit && !s.i.Paged {
		s.page(fmt.Sprintf("held for %s: %s", waited.Round(time.Second), reason))
	}
}

// page pages a person. The first reason is kept; the timeline has the others.
func (s *step) page(reason string) {
	if !s.i.Paged {
		s.i.Paged, s.i.PageReason = true, reason
	}
	switch {
	case s.i.Silenced() == "":
	case s.i.Maintenance.Held != "":
		reason += "; notifications are held until maintenance ends"
	default:
		reason += "; no notifications while all firing alerts are silenced"
	}
	s.note(KindPaged, reason)
}

// end ends the lead's ladder: watchdog does no more because of this alert, and goes
// on with another that fires.
func (s *step) end(reason string, page bool) {
	if k := s.leading(); k >= 0 {
		s.i.Alerts[k].Ended = true
	}
	s.i.Asked = nil
	s.i.NextAt, s.i.HeldSince = time.Time{}, time.Time{}
	if page {
		s.page(reason)
	} else {
		s.note(KindHandedOver, reason)
	}
	s.lead()
	s.climb()
}

// escalate hands the whole incident to a person for good: what speaks against
// acting here is the target, or what acting on it did, and not one rule's ladder.
func (s *step) escalate(reason string) {
	s.enter(Escalated)
	s.i.HandedOver, s.i.Asked = true, nil
	s.i.NextAt, s.i.HeldSince = time.Time{}, time.Time{}
	s.page(reason)
}

// onlyTells reports whether the next rung is for people: it needs no certainty.
func (a Alert) onlyTells() bool {
	return a.Next >= len(a.Ladder) || a.Ladder[a.Next].Action == ActionPage || a.Ladder[a.Next].Action == ActionCapture
}

// useless counts the ops that were applied and brought nothing.
func (s *step) useless() int {
	n := 0
	for _, a := range s.i.Attempts {
		if a.Verdict == NoEffect || a.Verdict == Unclear || a.Verdict == Harmed {
			n++
		}
	}
	return n
}

func (i Incident) clone() Incident {
	i.Alerts = slices.Clone(i.Alerts)
	i.Attempts = slices.Clone(i.Attempts)
	i.Answers = slices.Clone(i.Answers)
	i.Timeline = slices.Clone(i.Timeline)
	i.Noted = slices.Clone(i.Noted)
	if i.Op != nil {
		op := *i.Op
		i.Op = &op
	}
	if i.Asked != nil {
		r := *i.Asked
		i.Asked = &r
	}
	return i
}

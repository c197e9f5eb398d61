package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Request is a plan that waits for a person's approval. It is for this one op,
// which has the request's id: an approval is used at most once.
type Request struct {
	Op   string `json:"op"`
	Rule string `json:"rule"`
	Rung int    `json:"rung"`
	// Plan is what was shown to the person; its Hash is what they approve.
	Plan  Plan      `json:"plan"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	// By is who requested the action; they may not approve it. Quorum is how many approvals
	// are required, and CoolOff how long watchdog then still waits for a denial.
	By      string        `json:"by,omitempty"`
	Quorum  int           `json:"quorum,omitempty"`
	CoolOff time.Duration `json:"coolOff,omitempty"`
	// ReadyAt is when watchdog first saw the quorum: the cool-off starts then, whatever time
	// the approvals have.
	ReadyAt time.Time `json:"readyAt,omitzero"`
	// Why is what still blocks the plan: approvals are missing or do not match it.
	Why string `json:"why,omitempty"`
}

// Approval is an approval or denial of a request.
type Approval struct {
	Attribution
	// Plan is the hash of the plan that it is about.
	Plan   string `json:"plan"`
	Denied bool   `json:"denied,omitempty"`
}

// String is the answer in one line.
func (a Approval) String() string {
	if a.Denied {
		return "denied " + a.text()
	}
	return "approved " + a.text()
}

// Denial returns the first denial, by name, of the request of an op; false: there is none.
func (w ResponderActions) Denial(op string) (who string, a Approval, denied bool) {
	for _, name := range slices.Sorted(maps.Keys(w.Approved[op])) {
		if a := w.Approved[op][name]; a.Denied {
			return name, a, true
		}
	}
	return "", Approval{}, false
}

// DefaultApproval is how long a request waits if the policy sets no time.
const DefaultApproval = time.Hour

// Asks reports whether the request is for the given rung of a rule.
func (i Incident) Asks(rule string, rung int) bool {
	return i.Asked != nil && i.Asked.Rule == rule && i.Asked.Rung == rung
}

// ApproveCommand is the command that approves the pending request.
func (i Incident) ApproveCommand() string {
	if i.Asked == nil {
		return ""
	}
	return fmt.Sprintf("watchdog approve %s --plan %.12s", i.ID, i.Asked.Plan.Hash)
}

// ask puts a plan before a person, once. Another plan for the same rung is
// another request: what was approved before does not count for it.
func (s *step) ask(e Considered) {
	lead := s.i.Alerts[s.leading()]
	s.i.HeldSince = time.Time{}
	switch r := s.i.Asked; {
	case !s.i.Asks(lead.Rule, lead.Next) || r.Op != e.OpID || r.Plan.Hash != e.Plan.Hash:
		until := s.at.Add(cmp.Or(s.p.Approval, DefaultApproval))
		s.i.Asked = &Request{Op: e.OpID, Rule: lead.Rule, Rung: lead.Next, Plan: e.Plan, At: s.at, Until: until,
			Quorum: max(1, e.Quorum), CoolOff: e.CoolOff, Why: e.Reason}
		text := fmt.Sprintf("approval required until %s: %s (plan %.12s)",
			until.UTC().Format("2006-01-02 15:04:05 UTC"), e.Plan.Summary, e.Plan.Hash)
		if s.i.Paged {
			s.note(KindAsked, text)
		} else {
			s.page(text)
		}
	case !s.at.Before(r.Until):
		s.i.Asked = nil
		s.end(fmt.Sprintf("not done: %s: not approved within %s (%s)", e.Plan.Summary, r.Until.Sub(r.At),
			e.Reason), true)
		return
	case r.Why != e.Reason:
		r.Why = e.Reason
		s.note(KindDenied, e.Reason)
	}
	s.i.Asked.ReadyAt = time.Time{}
	s.enter(Open)
	s.i.NextAt = s.at.Add(s.p.Retry)
}

// answered ends a request that is approved, denied or obsolete. A plan that is held for a
// short time keeps it.
func (s *step) answered(e Considered) {
	r := s.i.Asked
	if r != nil && r.ReadyAt.IsZero() && slices.ContainsFunc(e.Answers,
		func(a Answer) bool { return a.Guard == ApprovalGuard && a.Hold == Wait }) {
		r.ReadyAt = s.at
	}
	if r == nil || e.Hold == Wait || e.Hold == Freeze || e.Hold == Suppress {
		return
	}
	s.i.Asked = nil
	for _, a := range e.Answers {
		if a.Guard == ApprovalGuard && e.Hold == "" && r.Op == e.OpID {
			s.note(KindApproved, a.Reason)
		}
	}
}

// ApprovalGuard is the name of the guard that requires an approval.
const ApprovalGuard = "approval"

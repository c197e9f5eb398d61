package incident

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Ledger is the one object that every op is reserved in, by compare-and-swap.
// It holds the kill switch too, so that a reservation and a hold cannot miss
// each other.
type Ledger struct {
	// Hold is the kill switch: set by a person, it stops every new op.
	Hold *Attribution `json:"hold,omitempty"`
	// Ops are the ops in flight, at most one per target (INV-01). An entry is the
	// durable intent of its op.
	Ops []Op `json:"ops,omitempty"`
	// Spent are the ops of the longest window, for budgets and cooldowns.
	Spent []Spent `json:"spent,omitempty"`
	// Leases are changes that will be reverted.
	Leases []Lease `json:"leases,omitempty"`
	// Moves are the fields that watchdog changed lately.
	Moves []Move `json:"moves,omitempty"`
	// Quarantines are the targets that are left to people. Lifted are
	// those that a person lifted: by target, the op of the quarantine.
	Quarantines []Quarantine      `json:"quarantines,omitempty"`
	Lifted      map[string]string `json:"lifted,omitempty"`
	// Undo are the ops whose change a person wants reverted now.
	Undo map[string]Attribution `json:"undo,omitempty"`
	// Anchors are the last records of the replicas' audit logs, by log: a log that ends before
	// its anchor was truncated (SEC-26).
	Anchors map[string]Anchor `json:"anchors,omitempty"`
	// Format is the version of what is stored (INV-49).
	Format int `json:"format,omitempty"`
}

// Anchor is the last record of an audit log when the ledger was written.
type Anchor struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
	// Key is the id of the key that the record is sealed with, empty without one.
	Key string    `json:"key,omitempty"`
	At  time.Time `json:"at"`
}

// maxAnchors bounds the logs that are remembered: those of replicas that are gone
// are of no use to anybody but a reader of the past.
const maxAnchors = 8

// WithAnchor returns the ledger with the anchor of a log, which replaces that log's earlier one.
func (l Ledger) WithAnchor(log string, a Anchor) Ledger {
	l.Anchors = maps.Clone(l.Anchors)
	if l.Anchors == nil {
		l.Anchors = map[string]Anchor{}
	}
	l.Anchors[log] = a
	for len(l.Anchors) > maxAnchors {
		oldest := ""
		for name, x := range l.Anchors {
			if name != log && (oldest == "" || x.At.Before(l.Anchors[oldest].At)) {
				oldest = name
			}
		}
		delete(l.Anchors, oldest)
	}
	return l
}

// Attribution is who did something, when and why.
type Attribution struct {
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
	// Source is how the action came, if not by command line: slack, pagerduty, api.
	Source string `json:"source,omitempty"`
	// Severity is, of an acknowledgement, the severity at that time: it does not count for a
	// worse one.
	Severity Severity `json:"severity,omitempty"`
	// Until is, of the kill switch, when it expires; zero: it does not.
	Until time.Time `json:"until,omitzero"`
}

// Spent is one op that used budget.
type Spent struct {
	Op        string    `json:"op"`
	Incident  string    `json:"incident,omitempty"`
	Target    string    `json:"target"`
	Namespace string    `json:"namespace"`
	Action    Action    `json:"action"`
	Class     Class     `json:"class,omitempty"`
	Pods      int       `json:"pods,omitempty"` // disturbed at worst
	At        time.Time `json:"at"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	// Forgiven: a person lifted the quarantine that it led to.
	Forgiven bool `json:"forgiven,omitempty"`
	// ByItself: what it was done for ended before it could help. It counts for no quarantine.
	ByItself bool `json:"byItself,omitempty"`
}

// Lease is a change of ours that will be reverted at ExpiresAt if the field
// still holds what we wrote.
type Lease struct {
	Op        string    `json:"op"`
	Incident  string    `json:"incident"`
	Plan      Plan      `json:"plan"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// InFlight returns the op in flight on the target.
func (l Ledger) InFlight(target Target) (Op, bool) {
	for _, op := range l.Ops {
		if op.Plan.Target.String() == target.String() {
			return op, true
		}
	}
	return Op{}, false
}

// Reserve returns the ledger with op in it, or the answer that refuses it. The
// caller writes the result with compare-and-swap; only then is op an intent.
func (l Ledger) Reserve(op Op, now time.Time, lim Limits) (Ledger, *Answer) {
	if i := slices.IndexFunc(l.Ops, func(o Op) bool { return o.ID == op.ID }); i >= 0 {
		return l, nil
	}
	for _, a := range l.Check(op, now, lim) {
		if a.Hold != "" {
			return l, &a
		}
	}
	longest := max(lim.PerTarget.Per, lim.PerNamespace.Per, lim.Cluster.Per, lim.Pods.Per, lim.Cooldown,
		lim.Quarantine.Per)
	next := l.lifted()
	op.Phase = Intent
	next.Ops = append(slices.Clone(next.Ops), op)
	next.Spent = slices.DeleteFunc(slices.Clone(next.Spent),
		func(s Spent) bool { return !s.EndedAt.IsZero() && now.Sub(s.At) > longest+time.Hour })
	if op.Plan.Action != ActionRevert {
		next.Spent = append(next.Spent, Spent{Op: op.ID, Incident: op.Incident, Target: op.Plan.Target.String(),
			Namespace: op.Plan.Target.Namespace, Action: op.Plan.Action, Class: op.Plan.Class, Pods: op.Plan.Price,
			At: now})
	}
	return next, nil
}

// Release takes the op out of flight and, if it changed something that must be
// undone one day, turns it into a lease. An aborted op gives its budget back,
// because nothing was written; any other outcome keeps it spent. One that is not
// in flight was released before: a second release must not bring back a lease
// that was reverted since.
func (l Ledger) Release(op Op, verdict OpVerdict, now time.Time, lim Limits) Ledger {
	if !slices.ContainsFunc(l.Ops, func(o Op) bool { return o.ID == op.ID }) {
		return l
	}
	next := l
	next.Ops = slices.DeleteFunc(slices.Clone(l.Ops), func(o Op) bool { return o.ID == op.ID })
	next.Spent = slices.Clone(l.Spent)
	if verdict == Aborted {
		next.Spent = slices.DeleteFunc(next.Spent, func(s Spent) bool { return s.Op == op.ID })
		return next
	}
	for i := range next.Spent {
		if next.Spent[i].Op == op.ID {
			next.Spent[i].EndedAt, next.Spent[i].ByItself = now, verdict == ByItself
			// The window is over effects: one that came late counts from then on.
			if op.AppliedAt.After(next.Spent[i].At) {
				next.Spent[i].At = op.AppliedAt
			}
		}
	}
	p, at := op.Plan, later(op.AppliedAt, op.PlannedAt)
	next = next.moved(Move{Op: op.ID, Object: p.Object.UID, Field: p.Field, From: p.Before, To: p.After, Was: p.Was,
		At: at})
	return next.recurred(op, lim.Quarantine, at, now).withLease(op, verdict, now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// withLease records the lease of an applied op; a plan without lease or inverse
// has none. What did harm expires at once, also if it was to stay for ever.
func (l Ledger) withLease(op Op, verdict OpVerdict, now time.Time) Ledger {
	if op.Plan.Lease <= 0 && !(verdict == Harmed && op.TakeBack) || !op.Plan.Undoable() ||
		slices.ContainsFunc(l.Leases, func(x Lease) bool { return x.Op == op.ID }) {
		return l
	}
	expires := op.AppliedAt.Add(op.Plan.Lease)
	if verdict == Harmed {
		expires = now
	}
	next := l
	next.Leases = append(slices.Clone(l.Leases), Lease{Op: op.ID, Incident: op.Incident, Plan: op.Plan,
		ExpiresAt: expires})
	return next
}

// Leased reports whether the given op has a lease.
func (l Ledger) Leased(opID string) bool {
	return slices.ContainsFunc(l.Leases, func(x Lease) bool { return x.Op == opID })
}

// WithoutLease forgets the lease of the given op.
func (l Ledger) WithoutLease(opID string) Ledger {
	next := l
	next.Leases = slices.DeleteFunc(slices.Clone(l.Leases), func(x Lease) bool { return x.Op == opID })
	return next
}

// Held returns the kill switch, if it is set and has not ended.
func (l Ledger) Held(now time.Time) *Attribution {
	if l.Hold != nil && !l.Hold.Until.IsZero() && !now.Before(l.Hold.Until) {
		return nil
	}
	return l.Hold
}

func (l Ledger) checkHold(now time.Time) Answer {
	if l.Held(now) == nil {
		return Answer{Guard: "kill switch", Reason: "not set"}
	}
	return Answer{Guard: "kill switch", Hold: Suppress,
		Reason: fmt.Sprintf("all actions on hold since %s by %s: %s; resume with `watchdog resume --all`",
			l.Hold.At.UTC().Format(time.RFC3339), or(l.Hold.By, "somebody"), or(l.Hold.Reason, "no reason given"))}
}

func (l Ledger) checkSingleFlight(op Op) Answer {
	if other, busy := l.InFlight(op.Plan.Target); busy && other.ID != op.ID {
		return Answer{Guard: "single flight", Hold: Wait, Reason: fmt.Sprintf("op %s (%s) is in flight on %s", other.ID,
			other.Plan.Action, op.Plan.Target)}
	}
	return Answer{Guard: "single flight", Reason: "0 other ops in flight on the target"}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

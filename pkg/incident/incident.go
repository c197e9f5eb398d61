// Package incident is the pure core of watchdog: what an incident is, what an
// operation on a target is, and the one function that moves an incident on.
//
// It owns the order of things: Step takes an incident and an event and returns
// the incident that follows and the effects to perform. It leaves everything
// that touches the world to others: rules judge, remediate plans, engine
// performs effects and stores the result.
//
// Its one rule: no clock, no I/O, no goroutine, no dependency but the standard
// library. Time arrives in events. The same Step runs live, in simulation and
// in replay.
package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Target identifies one workload. UID is what tells a workload from another
// that was later given the same name.
type Target struct {
	// Name is how the configuration calls the target.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Kind is the lower-case Kubernetes kind: "deployment".
	Kind string `json:"kind"`
	// Workload is the object's name.
	Workload string `json:"workload"`
	UID      string `json:"uid,omitempty"`
}

// String returns namespace/kind/name, the form used in logs and messages; of a target
// without workload, its name.
func (t Target) String() string {
	if t.Kind == "" && t.Workload == "" {
		return t.Name
	}
	return t.Namespace + "/" + t.Kind + "/" + t.Workload
}

// Watched reports whether the target is one of the configuration, or watchdog itself.
// All else is what alerts are about that name no target.
func (t Target) Watched() bool { return t.Kind != "" || t.Workload != "" || t.Name == Self }

// Self is the name of the target that stands for watchdog itself: what is wrong
// with more than one target, or with watchdog, is an incident of its own, with
// one page. No target of a configuration can have this name.
const Self = "watchdog itself"

// Severity is how fast a person must respond; P0 is the worst.
type Severity string

// The severities of the runbook's response matrix (section 4.1).
const (
	P0 Severity = "P0"
	P1 Severity = "P1"
	P2 Severity = "P2"
	P3 Severity = "P3"
)

// Worse reports whether s asks for a faster answer than t.
func (s Severity) Worse(t Severity) bool { return s != "" && (t == "" || s < t) }

// Mode is how far watchdog may go. Modes are ordered: the effective mode of a
// rung is the lowest of the configuration's, the target's, the rule's and its own.
type Mode string

// Modes from the most careful to the freest.
const (
	Observe Mode = "observe" // probe, evaluate and notify; report the plan
	Suggest Mode = "suggest" // the same, and propose the plan to a person
	Approve Mode = "approve" // act inside the guardrails once a person approved the plan
	Auto    Mode = "auto"    // act inside the guardrails
)

var modeOrder = []Mode{Observe, Suggest, Approve, Auto}

// Lowest returns the most careful of the given modes; an empty or unknown mode
// counts as Observe.
func Lowest(modes ...Mode) Mode {
	low := len(modeOrder) - 1
	for _, m := range modes {
		low = min(low, max(0, slices.Index(modeOrder, m)))
	}
	return modeOrder[low]
}

// Verdict is what a rule says of a target at one moment. Only Breach may lead
// to an action (INV-08); "could not look" is never "looks fine".
type Verdict string

// The six verdicts.
const (
	OK       Verdict = "OK"
	Breach   Verdict = "BREACH"
	NoData   Verdict = "NO_DATA"  // nothing to judge by: no series, or too little traffic
	Stale    Verdict = "STALE"    // the newest sample is too old
	Error    Verdict = "ERROR"    // the query or the look itself failed
	Conflict Verdict = "CONFLICT" // sources contradict each other
)

// Unknown reports whether v is neither good nor bad.
func (v Verdict) Unknown() bool { return v != OK && v != Breach }

// Class is how much an action can hurt (SAFETY section 3).
type Class int

// Action classes, from harmless to destructive.
const (
	C0 Class = iota // observe
	C1              // notify
	C2              // additive: scale up
	C3              // restart
	C4              // rollback
	C5              // subtractive: scale down
)

// Rung is one step of a ladder.
type Rung struct {
	// Action names it: capture, scale, restart, rollback, job, page.
	Action Action `json:"action"`
	Class  Class  `json:"class"`
	// Settle is how long the world is left alone after the action's rollout is
	// complete, before its effect is judged.
	Settle time.Duration `json:"settle,omitempty"`
	// Verify is how long after the action the condition may still hold before
	// the verdict is "no effect".
	Verify time.Duration `json:"verify,omitempty"`
	// Attempts is how often the rung may be tried in one incident; 0 means once.
	Attempts int `json:"attempts,omitempty"`
	// Index is the rung's place in the configured ladder, by which remediate
	// finds its options.
	Index int `json:"index"`
	// Why is the reason given for the rung; empty: it is the next one of the ladder.
	Why string `json:"why,omitempty"`
}

// SourceAlertmanager is the source of external alerts.
const SourceAlertmanager = "alertmanager"

// Alert is one rule's condition on the incident's target.
type Alert struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// Firing is the rule's state after `for` and the clear condition; Verdict is
	// what the last evaluation alone said.
	Firing  bool    `json:"firing"`
	Verdict Verdict `json:"verdict"`
	// Reason explains an unknown verdict, or sums up a breach; Was is what it said
	// when the rule fired.
	Reason string `json:"reason,omitempty"`
	Was    string `json:"was,omitempty"`
	// Value and Bound are in Unit (seconds, ratio, or a plain number).
	Value float64 `json:"value"`
	Bound float64 `json:"bound"`
	Above bool    `json:"above"` // breach when Value > Bound; else when Value < Bound
	Unit  string  `json:"unit,omitempty"`
	// Usual and Noise are the median of the values before the alert fired and how
	// far they strayed from it; zeros if too little was seen.
	Usual float64 `json:"usual,omitempty"`
	Noise float64 `json:"noise,omitempty"`
	// Recent are the last values in breach, oldest first: in what a rule says those
	// until it fired, in an incident also those since. Streak counts the looks in
	// breach since one said OK.
	Recent []float64 `json:"recent,omitempty"`
	Streak int       `json:"streak,omitempty"`
	// which kind of source judged: probe, app, kubernetes, prometheus, or SourceAlertmanager
	Source      string    `json:"source,omitempty"`
	ActiveAt    time.Time `json:"activeAt,omitzero"`
	EvaluatedAt time.Time `json:"evaluatedAt,omitzero"`
	// Lookback is how old the samples may be that the verdict rests on, and OKAt the
	// last look that said OK since an action helped.
	Lookback time.Duration `json:"lookback,omitempty"`
	OKAt     time.Time     `json:"okAt,omitzero"`
	Ladder   []Rung        `json:"ladder,omitempty"`
	// Next is the index of the next rung to try. It never goes down (INV-21).
	Next int `json:"next"`
	// Tries counts the attempts made on rung Next.
	Tries int `json:"tries,omitempty"`
	// Ended: watchdog takes no more actions for this alert in this incident, because its ladder
	// is exhausted or only notifies. Other alerts' ladders continue.
	Ended bool `json:"ended,omitempty"`
	// Labels, Annotations and Link are those of the alert that speaks, as far as they
	// fit: what it is about, and where more is written. Link leads to its expression.
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Link        string            `json:"link,omitempty"`
	// Keys identify the alerts of another system that this one stands for: a
	// successor recognizes repeated and resolved alerts by them.
	Keys []string `json:"keys,omitempty"`
	// Refused is why the last rung that was left out was: what helps a person most.
	Refused string `json:"refused,omitempty"`
	// Silenced names who silenced it at Alertmanager, and until when; empty: not silenced.
	Silenced string `json:"silenced,omitempty"`
	// Extent is how far a trouble reaches that is not of one target alone.
	Extent Extent `json:"extent,omitzero"`
}

// Extent is how far a storm or blindness reaches: the facts of which Reason is made. Reason is no
// measure of whether something changed, as it may be worded anew.
type Extent struct {
	Unhealthy int       `json:"unhealthy,omitempty"`
	Watched   int       `json:"watched,omitempty"`
	Believed  float64   `json:"believed,omitempty"` // how many unhealthy targets are believed
	CalmSince time.Time `json:"calmSince,omitzero"` // since when it is calm; zero: it is not
}

// Equal reports whether two extents are the same.
func (x Extent) Equal(y Extent) bool {
	return x.Unhealthy == y.Unhealthy && x.Watched == y.Watched && x.Believed == y.Believed &&
		x.CalmSince.Equal(y.CalmSince)
}

// Worse reports whether value is further on the wrong side of the bound than
// before by more than the given factor of the distance to the bound.
func (a Alert) Worse(before, value, factor float64) bool {
	if a.Above {
		return value > a.Bound && value-a.Bound > (before-a.Bound)*factor
	}
	return value < a.Bound && a.Bound-value > (a.Bound-before)*factor
}

// gain is how far the value moved from before to now, towards the good side.
func (a Alert) gain(before, now float64) float64 {
	if a.Above {
		return before - now
	}
	return now - before
}

// Phase is the state of an incident.
type Phase string

// Phases of an incident.
const (
	Open       Phase = "open"       // firing; the next rung is sought
	Acting     Phase = "acting"     // an op is reserved or being sent
	Verifying  Phase = "verifying"  // an op was applied; its effect is awaited
	Suppressed Phase = "suppressed" // a person holds the target
	Frozen     Phase = "frozen"     // watchdog cannot see, or too much is broken at once
	Escalated  Phase = "escalated"  // a person must act; watchdog only watches, unless something else fires
	Resolved   Phase = "resolved"   // no rule is firing
)

// OpVerdict is what came of an op.
type OpVerdict string

// Verdicts of ops.
const (
	Helped   OpVerdict = "helped"
	NoEffect OpVerdict = "no effect"
	Harmed   OpVerdict = "harmed"
	Unclear  OpVerdict = "unknown"
	Aborted  OpVerdict = "aborted" // nothing was written
	// ByItself: what was wrong ended before the action could take effect.
	ByItself OpVerdict = "recovered by itself"
)

// Plan is an intended action as a value: it can be shown, hashed and audited
// before anything is done.
type Plan struct {
	Action  Action `json:"action"`
	Class   Class  `json:"class"`
	Target  Target `json:"target"`
	Summary string `json:"summary"` // "scale agent-system/deployment/agent-system from 3 to 4 replicas"
	// Object is what is written: the target itself, its HPA, or a Job.
	Object Object `json:"object"`
	// Patch is a JSON merge patch of Object without identity; Create is a whole
	// object instead; Revision says whose pod template is written. Exactly one is set
	// for actions that write.
	Patch    []byte    `json:"patch,omitempty"`
	Create   []byte    `json:"create,omitempty"`
	Revision *Template `json:"revision,omitempty"`
	// Inverse is the merge patch that undoes Patch, and Back the pod template that undoes
	// Revision; empty if there is none.
	Inverse []byte    `json:"inverse,omitempty"`
	Back    *Template `json:"back,omitempty"`
	// Changes say what is written of a pod template, without the values that may be secret.
	Changes []string `json:"changes,omitempty"`
	// Field, Before and After name what changes, for people and for leases:
	// a lease is reverted only while Field still holds After.
	Field  string `json:"field,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Was is the fingerprint of the pod template before, of plans that change it, and
	// Is the one after, of those that can be undone.
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
	// Lease is how long the change may stay before it is reverted; 0 for ever.
	Lease time.Duration `json:"lease,omitempty"`
	// Price is the number of pods disturbed at worst.
	Price int `json:"price"`
	// Hash binds audit and approval to exactly this plan.
	Hash string `json:"hash"`
}

// Template names the pod template of a revision. The template itself is read when it is
// written: it may hold secrets, and plans are stored, displayed and sent.
type Template struct {
	// UID is that of the ReplicaSet, and Sum the SHA-256 in hex of the template.
	UID string `json:"uid"`
	Sum string `json:"sum"`
}

// Changeful reports whether the plan changes its object, which must then be named by
// uid and resourceVersion.
func (p Plan) Changeful() bool { return len(p.Patch) > 0 || p.Revision != nil }

// Undoable reports whether the plan holds what undoes it.
func (p Plan) Undoable() bool { return len(p.Inverse) > 0 || p.Back != nil }

// Object is the address of the one object that a plan writes, with the
// precondition under which it may be written (INV-03).
type Object struct {
	Group           string `json:"group,omitempty"`
	Version         string `json:"version"`
	Resource        string `json:"resource"` // plural: deployments
	Namespace       string `json:"namespace"`
	Name            string `json:"name"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// OpPhase is how far one op has come.
type OpPhase string

// Phases of an op, in order.
const (
	Reserving OpPhase = "reserving" // asked the ledger; nothing durable yet
	Intent    OpPhase = "intent"    // in the ledger: the durable intent (INV-37)
	Evidenced OpPhase = "evidenced" // evidence taken
	Sent      OpPhase = "sent"      // checked and handed to the API server
	InDoubt   OpPhase = "in doubt"  // outcome unknown: the target must be read
	Settling  OpPhase = "settling"  // applied; effect awaited
	Finished  OpPhase = "finished"  // judged; still to be taken out of the ledger
)

// Op is one action on one target.
type Op struct {
	ID       string  `json:"id"`
	Incident string  `json:"incident"`
	Rule     string  `json:"rule"`
	Rung     int     `json:"rung"`
	Plan     Plan    `json:"plan"`
	Phase    OpPhase `json:"phase"`
	// PlannedAt is when it was decided, SentAt when it was last handed to the API
	// server (zero once nothing of it can be under way any more), AppliedAt when that answered yes, RolledAt when the
	// workload's
	// rollout was complete afterwards.
	PlannedAt time.Time `json:"plannedAt"`
	SentAt    time.Time `json:"sentAt,omitzero"`
	LookedAt  time.Time `json:"lookedAt,omitzero"` // when the last look before SentAt began
	AppliedAt time.Time `json:"appliedAt,omitzero"`
	RolledAt  time.Time `json:"rolledAt,omitzero"`
	// TookAt is when the first pod was ready that the action brought, and WellAt since when
	// the rule says OK without a breach in between.
	TookAt    time.Time     `json:"tookAt,omitzero"`
	WellAt    time.Time     `json:"wellAt,omitzero"`
	Settle    time.Duration `json:"settle,omitempty"`
	Verify    time.Duration `json:"verify,omitempty"`
	ValueThen float64       `json:"valueThen"` // the rule's value when planned
	// Before are the rule's values up to the plan, After those since the action had
	// settled, oldest first; Well counts the looks among After that said OK.
	Before    []float64 `json:"before,omitempty"`
	After     []float64 `json:"after,omitempty"`
	Well      int       `json:"well,omitempty"`
	AfterAt   time.Time `json:"afterAt,omitzero"` // of the last look in After
	ReadyThen int       `json:"readyThen"`        // ready replicas when planned
	// EndpointsThen are the ready endpoints by Service when planned; Fewer is since
	// when there have been fewer of one of them, though the rollout is complete.
	EndpointsThen map[string]int `json:"endpointsThen,omitempty"`
	Fewer         time.Time      `json:"fewer,omitzero"`
	Evidence      string         `json:"evidence,omitempty"`
	Sends         int            `json:"sends,omitempty"`
	// Verdict, Reason and Hold say how a finished op ended.
	Verdict OpVerdict `json:"verdict,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Hold    Hold      `json:"hold,omitempty"`
	// TakeBack: what the op did to pods and endpoints is harm, so that its inverse is
	// due even if it has no lease.
	TakeBack bool `json:"takeBack,omitempty"`
	// Config is the hash of the configuration the op started under (INV-46).
	Config string `json:"config,omitempty"`
	// By is who asked for it, of an op that needed approval; empty: watchdog did.
	By string `json:"by,omitempty"`
}

// Attempt is a finished op.
type Attempt struct {
	OpID    string    `json:"opId"`
	Rule    string    `json:"rule,omitempty"`
	Action  Action    `json:"action"`
	Summary string    `json:"summary"`
	At      time.Time `json:"at"`
	EndedAt time.Time `json:"endedAt"`
	Verdict OpVerdict `json:"verdict"`
	Reason  string    `json:"reason,omitempty"`
}

// Answer is one guard's answer to one plan, with its number.
type Answer struct {
	Guard string `json:"guard"`
	// Hold is empty when the guard lets the plan pass.
	Hold Hold `json:"hold,omitempty"`
	// Reason is always given, with the numbers compared: "2 of 3 ops used in 1h".
	Reason string `json:"reason"`
	// Code names the reason where programs ask about it; else it is empty.
	Code Code `json:"code,omitempty"`
	// RetryAt is when asking again makes sense; zero: at the next evaluation.
	RetryAt time.Time `json:"retryAt,omitzero"`
}

// Code names the reason of an answer.
type Code string

// The codes.
const (
	CodePodsFail      Code = "PodsFail"      // pods of the present revision fail, and more of them would, too
	CodeBreachIsLater Code = "BreachIsLater" // the breach began too long after the release to be of it
	CodeRestored      Code = "Restored"      // watchdog's own rollback made the release the present one
)

// Hold says what a refusal means for the ladder.
type Hold string

// Holds, by what follows from them.
const (
	Wait     Hold = "wait"     // not now; ask again
	Skip     Hold = "skip"     // this rung cannot help here; take the next one
	Freeze   Hold = "freeze"   // watchdog itself cannot be trusted to act now
	Suppress Hold = "suppress" // a person denied it
	HandOver Hold = "handover" // a person must decide
	Advise   Hold = "advise"   // the mode allows no action: the plan is only reported
	Ask      Hold = "ask"      // a person must approve exactly this plan
)

// Receipt is the state of an incident at a receiver.
type Receipt struct {
	Ref    string `json:"ref,omitempty"`    // the receiver's own id: a Slack timestamp, a Statuspage id
	Digest string `json:"digest,omitempty"` // hash of the last message
	State  string `json:"state,omitempty"`  // its state there: triggered, resolved, …
	// Proposed: State is not there yet, it waits for a responder to publish it.
	Proposed bool `json:"proposed,omitempty"`
	// Severity is the worst severity sent: a worse one notifies audibly again (INV-60).
	Severity Severity `json:"severity,omitempty"`
	// how many entries of the timeline, of a receiver that sends them one by one
	Told  int       `json:"told,omitempty"`
	At    time.Time `json:"at,omitzero"`
	Error string    `json:"error,omitempty"`
}

// Incident is one target in trouble and everything done about it.
type Incident struct {
	ID       string    `json:"id"`
	Target   Target    `json:"target"`
	Phase    Phase     `json:"phase"`
	Severity Severity  `json:"severity"` // rises by itself, is lowered only by a person
	Alerts   []Alert   `json:"alerts"`
	Lead     string    `json:"lead"` // the rule whose ladder is worked
	Op       *Op       `json:"op,omitempty"`
	Attempts []Attempt `json:"attempts,omitempty"`
	// Remedy is the last action that helped; what fires on samples from before it waits.
	Remedy Remedy `json:"remedy,omitzero"`
	// Asked is the plan that waits for a person's approval; nil: none does.
	Asked *Request `json:"asked,omitempty"`
	// Answers are the guards' answers to the last rung, ConsideredRule and ConsideredAction
	// are whose it is and what it does, and Considered is the plan that was made for it;
	// empty: none could be made.
	Answers          []Answer `json:"answers,omitempty"`
	Considered       string   `json:"considered,omitempty"`
	ConsideredRule   string   `json:"consideredRule,omitempty"`
	ConsideredAction Action   `json:"consideredAction,omitempty"`
	// HeldSince is when the current rung was first refused with Wait.
	HeldSince time.Time `json:"heldSince,omitzero"`
	// OnHoldSince is when a person's hold was first in the way of an action.
	OnHoldSince time.Time `json:"onHoldSince,omitzero"`
	// Paged is set once a person must act; it is what makes receivers page.
	Paged      bool   `json:"paged,omitempty"`
	PageReason string `json:"pageReason,omitempty"`
	// Acked is the acknowledgement. Until there is one, AckBy is its deadline for the severity
	// AckFor, and Unanswered how many deadlines have passed.
	Acked      Attribution `json:"acked,omitzero"`
	AckBy      time.Time   `json:"ackBy,omitzero"`
	AckFor     Severity    `json:"ackFor,omitempty"`
	Unanswered int         `json:"unanswered,omitempty"`
	// AckFrom is how many had passed when the severity rose to AckFor: a graver one has
	// deadlines of its own.
	AckFrom int `json:"ackFrom,omitempty"`
	// AckedBefore is the last acknowledgement that counts no more, because the incident
	// has become graver since.
	AckedBefore Attribution `json:"ackedBefore,omitzero"`
	// Step is how many times further people were asked, because a deadline or a phase
	// ended without what was due.
	Step int `json:"step,omitempty"`
	// NeededAt is when a person was first needed: from then on the phases of the
	// response count. Stage is how many of them have ended, Overdue how many of those
	// without what they had to bring, and PhaseBy when the present one ends.
	NeededAt time.Time `json:"neededAt,omitzero"`
	Stage    int       `json:"stage,omitempty"`
	Overdue  int       `json:"overdue,omitempty"`
	PhaseBy  time.Time `json:"phaseBy,omitzero"`
	// Graded is the last change of the severity by a responder, Noted the ids of the applied
	// notes, and Found their kinds.
	Graded Grade    `json:"graded,omitzero"`
	Noted  []string `json:"noted,omitempty"`
	Found  []string `json:"found,omitempty"`
	// Public is the last responder action on the status page.
	Public PublicAction `json:"public,omitzero"`
	// HandedOver: the whole incident is a person's, whatever else fires.
	HandedOver bool `json:"handedOver,omitempty"`
	// Shared: part of a wider problem, which has an incident of its own.
	Shared bool `json:"shared,omitempty"`
	// Maintenance is what maintenance windows mean for the target.
	Maintenance Maintenance `json:"maintenance,omitzero"`
	// Format is the version of what is stored (INV-49).
	Format   int       `json:"format,omitempty"`
	OpenedAt time.Time `json:"openedAt"`
	// BeganAt is when the first condition of the incident began to hold: before it fired.
	BeganAt    time.Time `json:"beganAt,omitzero"`
	UpdatedAt  time.Time `json:"updatedAt"`
	ResolvedAt time.Time `json:"resolvedAt,omitzero"`
	// RelapseOf is the incident that ended a short time before on the same target, and
	// Recovery how the watch after the end went: lasting, or relapsed.
	RelapseOf string `json:"relapseOf,omitempty"`
	Recovery  string `json:"recovery,omitempty"`
	// CalmSince is since when nothing fires of a flapping incident that stays open. It is
	// kept when that is over: an alert that another replica accepted since then is news.
	CalmSince time.Time          `json:"calmSince,omitzero"`
	NextAt    time.Time          `json:"nextAt,omitzero"`
	Timeline  []Entry            `json:"timeline,omitempty"`
	Dropped   int                `json:"dropped,omitempty"` // timeline entries that no longer fit
	Receipts  map[string]Receipt `json:"receipts,omitempty"`
	// Evidence is where the newest bundle is, taken at EvidenceAt.
	Evidence   string    `json:"evidence,omitempty"`
	EvidenceAt time.Time `json:"evidenceAt,omitzero"`
}

// evidenceAge is how old evidence may be to serve for the next action too.
const evidenceAge = time.Minute

// Alert returns the alert of the given rule.
func (i Incident) Alert(rule string) (Alert, bool) {
	for _, a := range i.Alerts {
		if a.Rule == rule {
			return a, true
		}
	}
	return Alert{}, false
}

// Silenced is why nobody is notified of the incident: all firing alerts are silenced, or the
// target is in maintenance. Empty: people are notified.
func (i Incident) Silenced() string {
	why := ""
	for _, a := range i.Alerts {
		silenced := cmp.Or(a.Silenced, i.Maintenance.Held)
		switch {
		case !a.Firing:
		case silenced == "":
			return ""
		case why == "" || a.Rule == i.Lead:
			why = silenced
		}
	}
	return why
}

// Title is the one line that names the incident to a person.
func (i Incident) Title() string {
	a, _ := i.Alert(i.Lead)
	names := []string{i.Lead}
	for _, o := range i.Alerts {
		if o.Rule != i.Lead && o.Firing {
			names = append(names, o.Rule)
		}
	}
	t := fmt.Sprintf("%s: %s", i.Target.Name, strings.Join(names, ", "))
	if a.Was != "" {
		t += " (" + a.Was + ")"
	}
	return t
}

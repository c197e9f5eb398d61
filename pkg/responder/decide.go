// Package responder is what a responder may do about an incident: acknowledge it, answer
// a plan, change its severity, add notes, publish it on the status page, and
// hold, resume or undo what watchdog does to its target.
//
// It owns which request is applied, from whom, and the reason when it is not: Decide
// decides by the incident alone, and a Service reads, writes and records around it. It
// leaves to others how a request arrives (command line, HTTP, Slack, PagerDuty), who the
// person is, and what follows from it: it is stored on the incident, and the core reads it
// there.
//
// Its one rule: every refusal says why, and a request that is refused changes nothing.
package responder

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Action is what a person wants.
type Action string

// The actions. Those of the second group are about what watchdog does to a target, and
// stand in the ledger or on the workload; all others stand on the incident.
const (
	Ack     Action = "ack"      // the incident is mine
	Approve Action = "approve"  // yes to exactly this plan
	Deny    Action = "deny"     // no to what is asked
	Grade   Action = "severity" // it is as grave as To says
	Note    Action = "note"     // Reason, as a hypothesis, a decision or plainly
	Publish Action = "publish"  // the public may read of it, or the page stays as it is for a while

	Hold   Action = "hold"   // hands off a workload, a namespace, or everything
	Resume Action = "resume" // ends a hold or a quarantine
	Undo   Action = "undo"   // takes back what watchdog changed, now
)

// Request is what one person wants.
type Request struct {
	Action Action
	// Incident is the id, a unique beginning of it, or the name of a target for its
	// newest incident. Of Undo it may also be an op or a workload.
	Incident string
	// Object is what is held or resumed when no incident says it; All: everything.
	Object Object
	All    bool
	// By is the authenticated name of the person: the API server's for them.
	By     string
	Reason string
	// Plan is the beginning of the hash of the plan that is approved or denied.
	Plan string
	To   incident.Severity
	As   string // kind of a note
	// ID tells a note from others; the same one twice is one note.
	ID string
	// Op is the request that is answered, if the person saw which one.
	Op string
	// Key is the page that is acknowledged, by its dedup key, if the request came from there.
	Key string
	// Until is when a hold ends by itself, of Publish the hold of the page; zero: it has
	// no end, or there is none. Release ends the hold of the page.
	Until   time.Time
	Release bool
	// Source is how the request came, if not by command line.
	Source string
	At     time.Time
}

// Object is a workload, or with an empty kind a namespace.
type Object struct{ Namespace, Kind, Name string }

// String is how people name it.
func (o Object) String() string { return strings.TrimSuffix(o.Namespace+"/"+o.Name, "/") }

// Patch is the part of an incident's responder state that one request writes.
type Patch = incident.ResponderActions

// Refused is a request that is not applied. It changes nothing.
type Refused struct {
	Reason string
	// Forbidden: because of who asks, and not because of what.
	Forbidden bool
}

// Error returns the reason.
func (r *Refused) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refused{Reason: fmt.Sprintf(format, args...)} }

// LeastOfPlan is how much of a hash names a plan.
const LeastOfPlan = 6

// Bounds of responders' texts, in bytes: of one text, and of all texts on one incident,
// which the leader reads whenever one is added.
const (
	maxText  = 1024
	maxWords = 64 << 10
)

// Decide decides on a request about an incident by what responders wrote before: what is
// to be written for it, and one line with the result for the person. It is pure.
func Decide(inc incident.Incident, w incident.ResponderActions, r Request) (Patch, string, error) {
	none := Patch{}
	if r.By == "" {
		return none, "", refuse("cannot identify the caller")
	}
	if len(r.Reason) > maxText {
		return none, "", refuse("the text is longer than %d bytes", maxText)
	}
	inc.Severity = inc.SeverityBy(w.Graded, r.At)
	if n := size(w); n > maxWords && (r.Action == Note || r.Action != Deny && n > 2*maxWords) {
		return none, "", refuse("incident %s already holds %d KiB of responders' texts; the limit is reached", inc.ID, n>>10)
	}
	if r.Action == Ack {
		if err := outgrown(inc, r); err != nil {
			return none, "", err
		}
	}
	by := incident.Attribution{By: r.By, Reason: r.Reason, At: r.At.UTC().Truncate(time.Second), Source: r.Source}
	switch r.Action {
	case Ack:
		return ack(inc, w, by)
	case Approve, Deny:
		return answer(inc, w, r, by)
	case Grade:
		return grade(inc, w, r.To, by)
	case Note:
		return note(inc, w, r, by)
	case Publish:
		return publish(inc, w.Public, r, by)
	}
	return none, "", refuse("%q is not an action: use ack, approve, deny, severity, note, publish, hold, resume or undo", r.Action)
}

// size is how much people have written about the incident.
func size(w incident.ResponderActions) int {
	b, err := json.Marshal(w)
	if err != nil {
		return 0
	}
	return len(b)
}

func ack(inc incident.Incident, w incident.ResponderActions, by incident.Attribution) (Patch, string, error) {
	if inc.Phase == incident.Resolved {
		return Patch{}, "", refuse("incident %s is resolved: there is nothing to acknowledge", inc.ID)
	}
	if had := owner(inc, w); !had.At.IsZero() {
		return Patch{}, "", refuse("%s was acknowledged by %s at %s", inc.ID, cmp.Or(had.By, "somebody"),
			had.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	by.Severity = inc.Severity
	return Patch{Acked: by}, fmt.Sprintf("%s %s: yours", inc.ID, inc.Title()), nil
}

// owner is who acknowledged the incident, as far as anybody has written it down.
func owner(inc incident.Incident, w incident.ResponderActions) incident.Attribution {
	if !inc.Acked.At.IsZero() {
		return inc.Acked
	}
	if inc.AnsweredBy(w.Acked) {
		return w.Acked
	}
	return incident.Attribution{}
}

// outgrown refuses an acknowledgement of an incident that has become graver since the
// person was notified of it: what they saw is not what they would acknowledge.
func outgrown(inc incident.Incident, r Request) error {
	shown := inc.Severity
	if _, of, ok := strings.Cut(r.Key, "/"); ok {
		shown = incident.Severity(of)
	} else if told := inc.Receipts[r.Source]; told.Severity != "" {
		shown = told.Severity
	}
	if inc.Phase == incident.Resolved || !inc.Severity.Worse(shown) {
		return nil
	}
	return refuse("%s was notified as %s and is now %s: check it, and acknowledge it as %[3]s", inc.ID, shown,
		inc.Severity)
}

// answer is a yes or no to what an incident asks. Who answers has taken it on.
func answer(inc incident.Incident, w incident.ResponderActions, r Request, by incident.Attribution) (Patch, string, error) {
	if inc.Asked == nil && r.Action == Deny {
		inc.Asked = unsent(inc, w, r.At)
	}
	asked, err := Pending(inc, w)
	if err != nil {
		return Patch{}, "", err
	}
	if err := unfit(asked, w, r); err != nil {
		return Patch{}, "", err
	}
	p := Patch{Approved: map[string]map[string]incident.Approval{asked.Op: {r.By: {Attribution: by,
		Plan: asked.Plan.Hash, Denied: r.Action == Deny}}}}
	if owner(inc, w).At.IsZero() && outgrown(inc, r) == nil {
		p.Acked = by
		p.Acked.Severity = inc.Severity
	}
	text := fmt.Sprintf("%s by %s: %s", verb(r.Action), r.By, asked.Plan.Summary)
	if r.Action == Approve && asked.Quorum > 1 {
		names := map[string]bool{strings.ToLower(r.By): true}
		for who, a := range w.Approved[asked.Op] {
			if !a.Denied && a.Plan == asked.Plan.Hash {
				names[strings.ToLower(who)] = true
			}
		}
		text += fmt.Sprintf(" (%d of %d)", len(names), asked.Quorum)
	}
	return p, text, nil
}

func verb(a Action) string { return map[Action]string{Approve: "approved", Deny: "denied"}[a] }

// unfit says why an answer does not fit what is asked; nil: it does.
func unfit(asked incident.Request, w incident.ResponderActions, r Request) error {
	plan := strings.ToLower(r.Plan)
	switch had, said := w.Approved[asked.Op][r.By]; {
	case r.Action == Approve && len(plan) < LeastOfPlan:
		return refuse("not approved: name the plan by at least %d characters of its hash: %.12s", LeastOfPlan,
			asked.Plan.Hash)
	case r.Op != "" && r.Op != asked.Op:
		return refuse("not %s: the request has changed; the current plan is %.12s: %s", verb(r.Action),
			asked.Plan.Hash, asked.Plan.Summary)
	case plan != "" && !strings.HasPrefix(asked.Plan.Hash, plan):
		return refuse("not %s: the current plan is %.12s, not %.12q: %s", verb(r.Action), asked.Plan.Hash, r.Plan,
			asked.Plan.Summary)
	case !r.At.Before(asked.Until):
		return refuse("not %s: the request expired at %s", verb(r.Action),
			asked.Until.UTC().Format("2006-01-02 15:04:05 UTC"))
	case r.Action == Approve && strings.EqualFold(r.By, asked.By):
		return refuse("not approved: %s requested this; another person must approve it", r.By)
	case r.Action == Approve && asked.Quorum > 1 && strings.HasPrefix(r.By, "system:serviceaccount:"):
		return refuse("not approved: %d people must approve, and %s is a program", asked.Quorum, r.By)
	case r.Action == Approve && said && had.Plan == asked.Plan.Hash:
		return refuse("%s already approved this at %s", r.By, had.At.UTC().Format("15:04:05 UTC"))
	}
	return nil
}

// Pending returns what the incident asks, if it still waits for an answer. A no may
// follow a yes; a yes does not follow a no.
func Pending(inc incident.Incident, w incident.ResponderActions) (incident.Request, error) {
	r := inc.Asked
	if r == nil {
		return incident.Request{}, refuse("incident %s (%s) does not request approval; `watchdog why %s` shows where it "+
			"stands", inc.ID, inc.Phase, inc.ID)
	}
	if who, a, denied := w.Denial(r.Op); denied {
		return incident.Request{}, refuse("this was denied by %s at %s; watchdog will not request it again in "+
			"this incident", who, a.At.UTC().Format("15:04:05 UTC"))
	}
	return *r, nil
}

// unsent is the request of an op that was approved, as long as the incident does not say
// that it is being sent: until then a no still counts.
func unsent(inc incident.Incident, w incident.ResponderActions, at time.Time) *incident.Request {
	op := inc.Op
	before := []incident.OpPhase{incident.Reserving, incident.Intent, incident.Evidenced}
	if op == nil || len(w.Approved[op.ID]) == 0 || !slices.Contains(before, op.Phase) {
		return nil
	}
	return &incident.Request{
		Op: op.ID, Rule: op.Rule, Rung: op.Rung, Plan: op.Plan, At: op.PlannedAt, Until: at.Add(time.Second), By: op.By,
	}
}

func grade(inc incident.Incident, w incident.ResponderActions, to incident.Severity,
	by incident.Attribution) (Patch, string, error) {
	switch {
	case !slices.Contains([]incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}, to):
		return Patch{}, "", refuse("invalid severity %q: use P0, P1, P2 or P3", to)
	case inc.Phase == incident.Resolved:
		return Patch{}, "", refuse("incident %s is resolved: its severity stays %s", inc.ID, inc.Severity)
	case inc.Severity == to:
		return Patch{}, "", refuse("incident %s is already a %s", inc.ID, to)
	case by.Reason == "":
		return Patch{}, "", refuse("a reason is required to change the severity")
	}
	by.At = after(by.At, time.Second, inc.Graded.At, w.Graded.At)
	return Patch{Graded: incident.Grade{Attribution: by, To: to}}, fmt.Sprintf("%s %s: from %s to %s", inc.ID,
		inc.Title(), inc.Severity, to), nil
}

// after returns a time after all earlier ones: the last request counts, and its time shows
// which one that is, also within one second, and after a request by a clock that was ahead.
func after(at time.Time, by time.Duration, before ...time.Time) time.Time {
	for _, b := range before {
		if !at.After(b) && !incident.Ahead(b, at) {
			at = b.Add(by)
		}
	}
	return at
}

// maxWaiting is how many notes of one incident wait to be taken over.
const maxWaiting = 20

func note(inc incident.Incident, w incident.ResponderActions, r Request, by incident.Attribution) (Patch, string, error) {
	waiting := 0
	for id := range w.Notes {
		if !slices.Contains(inc.Noted, id) {
			waiting++
		}
	}
	switch {
	case !slices.Contains([]string{"", incident.Hypothesis, incident.Decision}, r.As):
		return Patch{}, "", refuse("invalid note kind %q: use hypothesis or decision, or omit it", r.As)
	case strings.TrimSpace(r.Reason) == "":
		return Patch{}, "", refuse("the note is empty")
	case inc.Phase == incident.Resolved:
		return Patch{}, "", refuse("incident %s is resolved: write it into its review", inc.ID)
	case len(inc.Noted) >= incident.MaxNotes:
		return Patch{}, "", refuse("incident %s already has %d notes, the maximum: write it into its review", inc.ID,
			len(inc.Noted))
	case waiting >= maxWaiting:
		return Patch{}, "", refuse("%d notes of %s are not processed yet: check that watchdog is running", waiting, inc.ID)
	}
	notes := map[string]incident.Note{cmp.Or(r.ID, noteID(r)): {Attribution: by, As: r.As}}
	return Patch{Notes: notes}, fmt.Sprintf("%s %s: noted", inc.ID, inc.Title()), nil
}

// noteID is the id of a note that has none of its own. Two that say something else are
// two, also when one person writes them within one second.
func noteID(r Request) string {
	sum := sha256.Sum256([]byte(r.By + "\x00" + r.As + "\x00" + r.Reason))
	return fmt.Sprintf("%s-%x", r.At.UTC().Format("20060102T150405.000000000"), sum[:6])
}

// publish publishes the incident on the status page, or holds the page. It is published as
// a whole: with all later updates.
func publish(inc incident.Incident, before incident.PublicAction, r Request,
	by incident.Attribution) (Patch, string, error) {
	by.At = after(r.At.UTC().Truncate(time.Millisecond), time.Millisecond, before.At, inc.Public.At)
	p := incident.PublicAction{Attribution: by, Publish: before.Publish || inc.Public.Publish, HoldUntil: r.Until}
	switch {
	case inc.Phase == incident.Resolved && inc.Receipts[incident.PublicReceiver].Ref == "":
		return Patch{}, "", refuse("incident %s is resolved and was never published: there is nothing to do on the "+
			"status page", inc.ID)
	case r.Release && !before.Held(r.At) && !inc.Public.Held(r.At):
		return Patch{}, "", refuse("the status page is not on hold for incident %s", inc.ID)
	case r.Release:
		p.HoldUntil = time.Time{}
	case r.Until.IsZero():
		p.Publish = true
	case !r.Until.After(r.At):
		return Patch{}, "", refuse("cannot hold the page until %s: the time is in the past",
			r.Until.UTC().Format("2006-01-02 15:04:05 UTC"))
	case strings.TrimSpace(r.Reason) == "":
		return Patch{}, "", refuse("a reason is required to hold the status page")
	}
	return Patch{Public: p}, fmt.Sprintf("%s %s: %s", inc.ID, inc.Title(), p), nil
}

// wholeID is how long the id of an incident is.
const wholeID = 26

// WholeID reports whether a word has the form of a whole id, and returns it as it is stored: who has a
// whole id needs to read no other incident.
func WholeID(word string) (id string, whole bool) {
	other := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }
	id = strings.ToLower(word)
	return id, len(id) == wholeID && !strings.ContainsFunc(id, other)
}

// Pick finds the incident that a person means: by its id, a unique beginning of
// it, or the name of a target or workload, whose newest it then is.
func Pick(all []incident.Incident, word string) (incident.Incident, error) {
	var begin, of []incident.Incident
	for _, i := range all {
		switch {
		case i.ID == word:
			return i, nil
		case word != "" && strings.HasPrefix(i.ID, strings.ToLower(word)):
			begin = append(begin, i)
		case word == "":
		case i.Target.Name == word || i.Target.Workload == word:
			of = append(of, i)
		}
	}
	switch {
	case len(begin) == 1:
		return begin[0], nil
	case len(begin) > 1:
		return incident.Incident{}, refuse("%d incidents match %q; give more of the id", len(begin), word)
	case len(of) > 0:
		return slices.MaxFunc(of, func(a, b incident.Incident) int { return a.OpenedAt.Compare(b.OpenedAt) }), nil
	}
	return incident.Incident{}, refuse("no incident %q; `watchdog incidents` lists them", word)
}

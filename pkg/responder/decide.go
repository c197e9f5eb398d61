// Package responder is what a responder may do about an incident: acknowledge it, answer
// a plan, change its severity, and write down what they found.
//
// It owns which request is applied, from whom, and the reason when it is not: Decide
// says so, and a Service does what is around it. It leaves to others how a request
// arrives (HTTP, Slack, PagerDuty), who the person is, and what follows from it: it is
// written down, and the core takes it from there.
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

// Action is a kind of word.
type Action string

// The verbs.
const (
	Ack     Action = "ack"      // the incident is mine
	Approve Action = "approve"  // yes to exactly this plan
	Deny    Action = "deny"     // no to what is asked
	Grade   Action = "severity" // it is as grave as To says
	Note    Action = "note"     // Reason, as a hypothesis, a decision or plainly
)

// Request is what one person says of one incident.
type Request struct {
	Action Action
	// Incident is the id, a unique beginning of it, or the name of a target for its
	// newest incident.
	Incident string
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
	// Key is the page that is acknowledged, by its dedup key, if the word came from there.
	Key string
	// Source is how the word came, if not by command line.
	Source string
	At     time.Time
}

// Refused is a word that is not taken. It changes nothing.
type Refused struct {
	Reason string
	// Forbidden: because of who says it, and not because of what.
	Forbidden bool
}

// Error returns the reason.
func (r *Refused) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refused{Reason: fmt.Sprintf(format, args...)} }

// LeastOfPlan is how much of a hash names a plan.
const LeastOfPlan = 6

// maxText bounds what a person says, in bytes.
const maxText = 1024

// Decide decides on a word: what is to be written into the ledger for it, and one
// line that tells the person what came of it. It is pure.
func Decide(all []incident.Incident, l incident.Ledger, w Request) (incident.Saying, string, error) {
	none := incident.Saying{}
	if w.By == "" {
		return none, "", refuse("cannot identify the caller")
	}
	if len(w.Reason) > maxText {
		return none, "", refuse("the text is longer than %d bytes", maxText)
	}
	inc, err := Pick(all, w.Incident)
	if err != nil {
		return none, "", err
	}
	inc.Severity = inc.SeverityBy(l.Graded[inc.ID])
	s := incident.Saying{Gone: gone(all, l, w.At)}
	if n := size(l); n > maxWords && (w.Action == Note || n > 2*maxWords) {
		return none, "", refuse("people's words in the ledger are %d KiB, and nobody takes them over: is watchdog down?", n>>10)
	}
	if w.Action == Ack {
		if err := outgrown(inc, w); err != nil {
			return none, "", err
		}
	}
	mark := incident.Attribution{By: w.By, Reason: w.Reason, At: w.At.UTC().Truncate(time.Second), Source: w.Source}
	switch w.Action {
	case Ack:
		return ack(s, inc, l, mark)
	case Approve, Deny:
		return answer(s, inc, l, w, mark)
	case Grade:
		return grade(s, inc, l, w.To, mark)
	case Note:
		return note(s, inc, l, w, mark)
	}
	return none, "", refuse("%q is not an action: use ack, approve, deny, severity or note", w.Action)
}

// maxWords bounds what people's words in the ledger are, in bytes: the ops in flight
// stand in the same object, and a full one takes none.
const maxWords = 256 << 10

// size is how much people's words in the ledger are.
func size(l incident.Ledger) int {
	b, err := json.Marshal([]any{l.Acked, l.Graded, l.Notes, l.Approved})
	if err != nil {
		return 0
	}
	return len(b)
}

func ack(s incident.Saying, inc incident.Incident, l incident.Ledger, m incident.Attribution) (incident.Saying, string, error) {
	if inc.Phase == incident.Resolved {
		return s, "", refuse("incident %s is resolved: there is nothing to take on", inc.ID)
	}
	if had := taken(inc, l); !had.At.IsZero() {
		return s, "", refuse("%s was acknowledged by %s at %s", inc.ID, cmp.Or(had.By, "somebody"), had.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	m.Severity = inc.Severity
	s.Acked = map[string]incident.Attribution{inc.ID: m}
	return s, fmt.Sprintf("%s %s: yours", inc.ID, inc.Title()), nil
}

// taken is who took the incident on, as far as anybody has written it down.
func taken(inc incident.Incident, l incident.Ledger) incident.Attribution {
	if !inc.Acked.At.IsZero() {
		return inc.Acked
	}
	if m := l.Acked[inc.ID]; inc.AnsweredBy(m) {
		return m
	}
	return incident.Attribution{}
}

// outgrown refuses an acknowledgement of an incident that has become graver since the
// person was told of it: what they saw is not what they would take on.
func outgrown(inc incident.Incident, w Request) error {
	shown := inc.Severity
	if _, of, ok := strings.Cut(w.Key, "/"); ok {
		shown = incident.Severity(of)
	} else if r := inc.Receipts[w.Source]; r.Severity != "" {
		shown = r.Severity
	}
	if inc.Phase == incident.Resolved || !inc.Severity.Worse(shown) {
		return nil
	}
	return refuse("%s was told as %s, and is %s now: look again, and acknowledge that", inc.ID, shown, inc.Severity)
}

// answer is a yes or no to what an incident asks. Who answers has taken it on.
func answer(s incident.Saying, inc incident.Incident, l incident.Ledger, w Request, m incident.Attribution) (incident.Saying, string, error) {
	r, err := Pending(inc, l)
	if err != nil {
		return s, "", err
	}
	verb := map[Action]string{Approve: "approved", Deny: "denied"}[w.Action]
	plan := strings.ToLower(w.Plan)
	switch had, said := l.Approved[r.Op][w.By]; {
	case w.Action == Approve && len(plan) < LeastOfPlan:
		return s, "", refuse("not approved: name the plan by at least %d characters of its hash: %.12s", LeastOfPlan, r.Plan.Hash)
	case w.Op != "" && w.Op != r.Op:
		return s, "", refuse("not %s: that was another request; now it is about plan %.12s: %s", verb, r.Plan.Hash, r.Plan.Summary)
	case plan != "" && !strings.HasPrefix(r.Plan.Hash, plan):
		return s, "", refuse("not %s: the plan is %.12s now, and not %.12q: %s", verb, r.Plan.Hash, w.Plan, r.Plan.Summary)
	case !w.At.Before(r.Until):
		return s, "", refuse("not %s: the request ended at %s", verb, r.Until.UTC().Format("2006-01-02 15:04:05 UTC"))
	case w.Action == Approve && strings.EqualFold(w.By, r.By):
		return s, "", refuse("not approved: %s asked for this, and somebody else has to approve it", w.By)
	case w.Action == Approve && r.Quorum > 1 && strings.HasPrefix(w.By, "system:serviceaccount:"):
		return s, "", refuse("not approved: %d people must say yes, and %s is a program", r.Quorum, w.By)
	case w.Action == Approve && said && had.Plan == r.Plan.Hash:
		return s, "", refuse("%s approved this at %s; that counts once", w.By, had.At.UTC().Format("15:04:05 UTC"))
	}
	s.Approved = map[string]map[string]incident.Approval{r.Op: {w.By: {Attribution: m, Plan: r.Plan.Hash, Denied: w.Action == Deny}}}
	if taken(inc, l).At.IsZero() && outgrown(inc, w) == nil {
		m.Severity = inc.Severity
		s.Acked = map[string]incident.Attribution{inc.ID: m}
	}
	text := fmt.Sprintf("%s by %s: %s", verb, w.By, r.Plan.Summary)
	if w.Action == Approve && r.Quorum > 1 {
		names := map[string]bool{strings.ToLower(w.By): true}
		for who, a := range l.Approved[r.Op] {
			if !a.Denied && a.Plan == r.Plan.Hash {
				names[strings.ToLower(who)] = true
			}
		}
		text += fmt.Sprintf(" (%d of %d)", len(names), r.Quorum)
	}
	return s, text, nil
}

// Pending returns what the incident asks, if it still waits for an answer. A no may
// follow a yes; a yes does not follow a no.
func Pending(inc incident.Incident, l incident.Ledger) (incident.Request, error) {
	r := inc.Asked
	if r == nil {
		return incident.Request{}, refuse("incident %s (%s) asks for no approval; `watchdog why %s` says where it stands", inc.ID, inc.Phase, inc.ID)
	}
	for who, a := range l.Approved[r.Op] {
		if a.Denied {
			return incident.Request{}, refuse("this was denied by %s at %s; watchdog does not ask for it again in this incident", who, a.At.UTC().Format("15:04:05 UTC"))
		}
	}
	return *r, nil
}

func grade(s incident.Saying, inc incident.Incident, l incident.Ledger, to incident.Severity, m incident.Attribution) (incident.Saying, string, error) {
	switch {
	case !slices.Contains([]incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}, to):
		return s, "", refuse("%q is no severity: use P0, P1, P2 or P3", to)
	case inc.Phase == incident.Resolved:
		return s, "", refuse("incident %s is resolved: its severity stays %s", inc.ID, inc.Severity)
	case inc.Severity == to:
		return s, "", refuse("incident %s is a %s", inc.ID, to)
	case m.Reason == "":
		return s, "", refuse("a severity is changed with a reason: the next person will ask")
	}
	// The last word counts, and by its time it is known. A word is the last because it
	// is written last, also within one second, and after one by a clock that was ahead.
	for _, before := range []time.Time{inc.Graded.At, l.Graded[inc.ID].At} {
		if !m.At.After(before) {
			m.At = before.Add(time.Second)
		}
	}
	s.Graded = map[string]incident.Grade{inc.ID: {Attribution: m, To: to}}
	return s, fmt.Sprintf("%s %s: from %s to %s", inc.ID, inc.Title(), inc.Severity, to), nil
}

// maxNotes is how many notes of one incident wait in the ledger.
const maxNotes = 20

func note(s incident.Saying, inc incident.Incident, l incident.Ledger, w Request, m incident.Attribution) (incident.Saying, string, error) {
	switch {
	case !slices.Contains([]string{"", incident.Hypothesis, incident.Decision}, w.As):
		return s, "", refuse("a note is a hypothesis, a decision, or neither; not %q", w.As)
	case strings.TrimSpace(w.Reason) == "":
		return s, "", refuse("the note is empty")
	case inc.Phase == incident.Resolved:
		return s, "", refuse("incident %s is resolved: write it into its review", inc.ID)
	case len(inc.Noted) >= incident.MaxNotes:
		return s, "", refuse("incident %s has %d notes, and takes no more: write it into its review", inc.ID, len(inc.Noted))
	}
	notes := map[string]incident.Note{cmp.Or(w.ID, noteID(w)): {Attribution: m, As: w.As}}
	waiting := 0
	for id := range l.Notes[inc.ID] {
		if waiting++; slices.Contains(inc.Noted, id) {
			waiting--
		}
	}
	if waiting >= maxNotes {
		return s, "", refuse("%d notes of %s wait to be taken over: is watchdog down?", waiting, inc.ID)
	}
	s.Notes = map[string]map[string]incident.Note{inc.ID: notes}
	return s, fmt.Sprintf("%s %s: noted", inc.ID, inc.Title()), nil
}

// noteID is the id of a note that has none of its own. Two that say something else are
// two, also when one person writes them within one second.
func noteID(w Request) string {
	sum := sha256.Sum256([]byte(w.By + "\x00" + w.As + "\x00" + w.Reason))
	return fmt.Sprintf("%s-%x", w.At.UTC().Format("20060102T150405.000000000"), sum[:6])
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
		return incident.Incident{}, refuse("%d incidents begin with %q; give more of the id", len(begin), word)
	case len(of) > 0:
		return slices.MaxFunc(of, func(a, b incident.Incident) int { return a.OpenedAt.Compare(b.OpenedAt) }), nil
	}
	return incident.Incident{}, refuse("no incident %q; `watchdog incidents` lists them", word)
}

// longAgo is how old a word must be to go because nothing is known of what it is
// about: a list of incidents may be older than the newest of them.
const longAgo = time.Hour

// gone are the words in the ledger that nobody waits for any more: what an incident
// has taken over, and all about incidents and requests that are over.
func gone(all []incident.Incident, l incident.Ledger, now time.Time) incident.Gone {
	var g incident.Gone
	old := func(at time.Time) bool { return now.Sub(at) > longAgo }
	open := map[string]incident.Incident{}
	for _, i := range all {
		if i.Phase != incident.Resolved || i.Op != nil {
			open[i.ID] = i
		}
	}
	last := map[string]time.Time{}
	for id, m := range l.Acked {
		last[id] = newer(last[id], m.At)
	}
	for id, m := range l.Graded {
		last[id] = newer(last[id], m.At)
	}
	for id, notes := range l.Notes {
		last[id] = newer(last[id], time.Time{})
		for k, n := range notes {
			last[id] = newer(last[id], n.At)
			if slices.Contains(open[id].Noted, k) {
				if g.Notes == nil {
					g.Notes = map[string][]string{}
				}
				g.Notes[id] = append(g.Notes[id], k)
			}
		}
		slices.Sort(g.Notes[id])
	}
	for id, at := range last {
		if _, goes := open[id]; !goes && old(at) {
			g.Incidents = append(g.Incidents, id)
		}
	}
	for op, words := range l.Approved {
		at := time.Time{}
		for _, a := range words {
			at = newer(at, a.At)
		}
		waits := func(i incident.Incident) bool {
			return i.Asked != nil && i.Asked.Op == op || i.Op != nil && i.Op.ID == op
		}
		if old(at) && !slices.ContainsFunc(all, waits) && !slices.ContainsFunc(l.Ops, func(o incident.Op) bool { return o.ID == op }) {
			g.Ops = append(g.Ops, op)
		}
	}
	slices.Sort(g.Incidents)
	slices.Sort(g.Ops)
	return g
}

func newer(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

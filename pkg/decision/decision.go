// Package decision writes down what the core decided and what it was given, so that the
// same can be asked again.
//
// It owns the format: one record holds the Steps that led to one write of an incident, each
// with the complete state, event and policy, as far as they differ from what the record
// before it gave, and with the outcome. It leaves the log to audit, the decisions to
// incident, and what the guards look at to nobody: their answers are part of the event.
//
// Its one rule: writing down changes no decision. A Step that cannot be written down is
// taken all the same, and the record says that it is missing.
package decision

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Format is the version of what a record of this package means. It rises with every change
// after which Step answers the same question in another way, or a record is read in
// another way: TestARecordOfThisFormatIsReplayed fails then.
const Format = 3

// Kind is the kind of the audit records that hold decisions.
const Kind = "decision"

const (
	// fullEvery is after how many decisions a state is written in full again, so that a
	// record can be replayed although older files are gone.
	fullEvery = 16
	// maxData bounds a record; the log takes 1 MiB.
	maxData = 256 << 10
)

// data is what a record holds.
type data struct {
	Format int    `json:"format"`
	Steps  []step `json:"steps"`
}

// step is one Step that decided something.
type step struct {
	// Left says why it cannot be replayed; empty: it can.
	Left string `json:"left,omitempty"`
	// After is the sum of the state that an earlier record of the incident gave; empty:
	// this process has recorded none. Full: Given stands alone, else it is what changes.
	After string          `json:"after,omitempty"`
	Full  bool            `json:"full,omitempty"`
	Given json.RawMessage `json:"given,omitempty"`
	Got   outcome         `json:"got,omitzero"`
}

// outcome is what a Step answered.
type outcome struct {
	Phase   incident.Phase    `json:"phase"`
	Op      string            `json:"op,omitempty"` // its id and phase
	Effects []incident.Effect `json:"effects,omitempty"`
	State   string            `json:"state"` // sum of the state
}

func outcomeOf(i incident.Incident, effects []incident.Effect, sum string) outcome {
	o := outcome{Phase: i.Phase, Effects: effects, State: sum}
	if i.Op != nil {
		o.Op = i.Op.ID + " " + string(i.Op.Phase)
	}
	return o
}

// Act is the data of the record of an action: the plan of the incident's op, and what let it pass.
func Act(i incident.Incident) json.RawMessage {
	b, _ := json.Marshal(map[string]any{"plan": i.Op.Plan, "answers": i.Answers, "config": i.Op.Config,
		"evidence": i.Op.Evidence})
	return b
}

// String is the outcome for people.
func (o outcome) String() string {
	s := string(o.Phase)
	if o.Op != "" {
		s += ", op " + o.Op
	}
	for _, e := range o.Effects {
		s += ", " + string(e)
	}
	return s
}

// Names of what a Step is given.
const (
	itsKind   = "kind"
	itsState  = "state"
	itsPolicy = "policy"
	itsAsked  = "asked" // what Step asked of the response's deadlines, with the answers
	itsTick   = "tick"  // the last tick, from which the next one hardly differs
	itsEvent  = "event" // the last event that is no tick: the guards say much the same twice
)

// reduced is the incident without what Step never looks at: what receivers were told.
func reduced(i incident.Incident) incident.Incident {
	told, is := i.Receipts[incident.PublicReceiver]
	if i.Receipts = nil; is {
		i.Receipts = map[string]incident.Receipt{incident.PublicReceiver: {Ref: told.Ref, At: told.At}}
	}
	return i
}

// decides reports whether a Step decided something, and did not only take over what is
// measured, or ask for the next look.
func decides(a, b incident.Incident) bool {
	op := func(i incident.Incident) string {
		if i.Op == nil {
			return ""
		}
		return i.Op.ID + " " + string(i.Op.Phase)
	}
	return a.Phase != b.Phase || entries(a) != entries(b) || op(a) != op(b) || a.Lead != b.Lead ||
		a.Severity != b.Severity ||
		a.Paged != b.Paged || a.HandedOver != b.HandedOver || len(a.Attempts) != len(b.Attempts) ||
		(a.Asked == nil) != (b.Asked == nil)
}

// entries is how many lines the timeline has had.
func entries(i incident.Incident) int { return len(i.Timeline) + i.Dropped }

// sum names a state.
func sum(state any) string {
	b, _ := json.Marshal(state)
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}

// nameOf is how a record calls an event.
func nameOf(e incident.Event) string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "incident."))
}

// eventOf reads an event.
func eventOf(name string, v any) (incident.Event, error) {
	switch name {
	case "tick":
		return as[incident.Tick](v)
	case "considered":
		return as[incident.Considered](v)
	case "reserved":
		return as[incident.Reserved](v)
	case "refused":
		return as[incident.Refused](v)
	case "captured":
		return as[incident.Captured](v)
	case "rechecked":
		return as[incident.Rechecked](v)
	case "acted":
		return as[incident.Acted](v)
	case "found":
		return as[incident.Found](v)
	case "released":
		return as[incident.Released](v)
	}
	return nil, fmt.Errorf("unknown event %.40q", name)
}

// as reads a value, and refuses what it has no place for.
func as[T any](v any) (T, error) {
	var out T
	b, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err = d.Decode(&out)
	return out, err
}

// response answers for the deadlines of a response. Recording: it asks the real one and
// keeps the answers. Replaying: it knows those alone.
type response struct {
	of      incident.Response
	Dues    map[string]time.Time        `json:"dues,omitempty"`
	Stages  map[string][]incident.Stage `json:"stages,omitempty"`
	unknown []string
}

func dueKey(s incident.Severity, n int, from time.Time) string {
	return fmt.Sprintf("%s %d %s", s, n, from.UTC().Format(time.RFC3339Nano))
}

func (r *response) Due(s incident.Severity, n int, from time.Time) time.Time {
	k := dueKey(s, n, from)
	if r.of == nil {
		at, known := r.Dues[k]
		if !known {
			r.unknown = append(r.unknown, "the deadline of "+k)
		}
		return at
	}
	if r.Dues == nil {
		r.Dues = map[string]time.Time{}
	}
	r.Dues[k] = r.of.Due(s, n, from)
	return r.Dues[k]
}

func (r *response) Phases(s incident.Severity) []incident.Stage {
	if r.of == nil {
		all, known := r.Stages[string(s)]
		if !known {
			r.unknown = append(r.unknown, "the phases of "+string(s))
		}
		return all
	}
	if r.Stages == nil {
		r.Stages = map[string][]incident.Stage{}
	}
	r.Stages[string(s)] = r.of.Phases(s)
	return slices.Clone(r.Stages[string(s)])
}

// Package decision records the inputs and results of the core's decisions, so that they
// can be replayed.
//
// It owns the format: one record has the Steps that led to one write of an incident, each
// with its complete state, event and policy, encoded as the difference to the previous
// record, and with its result. It leaves the log to audit and the decisions to incident. The
// input of the guards is not recorded: their answers are part of the event.
//
// Its one rule: recording changes no decision. A Step that cannot be recorded is taken
// nevertheless, and the record states that it is missing.
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

// Format is the version of the records of this package. It increases with every change
// after which Step returns another result for the same input, or a record is read
// differently: TestARecordOfThisFormatIsReplayed fails then.
const Format = 3

// Kind is the kind of the audit records that hold decisions.
const Kind = "decision"

const (
	// fullEvery is after how many decisions a state is recorded in full again, so that a
	// record can be replayed without older files.
	fullEvery = 16
	// maxData bounds a record; the log takes 1 MiB.
	maxData = 256 << 10
)

// data is the content of a record.
type data struct {
	Format int    `json:"format"`
	Steps  []step `json:"steps"`
}

// step is one Step that decided something.
type step struct {
	// Left is why it cannot be replayed; empty: it can.
	Left string `json:"left,omitempty"`
	// After is the sum of the state that the previous record of the incident produced; empty:
	// this process has recorded none. Full: Given is complete, else it is a difference.
	After string          `json:"after,omitempty"`
	Full  bool            `json:"full,omitempty"`
	Given json.RawMessage `json:"given,omitempty"`
	Got   outcome         `json:"got,omitzero"`
}

// outcome is the result of a Step.
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

// Act is the data of the record of an action: the plan of the incident's op, and the answers
// that allowed it.
func Act(i incident.Incident) json.RawMessage {
	b, _ := json.Marshal(map[string]any{"plan": i.Op.Plan, "answers": i.Answers, "config": i.Op.Config,
		"evidence": i.Op.Evidence})
	return b
}

// String is the outcome as text.
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

// Names of the inputs of a Step.
const (
	itsKind   = "kind"
	itsState  = "state"
	itsPolicy = "policy"
	itsAsked  = "asked" // the response's deadlines that Step asked for
	itsTick   = "tick"  // the last tick: the next one hardly differs
	itsEvent  = "event" // the last other event: the answers of guards hardly differ
)

// reduced is the incident without what Step never reads: most receipts.
func reduced(i incident.Incident) incident.Incident {
	told, is := i.Receipts[incident.PublicReceiver]
	if i.Receipts = nil; is {
		i.Receipts = map[string]incident.Receipt{incident.PublicReceiver: {Ref: told.Ref, At: told.At}}
	}
	return i
}

// decides reports whether a Step decided something, and did not only store measurements
// or schedule the next check.
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

// entries is the number of lines of the timeline, including dropped ones.
func entries(i incident.Incident) int { return len(i.Timeline) + i.Dropped }

// sum is the hash of a state.
func sum(state any) string {
	b, _ := json.Marshal(state)
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}

// nameOf is the name of an event in a record.
func nameOf(e incident.Event) string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "incident."))
}

// eventOf decodes an event.
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

// as decodes a value, and refuses unknown fields.
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

// response returns the deadlines of a response. When recording, it asks the real one and
// stores the results; when replaying, it knows only those.
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

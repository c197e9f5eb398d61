// Package review fills in the runbook's post-incident review from the record of
// an incident.
//
// It owns what a review says and how it looks as Markdown and as HTML. It leaves
// reading the incident, and the samples of a picture, to who calls it; what only
// people know comes from their Notes.
//
// Its one rule: a review says nothing that the record does not. Every time in it
// names the row of the timeline it comes from, and the same record gives the same
// bytes.
package review

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Notes are what people add: why it happened, what it meant, what follows.
type Notes struct {
	RootCause   string   `yaml:"root_cause" json:"rootCause,omitempty"`
	Impact      string   `yaml:"impact" json:"impact,omitempty"`
	Lessons     string   `yaml:"lessons" json:"lessons,omitempty"`
	ActionItems []Action `yaml:"action_items" json:"actionItems,omitempty"`
}

// Action is something to be done so that it does not happen again. Due is a day: 2026-01-31.
type Action struct {
	What  string `yaml:"what" json:"what"`
	Owner string `yaml:"owner" json:"owner"`
	Due   string `yaml:"due" json:"due"`
	Done  bool   `yaml:"done" json:"done,omitempty"`
}

// Review is everything that is shown.
type Review struct {
	ID       string            `json:"id"`
	Title    string            `json:"title"`
	Target   string            `json:"target"`
	Severity incident.Severity `json:"severity"`
	Opened   time.Time         `json:"opened"`
	// Ended is zero while the incident goes on.
	Ended time.Time `json:"ended,omitzero"`
	// Rows is the timeline, numbered from 1; Dropped of them are only in the audit record.
	Rows    []Row `json:"timeline"`
	Dropped int   `json:"dropped,omitempty"`
	// Marks are the moments by which a response is measured, in order.
	Marks    []Mark            `json:"marks"`
	Measured []string          `json:"measured"` // what the rules saw, one line each
	Done     []Attempt         `json:"actions"`
	Refused  []Row             `json:"refused"` // what was not done, and why
	Last     []incident.Answer `json:"lastAnswers,omitempty"`
	Told     []Told            `json:"told"`
	// Before is what changed before, one line each; empty: it is not known.
	Before []string `json:"before,omitempty"`
	RootCause,
	Impact,
	Lessons string
	ActionItems []Action `json:"actionItems"`
	// Contacts are whom to call, one line each, and Links where to look: the quick
	// reference of the configuration, if it was given.
	Contacts []string `json:"contacts,omitempty"`
	Links    []Link   `json:"links,omitempty"`
	// Due is by when the review is to be written; zero: none is required.
	Due time.Time `json:"due,omitzero"`
	// Picture is the signal over the incident; nil: it is not known.
	Picture *Picture `json:"-"`
}

// Link is a page for the reader.
type Link struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Remember tells the review which revisions of the workload are remembered.
func (r *Review) Remember(all []Revision) { r.Before = r.before(all) }

// Row is one entry of the timeline with its number.
type Row struct {
	N int `json:"n"`
	incident.Entry
}

// Mark is a moment of the response. Row is the entry that it comes from; 0: the
// incident's own fields. At is zero if it never came.
type Mark struct {
	Name  string        `json:"name"`
	At    time.Time     `json:"at,omitzero"`
	After time.Duration `json:"afterNanoseconds"` // since the trouble began
	Row   int           `json:"row,omitempty"`
	None  string        `json:"none,omitempty"` // why it never came
}

// Attempt is an action with what became of it.
type Attempt struct {
	incident.Attempt
	Row int `json:"row,omitempty"`
}

// Told is the last notification of a receiver.
type Told struct {
	Receiver string `json:"receiver"`
	incident.Receipt
}

// Of returns the review of an incident. due is by when reviews of its severity are
// to be written, given the end of the incident; nil: nobody asks for one.
func Of(i incident.Incident, n Notes, due func(time.Time) time.Time) Review {
	r := Review{ID: i.ID, Title: i.Title(), Target: i.Target.String(), Severity: i.Severity, Opened: i.OpenedAt,
		Ended: i.ResolvedAt, Dropped: i.Dropped,
		RootCause: n.RootCause, Impact: n.Impact, Lessons: n.Lessons, ActionItems: n.ActionItems, Last: held(i.Answers)}
	for k, e := range i.Timeline {
		row := k + 1
		if k >= 10 {
			row += i.Dropped // the dropped ones stood here
		}
		r.Rows = append(r.Rows, Row{row, e})
		if slices.Contains([]incident.Kind{incident.KindHeld, incident.KindFrozen, incident.KindSkipped,
			incident.KindHandedOver, incident.KindDenied}, e.Kind) {
			r.Refused = append(r.Refused, Row{row, e})
		}
	}
	for _, a := range i.Attempts {
		r.Done = append(r.Done, Attempt{a,
			r.row(func(e incident.Entry) bool { return e.Kind == incident.KindVerdict && e.At.Equal(a.EndedAt) })})
	}
	for name, x := range i.Receipts {
		r.Told = append(r.Told, Told{name, x})
	}
	slices.SortFunc(r.Told, func(a, b Told) int { return cmp.Compare(a.Receiver, b.Receiver) })
	for _, a := range i.Alerts {
		r.Measured = append(r.Measured, measured(a))
	}
	r.Marks = r.marks(i)
	if due != nil && !i.ResolvedAt.IsZero() && r.Required() {
		r.Due = due(i.ResolvedAt)
	}
	return r
}

// Required reports whether the runbook asks for a written review: for P0 and P1.
func (r Review) Required() bool { return r.Severity == incident.P0 || r.Severity == incident.P1 }

// Missing names the required parts of the runbook's review (8.2) that are not there.
func (r Review) Missing() []string {
	var all []string
	for _, x := range []struct {
		name string
		is   bool
	}{
		{"timeline of events", len(r.Rows) > 0 && !r.Ended.IsZero()}, {"root cause analysis", r.RootCause != ""},
		{"impact assessment", r.Impact != ""}, {"action items for prevention", len(r.ActionItems) > 0},
	} {
		if !x.is {
			all = append(all, x.name)
		}
	}
	for _, a := range r.ActionItems {
		if _, err := time.Parse(time.DateOnly, a.Due); err != nil || a.Owner == "" || a.What == "" {
			all = append(all, fmt.Sprintf("what, owner and due day (2026-01-31) of the action item %q", a.What))
		}
	}
	return all
}

// Duration is how long the incident was open, to the second; 0 while it is.
func (r Review) Duration() time.Duration {
	if r.Ended.IsZero() {
		return 0
	}
	return r.Ended.Sub(r.Opened).Round(time.Second)
}

// row is the number of the first entry that fits; 0: none does.
func (r Review) row(fits func(incident.Entry) bool) int {
	k := slices.IndexFunc(r.Rows, func(x Row) bool { return fits(x.Entry) })
	if k < 0 {
		return 0
	}
	return r.Rows[k].N
}

// marks are the moments of the response, counted from when the condition began to hold.
func (r Review) marks(i incident.Incident) []Mark {
	began := i.OpenedAt
	if !i.BeganAt.IsZero() && i.BeganAt.Before(began) {
		began = i.BeganAt
	}
	for _, a := range i.Alerts {
		if !a.ActiveAt.IsZero() && a.ActiveAt.Before(began) {
			began = a.ActiveAt
		}
	}
	first := func(kind incident.Kind) int { return r.row(func(e incident.Entry) bool { return e.Kind == kind }) }
	mark := func(name string, at time.Time, row int, none string) Mark {
		m := Mark{Name: name, At: at, Row: row}
		if at.IsZero() {
			m.None, m.Row = none, 0
			return m
		}
		m.After = at.Sub(began).Round(time.Second)
		return m
	}
	at := func(row int) time.Time {
		for _, x := range r.Rows {
			if x.N == row {
				return x.At
			}
		}
		return time.Time{}
	}
	// What is not in the timeline any more is known from the attempts.
	applied := func(fits func(incident.Attempt) bool) (time.Time, int) {
		k := slices.IndexFunc(i.Attempts, fits)
		if k < 0 {
			return time.Time{}, 0
		}
		a := i.Attempts[k]
		if row := r.row(func(e incident.Entry) bool {
			return e.Kind == incident.KindActed && !e.At.Before(a.At) && !e.At.After(a.EndedAt)
		}); row > 0 {
			return at(row), row
		}
		return a.At, 0
	}
	acted, actedRow := applied(func(a incident.Attempt) bool { return a.Verdict != incident.Aborted })
	helped, helpedRow := applied(func(a incident.Attempt) bool { return a.Verdict == incident.Helped })
	paged := first("paged")
	needed := "not paged"
	if i.Paged {
		needed = "paged; the time is only in the audit record"
	}
	unanswered := "not required"
	if i.Paged || i.Unanswered > 0 {
		unanswered = fmt.Sprintf("not acknowledged; deadlines missed: %d", i.Unanswered)
	}
	return []Mark{
		mark("began", began, 0, ""),
		mark("detected", i.OpenedAt, first("firing"), ""),
		mark("first action", acted, actedRow, "no action taken"),
		mark("paged", at(paged), paged, needed),
		mark("acknowledged", cmp.Or(i.AckedBefore.At, i.Acked.At), first("acknowledged"), unanswered),
		mark("mitigated", helped, helpedRow, "no action helped"),
		mark("recovered", i.ResolvedAt, first("resolved"), "not yet"),
	}
}

// measured is what one rule saw.
func measured(a incident.Alert) string {
	side := "below"
	if a.Above {
		side = "above"
	}
	text := fmt.Sprintf("%s (%s): %s", a.Rule, a.Severity, cmp.Or(a.Was, a.Reason))
	if a.Source == "alertmanager" || len(a.Recent) == 0 {
		return text
	}
	worst := slices.Max(a.Recent)
	if !a.Above {
		worst = slices.Min(a.Recent)
	}
	text += fmt.Sprintf("; threshold: %s %s, worst of the last %d values: %s", side, number(a.Bound, a.Unit),
		len(a.Recent), number(worst, a.Unit))
	if a.Usual != 0 {
		text += ", usual " + number(a.Usual, a.Unit)
	}
	return text
}

// number prints a value in its unit.
func number(v float64, unit string) string {
	switch unit {
	case "seconds":
		return time.Duration(v * float64(time.Second)).Round(time.Millisecond).String()
	case "ratio":
		return fmt.Sprintf("%.4g%%", v*100)
	}
	return fmt.Sprintf("%.4g", v)
}

func held(all []incident.Answer) []incident.Answer {
	return slices.DeleteFunc(slices.Clone(all), func(a incident.Answer) bool { return a.Hold == "" })
}

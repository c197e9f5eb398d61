package review

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Kept is what people keep of a review beside the incident: it outlives it.
type Kept struct {
	Notes
	Target   string            `json:"target"`
	Title    string            `json:"title"`
	Severity incident.Severity `json:"severity"`
	Ended    time.Time         `json:"ended"`
	// Before is what had changed, while it was known still.
	Before []string `json:"before,omitempty"`
	// Closed says who closed the review as complete, and when.
	Closed incident.Attribution `json:"closed"`
}

// Decode reads what was kept; nothing gives nil.
func Decode(id string, text json.RawMessage) (*Kept, error) {
	if len(text) == 0 {
		return nil, nil
	}
	k := &Kept{}
	if err := json.Unmarshal(text, k); err != nil {
		return nil, fmt.Errorf("read the review of incident %s: %w", id, err)
	}
	return k, nil
}

// Close returns what is stored of a complete review, or what is missing.
// Only a P0 or P1 must be complete.
func (r Review) Close(by string, at time.Time) (Kept, error) {
	if r.Ended.IsZero() {
		return Kept{}, fmt.Errorf("incident %s is not resolved", r.ID)
	}
	if missing := r.Missing(); r.Required() && len(missing) > 0 {
		return Kept{}, &Incomplete{ID: r.ID, Severity: r.Severity, Missing: missing}
	}
	return Kept{
		Notes:  Notes{RootCause: r.RootCause, Impact: r.Impact, Lessons: r.Lessons, ActionItems: r.ActionItems},
		Target: r.Target, Title: r.Title, Before: r.Before, Severity: r.Severity, Ended: r.Ended,
		Closed: incident.Attribution{By: by, At: at},
	}, nil
}

// Tick marks an action item, counted from 1, as done.
func (k *Kept) Tick(n int) error {
	if n < 1 || n > len(k.ActionItems) {
		return fmt.Errorf("action item %d not found: the review has %d", n, len(k.ActionItems))
	}
	if k.ActionItems[n-1].Done {
		return fmt.Errorf("action item %d (%s) is already done", n, k.ActionItems[n-1].What)
	}
	k.ActionItems = slices.Clone(k.ActionItems)
	k.ActionItems[n-1].Done = true
	return nil
}

// States of a review.
const (
	Open    = "open"
	Overdue = "overdue"
	Closed  = "closed"
)

// Line is one review in a list.
type Line struct {
	ID       string            `json:"id"`
	Severity incident.Severity `json:"severity"`
	Target   string            `json:"target"`
	Title    string            `json:"title"`
	Ended    time.Time         `json:"ended"`
	Due      time.Time         `json:"due"`
	State    string            `json:"state"`
	// Items are the action items that are not done, with their numbers; Late how many of them are overdue.
	Items []Item `json:"items,omitempty"`
	Late  int    `json:"late,omitempty"`
}

// Item is an action item in a list.
type Item struct {
	N int `json:"n"`
	Action
	Overdue bool `json:"overdue,omitempty"`
}

// Stand says how a review stands at a moment: of an incident that is over, or of one
// that only what people kept of it tells of (i is nil). It reports false if nobody
// asks for a review.
func Stand(id string, i *incident.Incident, k *Kept, due func(time.Time) time.Time, now time.Time) (Line, bool) {
	l := Line{ID: id, State: Open}
	switch {
	case i != nil:
		l.Severity, l.Target, l.Title, l.Ended = i.Severity, i.Target.String(), i.Title(), i.ResolvedAt
	case k != nil:
		l.Severity, l.Target, l.Title, l.Ended = k.Severity, k.Target, k.Title, k.Ended
	}
	if l.Ended.IsZero() || k == nil && !(Review{Severity: l.Severity}).Required() {
		return Line{}, false
	}
	l.Due = due(l.Ended)
	switch {
	case k != nil:
		l.State = Closed
		for n, a := range k.ActionItems {
			if a.Done {
				continue
			}
			x := Item{N: n + 1, Action: a, Overdue: a.overdue(now)}
			if x.Overdue {
				l.Late++
			}
			l.Items = append(l.Items, x)
		}
	case now.After(l.Due):
		l.State = Overdue
	}
	return l, true
}

// overdue: its day, in UTC, is over.
func (a Action) overdue(now time.Time) bool {
	day, err := time.Parse(time.DateOnly, a.Due)
	return err == nil && !a.Done && !now.Before(day.AddDate(0, 0, 1))
}

// Sort puts what is most pressing first.
func Sort(all []Line) {
	rank := map[string]int{Overdue: 0, Open: 1, Closed: 2}
	slices.SortFunc(all, func(a, b Line) int {
		return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
}

// Incomplete names what a review lacks.
type Incomplete struct {
	ID       string
	Severity incident.Severity
	Missing  []string
}

// Error names each part.
func (e *Incomplete) Error() string {
	text := fmt.Sprintf("review of %s (%s) is incomplete; missing:", e.ID, e.Severity)
	for _, m := range e.Missing {
		text += "\n  - " + m
	}
	return text
}

package statuspage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// What was measured and what the public reads are two things. This file holds the
// step from the one to the other, without clock, network or memory.

// publicState is how far an incident is and how bad, in the public's words.
type publicState struct {
	Status string // one of publicStates; empty: nothing that may be said
	Impact string // one of impacts: the component's status
}

// publicStates in the order in which they may follow each other: the public
// never reads that a problem went from "monitoring" back to "investigating".
var publicStates = []string{"investigating", "identified", "monitoring", "resolved"}

// impacts from none to the worst.
var impacts = []string{operational, underMaintenance, "degraded_performance", "partial_outage", "major_outage"}

const (
	resolved    = "resolved"
	operational = "operational"

	underMaintenance = "under_maintenance"
)

func (s publicState) rank() int { return slices.Index(publicStates, s.Status) }

func (s publicState) weight() int { return slices.Index(impacts, s.Impact) }

func worseImpact(a, b string) string {
	if slices.Index(impacts, b) > slices.Index(impacts, a) {
		return b
	}
	return a
}

// moment is a state that was measured from At on.
type moment struct {
	At time.Time
	publicState
}

// published is what the page says. Status is empty while nothing was posted.
type published struct {
	publicState
	At time.Time
}

// String is how it is kept in a receipt.
func (p published) String() string {
	return p.Status + " " + p.Impact + " " + p.At.UTC().Format(time.RFC3339)
}

// publishedIn reads what String wrote; an earlier watchdog wrote the status alone.
func publishedIn(r incident.Receipt) published {
	if r.Ref == "" {
		return published{}
	}
	f := append(strings.Fields(r.Digest), "", "", "")
	p := published{publicState{f[0], f[1]}, r.At}
	if at, err := time.Parse(time.RFC3339, f[2]); err == nil {
		p.At = at
	}
	return p
}

// damping is how long something must last before the public reads it.
type damping struct {
	PendingFor        time.Duration // trouble, and each step of it
	ClearAfter        time.Duration // the recovery
	MinUpdateInterval time.Duration // least time between two changes (INV-44)
}

// question is all that a decision rests on.
type question struct {
	Measured  []moment // oldest first; the last one holds now
	Published published
	Changed   time.Time // when the page last said something else of the component
	Damping   damping
	Ask       bool                   // the first post waits for a person
	Automatic func(publicState) bool // but not with these texts
	Word      incident.PublicAction
}

// decision is what follows.
type decision struct {
	Post    publicState // to be posted now; zero: nothing
	Propose publicState // waits for a person's word; zero: nothing
	// After is how soon the mere passing of time may change the decision; 0: only news does.
	After time.Duration
	Why   string
}

// decide says what the public reads next. It never goes backwards, never speaks of
// what is not confirmed, and after a pause goes straight to what is true then.
func decide(q question, now time.Time) decision {
	next, wait := q.lasting(now)
	was := q.Published
	if was.Status != "" && next.Status != "" {
		next.Status = publicStates[max(was.rank(), next.rank())]
		if next.Status != resolved {
			next.Impact = worseImpact(next.Impact, was.Impact)
		}
	}
	if next.Status == "" || next == was.publicState || was.Status == resolved {
		d := decision{After: wait}
		if wait > 0 {
			d.Why = fmt.Sprintf("the measured state must last another %s", wait.Round(time.Second))
		}
		return d
	}
	if q.Word.Held(now) {
		return decision{After: q.Word.HoldUntil.Sub(now), Why: fmt.Sprintf("%s: page held by %s until %s UTC",
			next.Status, cmp.Or(q.Word.By, "somebody"), q.Word.HoldUntil.UTC().Format("15:04:05"))}
	}
	if was.Status == "" && q.Ask && !q.Word.Publish && !(q.Automatic != nil && q.Automatic(next)) {
		return decision{Propose: next, After: wait, Why: "the first post waits for `watchdog publish`"}
	}
	last := was.At
	if q.Changed.After(last) {
		last = q.Changed
	}
	if left := last.Add(q.Damping.MinUpdateInterval).Sub(now); !last.IsZero() && left > 0 {
		return decision{After: left, Why: fmt.Sprintf("%s: the page changed %s ago; minimum interval %s",
			next.Status, now.Sub(last).Round(time.Second), q.Damping.MinUpdateInterval)}
	}
	return decision{Post: next}
}

// lasting is the furthest state that has lasted as long as it must, and how soon
// time alone may bring a further one.
func (q question) lasting(now time.Time) (publicState, time.Duration) {
	n := len(q.Measured)
	if n == 0 || q.Measured[n-1].Status == "" {
		return publicState{}, 0
	}
	if last := q.Measured[n-1]; last.Status == resolved {
		if left := last.At.Add(q.Damping.ClearAfter).Sub(now); left > 0 || q.Published.Status == "" {
			if q.Published.Status == "" {
				left = 0 // what the public never read of does not end for it
			}
			return publicState{}, left
		}
		return last.publicState, 0
	}
	// Confirmed trouble without a break.
	from := n - 1
	for from > 0 && q.Measured[from-1].Status != "" && q.Measured[from-1].Status != resolved {
		from--
	}
	hold := q.Damping.PendingFor
	if q.Published.Status == "" && q.Word.Publish {
		hold = 0 // a person has looked
	}
	status, wait := level(q.Measured[from:], publicState.rank, now, hold)
	impact, worse := level(q.Measured[from:], publicState.weight, now, hold)
	if status < 0 || impact < 0 {
		return publicState{}, wait
	}
	if q.Published.Status == "" {
		impact, worse = q.Measured[n-1].weight(), 0 // the post itself is damped: it says how bad it is now
	}
	if wait == 0 || worse > 0 && worse < wait {
		wait = worse
	}
	return publicState{publicStates[status], impacts[impact]}, wait
}

// level is the highest rank below which a run did not fall for as long as hold, -1
// if there is none, and how long until the next one is reached.
func level(run []moment, rank func(publicState) int, now time.Time, hold time.Duration) (best int, wait time.Duration) {
	low, since := rank(run[len(run)-1].publicState), now
	for k := len(run) - 1; k >= 0; k-- {
		if r := rank(run[k].publicState); r < low {
			if now.Sub(since) >= hold {
				return low, wait
			}
			low, wait = r, hold-now.Sub(since)
		}
		since = run[k].At
	}
	if now.Sub(since) >= hold {
		return low, wait
	}
	return -1, hold - now.Sub(since)
}

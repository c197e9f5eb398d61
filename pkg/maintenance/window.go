// Package maintenance says what maintenance windows mean for a target at a moment.
//
// It owns what a window is, recurring or once, and how several on one target count
// together. It leaves to the calendar when a recurring one is, and to others to
// hold a page, an action or a deploy because of it.
//
// Its one rule: pure values; no clock, no I/O. The time is an argument.
package maintenance

import (
	"fmt"
	"slices"
	"time"
)

// Page is what becomes of pages about a target in a window.
type Page string

// The effects on pages.
const (
	PageNormal Page = "normal"
	PageHold   Page = "hold" // notifications wait for the end of the window, for what is still bad then
)

// Remediate is what watchdog may do to a target in a window.
type Remediate string

// The effects on actions, from free to strict.
const (
	RemediateNormal Remediate = "normal"
	RemediateSafe   Remediate = "safe_only" // what adds and disturbs no pod: class C2
	RemediateOff    Remediate = "off"
)

// Deploy is what a window means for deploys of a target.
type Deploy string

// The effects on deploys.
const (
	DeployAny       Deploy = "any"
	DeployRequired  Deploy = "required"  // the target is deployed in such a window only
	DeployForbidden Deploy = "forbidden" // it is not deployed in the window
)

// SLA is whether the time of a window counts against error budgets.
type SLA string

// The effects on error budgets.
const (
	SLAInclude SLA = "include"
	SLAExclude SLA = "exclude"
)

// Effects are the four effects of a window; an empty one is the first of its kind.
type Effects struct {
	Page      Page      `json:"page,omitempty"`
	Remediate Remediate `json:"remediate,omitempty"`
	Deploy    Deploy    `json:"deploy,omitempty"`
	SLA       SLA       `json:"sla,omitempty"`
}

// Check says which effect is none.
func (e Effects) Check() error {
	switch {
	case !slices.Contains([]Page{"", PageNormal, PageHold}, e.Page):
		return fmt.Errorf("page: unknown value %q; expected one of: hold, normal", e.Page)
	case !slices.Contains([]Remediate{"", RemediateNormal, RemediateSafe, RemediateOff}, e.Remediate):
		return fmt.Errorf("remediate: unknown value %q; expected one of: off, safe_only, normal", e.Remediate)
	case !slices.Contains([]Deploy{"", DeployAny, DeployRequired, DeployForbidden}, e.Deploy):
		return fmt.Errorf("deploy: unknown value %q; expected one of: required, forbidden, any", e.Deploy)
	case !slices.Contains([]SLA{"", SLAInclude, SLAExclude}, e.SLA):
		return fmt.Errorf("sla: unknown value %q; expected one of: exclude, include", e.SLA)
	}
	return nil
}

// Public is the post of a window on the status page.
type Public struct {
	Name string `json:"name"`
	Body string `json:"body,omitempty"`
}

// Calendar is when a recurring window is.
type Calendar interface {
	Contains(time.Time) bool
	Next(time.Time) time.Time  // the next change; zero: none within a year
	Since(time.Time) time.Time // the last change; zero: none within a year
}

// Window is one maintenance window.
type Window struct {
	Name string
	// Recurs is when a recurring window is; nil: it is once, from From until Until.
	Recurs Calendar
	From   time.Time
	Until  time.Time
	// Ended is when a person ended the window; zero: not yet.
	Ended time.Time
	// First is when a window that is once was to end when it was first seen.
	First time.Time
	// Targets are the names of those that it is about; empty: all.
	Targets []string
	Effects
	Silence bool
	Public  *Public
	Reason  string
	By      string
}

// Covers reports whether the window is about the target.
func (w Window) Covers(target string) bool {
	return len(w.Targets) == 0 || slices.Contains(w.Targets, target)
}

// Phase is how far a window is.
type Phase string

// The phases of a window. One that is once and of which nobody has said that the work
// is over when its time is up is overrun: its effects end all the same.
const (
	Scheduled Phase = "scheduled"
	Active    Phase = "active"
	Overrun   Phase = "overrun"
	Ended     Phase = "ended"
)

// PhaseAt returns the window's phase.
func (w Window) PhaseAt(now time.Time) Phase {
	switch {
	case w.Recurs != nil && w.Recurs.Contains(now):
		return Active
	case w.Recurs != nil:
		return Scheduled
	case !w.Ended.IsZero() && !now.Before(w.Ended):
		return Ended
	case now.Before(w.From):
		return Scheduled
	case now.Before(w.Until):
		return Active
	}
	return Overrun
}

// Span returns the beginning and the end of the window that is active now, else of the
// next one; zero times where there is none within a year, and for one that is over.
func (w Window) Span(now time.Time) (begin, end time.Time) {
	switch phase := w.PhaseAt(now); {
	case w.Recurs == nil && phase != Scheduled && phase != Active:
		return time.Time{}, time.Time{}
	case w.Recurs == nil && !w.Ended.IsZero() && w.Ended.Before(w.Until):
		return w.From, w.Ended
	case w.Recurs == nil:
		return w.From, w.Until
	case phase == Active:
		return w.Recurs.Since(now), w.Recurs.Next(now)
	}
	if begin = w.Recurs.Next(now); begin.IsZero() {
		return begin, time.Time{}
	}
	return begin, w.Recurs.Next(begin)
}

// Used is the share of a window's time that is over, 0 to 1.
func (w Window) Used(now time.Time) float64 {
	begin, end := w.From, w.Until
	if w.Recurs != nil {
		begin, end = w.Span(now)
	}
	if !begin.Before(end) {
		return 0
	}
	return min(1, max(0, now.Sub(begin).Seconds()/end.Sub(begin).Seconds()))
}

// Extended is by how much the window ends later than it was to when it was first seen.
func (w Window) Extended() time.Duration {
	if w.First.IsZero() || !w.Until.After(w.First) {
		return 0
	}
	return w.Until.Sub(w.First)
}

package maintenance

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Now is a window that is active, with the span that it is active for. End is zero
// for a recurring one that does not end within a year.
type Now struct {
	Window
	Begin, End time.Time
}

// Present are the windows that are active at a moment. It holds until Until, when
// something begins or ends; zero: nothing does within a year.
type Present struct {
	At, Until time.Time
	Active    []Now
}

// At returns which of the windows are active at a moment.
func At(windows []Window, now time.Time) Present {
	p := Present{At: now}
	for _, w := range windows {
		begin, end := w.Span(now)
		change := begin
		if w.PhaseAt(now) == Active {
			p.Active = append(p.Active, Now{w, begin, end})
			change = end
		}
		if change.After(now) && (p.Until.IsZero() || change.Before(p.Until)) {
			p.Until = change
		}
	}
	return p
}

// Holds reports whether the present is still that of the moment.
func (p Present) Holds(now time.Time) bool {
	return !p.At.IsZero() && !now.Before(p.At) && (p.Until.IsZero() || now.Before(p.Until))
}

// State is what the active windows mean for one target, the strictest of each
// effect. The zero value: it is in none.
type State struct {
	// In is the window that people are shown; nil: none.
	In *Now
	// Held is the window that holds pages, Suspended the one that keeps watchdog's
	// hands off, as far as Remediate says; nil: none does.
	Held      *Now
	Suspended *Now
	Remediate Remediate
	// Excluded: the time does not count against error budgets.
	Excluded bool
}

// Of returns what the active windows mean for a target.
func (p Present) Of(target string) State {
	s := State{Remediate: RemediateNormal}
	for i := range p.Active {
		w := &p.Active[i]
		if !w.Covers(target) {
			continue
		}
		s.In = later(s.In, w)
		if w.Page == PageHold {
			s.Held = later(s.Held, w)
		}
		if r := cmp.Or(w.Remediate, RemediateNormal); strict(r) > strict(s.Remediate) {
			s.Remediate, s.Suspended = r, w
		} else if r == s.Remediate && r != RemediateNormal {
			s.Suspended = later(s.Suspended, w)
		}
		s.Excluded = s.Excluded || w.SLA == SLAExclude
	}
	return s
}

func strict(r Remediate) int {
	return slices.Index([]Remediate{RemediateNormal, RemediateSafe, RemediateOff}, r)
}

// later is the one of two windows that ends later.
func later(a, b *Now) *Now {
	if a == nil || !a.End.IsZero() && (b.End.IsZero() || b.End.After(a.End)) {
		return b
	}
	return a
}

// MayDeploy says whether the target may be deployed at a moment, and why. A window that
// forbids counts more than one that is required.
func MayDeploy(windows []Window, target string, now time.Time) (bool, string) {
	var inside, next *Now
	required := ""
	for _, w := range windows {
		if !w.Covers(target) {
			continue
		}
		begin, end := w.Span(now)
		n := &Now{w, begin, end}
		active := w.PhaseAt(now) == Active
		switch {
		case w.Deploy == DeployForbidden && active:
			return false, fmt.Sprintf("window %s forbids deploys of %s: %s", w.Name, target, n.Left(now))
		case w.Deploy != DeployRequired:
		case active:
			inside = later(inside, n)
		default:
			if w.Recurs != nil || w.PhaseAt(now) == Scheduled {
				required = w.Name
			}
			if !begin.IsZero() && (next == nil || begin.Before(next.Begin)) {
				next = n
			}
		}
	}
	switch {
	case inside != nil:
		return true, fmt.Sprintf("window %s allows it: %s", inside.Name, inside.Left(now))
	case next != nil:
		return false, fmt.Sprintf("%s may only be deployed in a window; the next one is %s, %s to %s", target,
			next.Name, clock(next.Begin, now), clock(next.End, now))
	case required != "":
		return false, fmt.Sprintf("%s may only be deployed in window %s, which does not occur within a year", target,
			required)
	}
	return true, fmt.Sprintf("no window restricts deploys of %s now", target)
}

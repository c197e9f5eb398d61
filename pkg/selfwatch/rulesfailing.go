package selfwatch

import (
	"fmt"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/strutil"
)

const (
	// failingFor is how long the evaluations of a rule must fail until people are notified. A
	// second failure is awaited of every rule, however seldom it is evaluated.
	failingFor = 5 * time.Minute
	maxFailing = 5   // that are named
	maxFailure = 200 // bytes of the error of each
)

// RulesFailing is the alert on rules that cannot be evaluated, part of watchdog's own
// incident: what they would raise is not raised, be they thresholds, rules of a file or
// objectives.
func RulesFailing(all []rules.Failure, now time.Time) incident.Alert {
	a := incident.Alert{Rule: "rules_failing", Severity: incident.P2, Verdict: incident.OK,
		Reason: "all rules evaluate", Source: "watchdog", EvaluatedAt: now,
		Ladder: []incident.Rung{{Action: incident.ActionPage, Class: incident.C1}}}
	var named []string
	more := 0
	for _, f := range all {
		if now.Sub(f.Since) < failingFor || !f.Last.After(f.Since) {
			continue
		}
		if !a.Firing || f.Since.Before(a.ActiveAt) {
			a.ActiveAt = f.Since
		}
		a.Firing, a.Verdict = true, incident.Breach
		if len(named) == maxFailing {
			more++
			continue
		}
		// When it began, not for how long: each change is sent again.
		named = append(named, fmt.Sprintf("%s of group %q since %s UTC (%s)", f.Rule, f.Group,
			f.Since.UTC().Format("15:04"), strutil.Shorten(f.Err.Error(), maxFailure)))
	}
	if more > 0 {
		named = append(named, fmt.Sprintf("%d more", more))
	}
	if a.Firing {
		a.Reason = "rules fail to evaluate and cannot fire: " + strings.Join(named, "; ") +
			"; correct the expression or check the data source"
	}
	return a
}

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/rules"
)

// minStaleness is the least age at which a sample is too old for the rules of a file.
const minStaleness = 2 * time.Minute

// patient gives the rungs of a ladder at least twice the time that the alert's expression
// looks back, unless the file says how long an effect is awaited: before that, a cure that
// worked at once looks like none.
func patient(ladder []incident.Rung, of []config.Rung, span time.Duration) []incident.Rung {
	later := func(k int) bool { return k < len(of) && of[k].Options.VerifyByDefault() && ladder[k].Verify < 2*span }
	for k := range ladder {
		if !later(k) {
			continue
		}
		ladder = slices.Clone(ladder)
		for k := range ladder {
			if later(k) {
				ladder[k].Verify = 2 * span
			}
		}
		break
	}
	return ladder
}

// unseenRule is the rule about what nobody can see.
const unseenRule = "unseen"

// unanswered says in the words of the rule about the unseen what it is that nobody can
// see, and why.
func unanswered(alerts []rules.Alert, looks []probes.Status) []rules.Alert {
	k := slices.IndexFunc(alerts, func(a rules.Alert) bool { return a.Rule == unseenRule && a.Verdict == rules.Breach })
	if k < 0 {
		return alerts
	}
	var what []string
	for _, l := range looks {
		if l.State == probes.Unknown && !l.At.IsZero() {
			what = append(what, fmt.Sprintf("probe %s (%s)", l.Probe, l.Detail))
		}
	}
	for _, a := range alerts {
		if a.Verdict.Unknown() && !a.LastDataAt.IsZero() && a.State != rules.Firing {
			what = append(what, fmt.Sprintf("rule %s (%s)", a.Rule, a.Reason))
		}
	}
	if len(what) == 0 {
		return alerts
	}
	alerts = slices.Clone(alerts)
	alerts[k].Reason += ": " + strings.Join(what, "; ")
	return alerts
}

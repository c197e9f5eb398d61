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

// patient gives the rungs of a ladder at least twice the lookback of the alert's
// expression to verify, unless the file sets it: before that, an action that helped
// immediately appears to have no effect.
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

// unseenRule is the rule about probes and rules without data.
const unseenRule = "unseen"

// unanswered adds to the reason of the rule `unseen` which probes and rules have no data,
// and why.
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

package remediate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// corroborated: two different kinds of source must report the target unhealthy before
// pods are disrupted (INV-11), unless the rule waives that. A webhook is not a source (INV-16).
func corroborated(f Facts, _ incident.Plan) incident.Answer {
	bad, good := witnesses(f.Signals, f.Now, f.Settings.StaleAfter)
	said := fmt.Sprintf("%d of 2 sources report unhealthy (%s)", len(bad), orNone(bad))
	if len(good) > 0 {
		said += fmt.Sprintf("; %d report healthy (%s)", len(good), strings.Join(good, ", "))
	}
	switch {
	case len(bad) >= 2:
		return pass("%s", said)
	case f.Options.SingleSource != "":
		return pass("%s; the rule waives the second source: %s", said, quote(f.Options.SingleSource))
	}
	return hold(incident.Wait, "%s", said)
}

// witnesses returns the kinds of source that report unhealthy now, and those that only report
// healthy. A stale or unknown signal, or one of a kind that does not observe itself, does not count.
func witnesses(signals []Signal, now time.Time, staleAfter time.Duration) (bad, good []string) {
	for _, kind := range []string{"app", "kubernetes", "probe", "prometheus"} {
		var details []string
		seen := false
		for _, s := range signals {
			if s.Source != kind || !s.Known || !fresh(s.At, now, staleAfter) {
				continue
			}
			seen = true
			if s.Bad {
				details = append(details, s.Detail)
			}
		}
		switch {
		case len(details) > 0:
			slices.Sort(details)
			bad = append(bad, strings.TrimSuffix(kind+": "+list(slices.Compact(details)), ": "))
		case seen:
			good = append(good, kind)
		}
	}
	return bad, good
}

func orNone(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, ", ")
}

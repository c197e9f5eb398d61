package remediate

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// settledDown: a breach that began shortly after watchdog replaced the pods may be caused by
// their startup (INV-10), and replacing them again would restart it. Pods that take longer to
// start than the configured time get their startup time.
func settledDown(f Facts, _ incident.Plan) incident.Answer {
	grace := f.Settings.StartupGrace
	if grace > 0 {
		grace = max(grace, StartupTime(f.Workload, f.Records))
	}
	for _, m := range ownMoves(f) {
		began := f.Alert.ActiveAt.Sub(m.At)
		if m.Was == "" || began < 0 || began >= grace || f.Now.Sub(m.At) >= grace {
			continue
		}
		a := hold(incident.Wait, "the breach began %s after watchdog replaced the pods (op %s): for %s this may be "+
			"their startup", began.Round(time.Second), m.Op, grace)
		a.RetryAt = m.At.Add(grace)
		return a
	}
	return pass("the breach did not begin within %s after watchdog replaced the pods", grace)
}
